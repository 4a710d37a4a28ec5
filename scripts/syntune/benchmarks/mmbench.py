"""MMBench: questions of choice, each asked again with its options rotated."""

import binascii
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas

from syntune.benchmarks.names import listed
from syntune.benchmarks.protocol import Protocol, Question
from syntune.errors import UserError
from syntune.files import atomic_file
from syntune.settings.benchmarks import MmBenchSettings

LETTERS = "ABCD"
ROTATION = 1_000_000
"""A rotation's index is its base question's plus a multiple of this."""
INSTRUCTIONS = {
    "en": "Answer with the option's letter from the given choices directly.",
    "cn": "请直接回答选项字母。",
}
COLUMNS = ("index", "question", *LETTERS, "image")
LEFT_OUT = ("hint", "category", "source", "image", "comment", "l2-category")
"""The table's columns that a submission lacks."""
PREDICTION_COLUMN = 6
LONGEST_REFERENCE = 20
"""A cell of digits alone, no longer than this, names the row that holds the image."""

_ALONE = re.compile(r"\W*([A-D])\W*", re.IGNORECASE)
_LEADING = re.compile(r"[(（]?([A-D])(?:[.):：、）．]|\s*\n)")
_STATED = re.compile(
    r"(?:\b(?i:answer|option|choice)(?i:\s+is)?|答案[是为]?|(?<!不)选项?)\s*[:：]?\s*[(（]?([A-D])(?![A-Za-z0-9_'])"
)


class MmBench(Protocol[MmBenchSettings]):
    """The prompt is the hint if there is one, the question, the options by letter, and an instruction, a line each."""

    metric = "choice"
    clusters = "base questions"

    def label(self) -> str:
        """The prompt's language is a protocol of its own."""
        return "MMBench" if self.settings.language == "en" else "MMBench, Chinese prompt"

    def metadata(self) -> dict[str, Any]:
        """The language of the instruction."""
        return {"language": self.settings.language}

    def read(self) -> list[Question]:
        """Read the table; every row is a question, its group is its base question."""
        path = self.settings.table
        table = _read_table(path)
        images = _decode_images(table, path)
        return [self._question(row, image) for row, image in zip(table.to_dict("records"), images, strict=True)]

    def limited(self, questions: list[Question]) -> list[Question]:
        """The first ``limit`` base questions, each with all its rotations."""
        groups = list(dict.fromkeys(question.group for question in questions))
        kept = set(groups[: self.settings.limit])
        return [question for question in questions if question.group in kept]

    def size(self, questions: Sequence[Question]) -> int:
        """The number of base questions."""
        return len({question.group for question in questions})

    def _question(self, row: dict[str, Any], image: bytes) -> Question:
        """The question of a row."""
        options = _options(row)
        hint = row.get("hint")
        lines = [] if _is_none(hint) else [hint]
        lines += [row["question"], *(f"{letter}. {option}" for letter, option in options.items())]
        answer = row.get("answer")
        kinds = ("category", "l2-category")
        return Question(
            id=row["index"],
            prompt="\n".join([*lines, INSTRUCTIONS[self.settings.language]]),
            image=image,
            references=() if _is_none(answer) else (answer,),
            group=row["index"] % ROTATION,
            categories={kind: row[kind] for kind in kinds if not _is_none(row.get(kind))},
            options=options,
        )

    def own_words(self, question: Question) -> str:
        """The hint and the question."""
        options = {f"{letter}. {option}" for letter, option in question.options.items()}
        return "\n".join(line for line in super().own_words(question).split("\n") if line not in options)

    def extract(self, question: Question, text: str) -> str:
        """The letter that ``text`` names, by the first rule that applies; empty where none does.

        1. The text is one letter, whatever its case and the marks around it: ``B``, ``(b).``
        2. It is the text of exactly one option, whatever its case and the marks around it.
        3. It begins with a capital letter set off by a mark or a new line: ``B. a cat``, ``(B) a cat``.
        4. It states one capital letter as its answer, option or choice: ``The answer is B.``, ``Option (B)``,
           ``答案是B``, ``选B``.
        """
        text = text.strip()
        if alone := _ALONE.fullmatch(text):
            return alone.group(1).upper()
        same = [letter for letter, option in question.options.items() if _bare(option) == _bare(text) != ""]
        if len(same) == 1:
            return same[0]
        if leading := _LEADING.match(text):
            return leading.group(1)
        stated = set(_STATED.findall(text))
        return stated.pop() if len(stated) == 1 else ""

    def submission(self, questions: Sequence[Question], texts: Sequence[str], path: Path) -> None:
        """Write the sheet (xlsx) that MMBench's server takes, with raw answers as the reference writes them."""
        table = _read_table(self.settings.table, images=False).set_index("index", drop=False)
        table = table.loc[[question.id for question in questions]].drop(columns=list(LEFT_OUT), errors="ignore")
        table.insert(PREDICTION_COLUMN, "prediction", [text.strip() for text in texts])
        _write_sheet(table, path)

    def reference_answer(self, question: Question, text: str) -> dict[str, Any]:
        """The reference keeps the prompt without its instruction, and the options beside it."""
        return super().reference_answer(question, text) | {
            "prompt": question.prompt.rpartition("\n")[0],
            "round_id": 0,
            "options": list(question.options.values()),
            "option_char": list(question.options),
        }


