"""MMBench: questions of choice, each asked again with its options rotated."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from syntune.benchmarks.choice_table import ROTATION, ChoiceTable, TableRow, reads_as_nothing
from syntune.benchmarks.letters import LETTERS, read_letter
from syntune.benchmarks.names import listed
from syntune.benchmarks.protocol import Protocol, Question
from syntune.errors import UserError
from syntune.files import atomic_file
from syntune.settings.benchmarks import MmBenchSettings

INSTRUCTIONS = {
    "en": "Answer with the option's letter from the given choices directly.",
    "cn": "请直接回答选项字母。",
}
LEFT_OUT = ("hint", "category", "source", "image", "comment", "l2-category")
"""The table's columns that a submission lacks."""
PREDICTION_COLUMN = 6
LONGEST_CELL = 32_767
"""Characters that a cell of an xlsx sheet may hold."""


class MmBench(Protocol[MmBenchSettings]):
    """The prompt is the hint if there is one, the question, the options by letter, and an instruction, a line each."""

    metric = "choice"
    clusters = "base questions"

    def label(self) -> str:
        """The prompt's language is a protocol of its own."""
        return "MMBench" if self.settings.language == "en" else "MMBench, Chinese prompt"

    def metadata(self) -> dict[str, Any]:
        """The language of the instruction, and what becomes of options that read None."""
        return {"language": self.settings.language, "none_options": self.settings.none_options}

    def read(self) -> list[Question]:
        """Read the table; every row is a question, its group is its base question."""
        table = ChoiceTable(self.settings.table)
        return [self._question(row, image) for row, image in zip(table.rows, table.images(), strict=True)]

    def _question(self, row: TableRow, image: bytes) -> Question:
        """The question of a row."""
        options, notes = row.options, []
        none = [letter for letter, option in options.items() if reads_as_nothing(option)]
        if none and self.settings.none_options == "offer":
            notes.append("an option reads None")
        elif none:
            options = {letter: option for letter, option in options.items() if letter < none[0]}
            notes.append("options cut at None")
        if len(options) > len(LETTERS):
            notes.append(f"more than {len(LETTERS)} options")
        lines = [*filter(None, [row.get("hint")]), row.cells["question"]]
        lines += [f"{letter}. {option}" for letter, option in options.items()]
        answer, base = row.get("answer").strip().upper(), row.index % ROTATION
        kinds = ("category", "l2-category")
        return Question(
            id=row.index,
            prompt="\n".join([*lines, INSTRUCTIONS[self.settings.language]]),
            image=image,
            references=(answer,) if answer else (),
            group=base,
            categories={kind: row.get(kind) for kind in kinds if row.get(kind)},
            options=options,
            notes=tuple(notes),
            rotation_of=None if row.index == base else base,
        )

    def own_words(self, question: Question) -> str:
        """The hint and the question."""
        options = {f"{letter}. {option}" for letter, option in question.options.items()}
        return "\n".join(line for line in super().own_words(question).split("\n") if line not in options)

    def extract(self, question: Question, text: str) -> str:
        """The letter that ``text`` names (``letters.py``); empty where it names none."""
        return read_letter(text, question.options)

    def submission(self, questions: Sequence[Question], texts: Sequence[str], path: Path) -> None:
        """Write the sheet (xlsx) that MMBench's server takes, with raw answers as the reference writes them."""
        table = ChoiceTable(self.settings.table)
        rows = {row.index: row for row in table.rows}
        columns = [column for column in table.columns if column not in LEFT_OUT]
        sheet = [[*columns[:PREDICTION_COLUMN], "prediction", *columns[PREDICTION_COLUMN:]]]
        for question, text in zip(questions, texts, strict=True):
            cells: list[Any] = [rows[question.id].cells[column] or None for column in columns]
            cells[columns.index("index")] = question.id
            sheet.append([*cells[:PREDICTION_COLUMN], text.strip(), *cells[PREDICTION_COLUMN:]])
        # the library would cut such a text
        long = [row[columns.index("index")] for row in sheet[1:] if max(len(str(cell)) for cell in row) > LONGEST_CELL]
        if long:
            raise UserError(
                f"{path}: {len(long)} of {len(questions)} rows have a text of more than {LONGEST_CELL:,} characters, "
                f"which no cell of xlsx holds (index {listed(long)}); lower the benchmark's max_new_tokens and predict "
                "again"
            )
        _write_sheet(sheet, path)

    def reference_answer(self, question: Question, text: str) -> dict[str, Any]:
        """The reference keeps the prompt without its instruction, and the options beside it."""
        return super().reference_answer(question, text) | {
            "prompt": question.prompt.rpartition("\n")[0],
            "round_id": 0,
            "options": list(question.options.values()),
            "option_char": list(question.options),
        }


def _write_sheet(rows: list[list[Any]], path: Path) -> None:
    """Write rows as xlsx. Text stays text, were it a formula; characters that a sheet cannot hold are dropped."""
    from openpyxl import Workbook
    from openpyxl.cell import WriteOnlyCell
    from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

    book = Workbook(write_only=True)
    sheet = book.create_sheet("Sheet1")

    def cell(value: Any) -> Any:
        if not isinstance(value, str):
            return value
        text = WriteOnlyCell(sheet, value=ILLEGAL_CHARACTERS_RE.sub("", value))
        text.data_type = "s"
        return text

    for row in rows:
        sheet.append([cell(value) for value in row])
    with atomic_file(path) as temporary:
        book.save(temporary)
