"""Operators of Data-Juicer that have no place in a recipe here."""

from syntune.recipes.names import unknown

_NAMES = """
    agent_insight_llm_mapper agent_skill_insight_mapper calibrate_qa_mapper detect_character_attributes_mapper
    detect_character_locations_mapper detect_main_character_mapper dialog_intent_detection_mapper
    dialog_sentiment_detection_mapper dialog_sentiment_intensity_mapper dialog_topic_detection_mapper
    extract_entity_attribute_mapper extract_entity_relation_mapper extract_event_mapper extract_keyword_mapper
    extract_nickname_mapper extract_support_text_mapper generate_qa_from_examples_mapper
    generate_qa_from_text_mapper image_aesthetics_filter image_captioning_mapper image_detection_yolo_mapper
    image_diffusion_mapper image_mmpose_mapper image_nsfw_filter image_ohem_selector image_pair_similarity_filter
    image_sam_3d_body_mapper image_segment_mapper image_tagging_mapper image_tagging_vlm_mapper
    image_text_matching_filter image_text_similarity_filter image_watermark_filter
    imgdiff_difference_area_generator_mapper imgdiff_difference_caption_generator_mapper in_context_influence_filter
    instruction_following_difficulty_filter llm_analysis_filter llm_condition_filter llm_difficulty_score_filter
    llm_extract_mapper llm_perplexity_filter llm_quality_score_filter llm_task_relevance_filter mllm_mapper
    optimize_prompt_mapper optimize_qa_mapper optimize_query_mapper optimize_response_mapper pair_preference_mapper
    phrase_grounding_recall_filter pii_llm_suspect_mapper query_intent_detection_mapper
    query_sentiment_detection_mapper query_topic_detection_mapper relation_identity_mapper sdxl_prompt2prompt_mapper
    sentence_augmentation_mapper text_embd_similarity_filter text_pair_similarity_filter
    text_tagging_by_prompt_mapper vggt_mapper
"""

RUN_MODELS = frozenset(_NAMES.split())
"""Those of Data-Juicer 1.6.1 that run a model or call an endpoint in their own way.

The environment of the rows stages holds none of the packages that they need (transformers, vllm, ultralytics, ...).
"""


def reason_to_refuse(name: str, model_operators: list[str]) -> str | None:
    """Why an operator cannot run here, and what to do; None where it can."""
    return out_of_place(name, model_operators) or unknown(name)


def out_of_place(name: str, model_operators: list[str]) -> str | None:
    """The same of an operator that exists."""
    if name in RUN_MODELS:
        return (
            "Data-Juicer's own way of running this model needs packages that no environment here has; operators that "
            f"run models here: {', '.join(model_operators)}"
        )
    if name.startswith(("video_", "audio_")):
        return "the rows have images and texts, and no video or audio; remove it"
    if name.endswith(("_grouper", "_aggregator")):
        return "it merges rows, and merged rows could not be accounted for; remove it"
    if name.startswith("ray_"):
        return "it works on a dataset of Ray's; remove it, or take the operator without ray_, if there is one"
    return None