def _read_table(path: str, images: bool = True) -> pandas.DataFrame:
    """Read the table as text, and check its columns, indices and answers.

    Empty cells, ``None`` and ``nan`` become NaN, as in the reference. Numbers stay as they are written: the reference
    lets pandas guess types block by block, and a block of numbers alone may show an option 3 as 3.0.
    """
    try:
        table = pandas.read_csv(path, sep="\t", dtype=str, usecols=None if images else lambda column: column != "image")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, pandas.errors.ParserError) as error:
        raise UserError(f"{path}: not a table of tab-separated values ({error})") from error
    missing = [column for column in COLUMNS if column not in table and (images or column != "image")]
    if missing:
        raise UserError(f"{path}: columns are missing ({', '.join(missing)}); the table must be MMBench's TSV")
    _refuse(table, ~table["index"].str.fullmatch(r"\d+", na=False), path, "have no whole number as index")
    table["index"] = table["index"].astype(int)
    _refuse(table, table["index"].duplicated(), path, "repeat an index")
    _refuse(table, table["question"].isna(), path, "have no question")
    if "answer" in table and table["answer"].notna().any():
        _refuse(table, ~table["answer"].isin(list(LETTERS)), path, "have no answer of A to D")
    _check_options(table, path)
    _refuse(table, ~(table["index"] % ROTATION).isin(table["index"]), path, "are rotations of an absent base row")
    return table


def _check_options(table: pandas.DataFrame, path: str) -> None:
    """Refuse rows without options, and answers that name an option which is not there.

    An option that says ``none`` is an empty cell to the reference, and its rows are asked as the reference asks them:
    only a cell that is written empty is refused.
    """

    def unanswerable(empty: pandas.DataFrame) -> pandas.Series:
        gone = empty.cummax(axis=1)  # options end at the first empty cell
        return pandas.concat([(answers == letter) & gone[letter] for letter in LETTERS], axis=1).any(axis=1)

    answers = table["answer"] if "answer" in table else pandas.Series(None, table.index, dtype=object)
    options = table[list(LETTERS)]
    if not (options["A"].isna() | unanswerable(options.isna())).any():
        return
    written = pandas.read_csv(path, sep="\t", dtype=str, usecols=list(LETTERS), keep_default_na=False)
    empty = written[list(LETTERS)] == ""
    _refuse(table, empty["A"], path, "have no options")
    _refuse(table, unanswerable(empty), path, "have an answer that is none of their options")


def _refuse(table: pandas.DataFrame, bad: pandas.Series, path: str, what: str) -> None:
    """Refuse a table in which any row is ``bad``."""
    if bad.any():
        raise UserError(f"{path}: {int(bad.sum())} of {len(table)} rows {what} (index {listed(table['index'][bad])})")


def _decode_images(table: pandas.DataFrame, path: str) -> list[bytes]:
    """Each row's image; rows with the same cell, or that name another row, share one copy."""
    cells = dict(zip(table["index"], table["image"], strict=True))
    decoded: dict[str, bytes] = {}
    images, broken = [], []
    for index, cell in cells.items():
        if isinstance(cell, str) and cell.isdigit() and len(cell) <= LONGEST_REFERENCE:
            cell = cells.get(int(cell))
        try:
            if cell not in decoded:
                decoded[cell] = binascii.a2b_base64(cell, strict_mode=True)
            images.append(decoded[cell])
        except (TypeError, ValueError) as error:
            broken.append(f"{index}: {error if isinstance(cell, str) else 'empty'}")
    if broken:
        raise UserError(
            f"{path}: the image of {len(broken)} of {len(cells)} rows is not base64 (index {listed(broken)}); "
            "download the table again"
        )
    return images


def _is_none(value: Any) -> bool:
    """Whether a cell holds nothing, by the reference's rule."""
    return not isinstance(value, str) or value.lower() in ("nan", "none")


def _options(row: dict[str, Any]) -> dict[str, str]:
    """The options by letter, up to the first that is empty."""
    options = {}
    for letter in LETTERS:
        if _is_none(row[letter]):
            break
        options[letter] = row[letter]
    return options


def _bare(text: str) -> str:
    """A text without case, outer marks and doubled spaces."""
    return " ".join(re.sub(r"^\W+|\W+$", "", text.casefold()).split())


def _write_sheet(table: pandas.DataFrame, path: Path) -> None:
    """Write a table as xlsx. Text stays text, were it a formula; characters that a sheet cannot hold are dropped."""
    from openpyxl import Workbook
    from openpyxl.cell import WriteOnlyCell
    from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

    book = Workbook(write_only=True)
    sheet = book.create_sheet("Sheet1")

    def cell(value: Any) -> Any:
        if not isinstance(value, str):
            return None if pandas.isna(value) else value
        text = WriteOnlyCell(sheet, value=ILLEGAL_CHARACTERS_RE.sub("", value))
        text.data_type = "s"
        return text

    sheet.append(list(table.columns))
    for row in table.itertuples(index=False, name=None):
        sheet.append([cell(value) for value in row])
    with atomic_file(path) as temporary:
        book.save(temporary)
