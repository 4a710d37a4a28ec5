"""Open questions, asked once more with options to choose from."""

from typing import Any

from data_juicer.ops.base_op import OPERATORS, Mapper

from syntune.data.ordering import key_hash
from syntune.operators.choices import INSTRUCTION, check_max_options, pools_by_text, with_options
from syntune.operators.question_answer import QuestionAnswer, batch_of, parse, rows_of


@OPERATORS.register_module("qa_choice_mapper")
class QaChoiceMapper(Mapper):
    """Adds, after a question whose answer is in a pool, the same question with options in MMBench's form.

    Wrong options come from the answer's pool. Which ones, and the order of all, is decided by a hash of the row's id:
    no letter is favoured, and the same ``random_seed`` gives the same rows. All options are spelled as in the pool.
    """

    _batched_op = True

    def __init__(
        self,
        pools: list[list[str]],
        max_options: int = 4,
        instruction: str = INSTRUCTION,
        random_seed: int = 0,
        *args: Any,
        **kwargs: Any,
    ):
        """Take the recipe's parameters.

        Args:
            pools: lists of answers of one kind each; they may not overlap.
            max_options: the most options of a question, the right one among them.
            instruction: last line of the question.
            random_seed: another one draws other options in another order.
            args: Data-Juicer's.
            kwargs: Data-Juicer's.
        """
        super().__init__(*args, **kwargs)
        check_max_options(max_options)
        self.pool_of = pools_by_text((("pools", pool) for pool in pools), "texts (quote yes and no)")
        self.max_options, self.instruction, self.random_seed = max_options, instruction, random_seed

    def process_batched(self, samples: dict[str, list]) -> dict[str, list]:
        """Add a row after each that can be asked this way; Syntune gives it an id of its own."""
        rows = []
        for row in rows_of(samples):
            rows.append(row)
            pair = parse(row[self.text_key])
            if pair and pair.answer.lower() in self.pool_of:
                rows.append(row | {self.text_key: self._choice(pair, row["id"]).text()})
        return batch_of(rows, list(samples))

    def _choice(self, pair: QuestionAnswer, row_id: str) -> QuestionAnswer:
        """The question with options and the letter of the right one."""
        answer = pair.answer.lower()
        wrong = [option for option in self.pool_of[answer] if option.lower() != answer]
        right = next(option for option in self.pool_of[answer] if option.lower() == answer)
        wrong.sort(key=lambda option: key_hash(self.random_seed, "draw", row_id, option))
        asked = pair._replace(question=_without_instruction(pair.question), answer=right)
        return with_options(asked, wrong[: self.max_options - 1], self.instruction, self.random_seed, "order", row_id)


def _without_instruction(question: str) -> str:
    """A question up to its last line with a question mark or, if there is none, without the last of several lines."""
    lines = question.split("\n")
    asking = [number for number, line in enumerate(lines, start=1) if line.rstrip().endswith(("?", "？"))]
    return "\n".join(lines[: asking[-1] if asking else max(len(lines) - 1, 1)])
