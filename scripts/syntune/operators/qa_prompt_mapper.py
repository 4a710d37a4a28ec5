"""Questions that say how to answer."""

from typing import Any

from data_juicer.ops.base_op import OPERATORS, Mapper

from syntune.operators.question_answer import parse


@OPERATORS.register_module("qa_prompt_mapper")
class QaPromptMapper(Mapper):
    """Adds an instruction as the second line of each one-line question; longer questions already have theirs."""

    _batched_op = True

    def __init__(
        self, instruction: str = "Answer the question using a single word or phrase.", *args: Any, **kwargs: Any
    ):
        """Take the recipe's parameters.

        Args:
            instruction: the line to add; the default is the one that LLaVA's question file for TextVQA ends with.
            args: Data-Juicer's.
            kwargs: Data-Juicer's.
        """
        super().__init__(*args, **kwargs)
        self.instruction = instruction

    def process_batched(self, samples: dict[str, list]) -> dict[str, list]:
        """Change the texts of the rows that hold one such question."""
        samples[self.text_key] = [self._told(text) for text in samples[self.text_key]]
        return samples

    def _told(self, text: str) -> str:
        """The text with the instruction."""
        pair = parse(text)
        if not pair or "\n" in pair.question:
            return text
        return pair._replace(question=f"{pair.question}\n{self.instruction}").text()
