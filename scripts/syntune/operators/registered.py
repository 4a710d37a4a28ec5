"""Importing this module registers the project's operators with Data-Juicer; a new operator's file is named here."""

from syntune.operators import (  # noqa: F401
    choice_mapper,
    cluster_balanced_selector,
    image_near_deduplicator,
    image_text_deduplicator,
    ocr_qa_mapper,
    qa_caption_mapper,
    qa_choice_mapper,
    qa_prompt_mapper,
    repeat_to_budget_selector,
    text_near_deduplicator,
    text_only_mapper,
)
