"""A row's id alone decides its chunk and its place, so that what did not change is not touched."""

import pytest

from syntune.artifacts.manifests import part_files, read_manifest
from syntune.data.chunks import SAMPLE_ROWS, chunk_name, order_of, write_chunks
from syntune.files import read_jsonl

ROWS = [{"id": f"r{index}", "text": f"text\u2028 {index}\r"} for index in range(1000)]


@pytest.fixture
def write(tmp_path):
    """Write rows as so many chunks; returns the folder and the rows of each chunk."""

    def write(rows, chunks, name="s"):
        folder = tmp_path / name
        folder.mkdir()
        return folder, write_chunks(rows, folder, chunks, "s")

    return write


def rows_in(folder, chunks):
    return [row for index in range(chunks) for row in read_jsonl(folder / chunk_name(index))]


def manifests(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.glob("chunk-0*.manifest.json"))}


@pytest.mark.parametrize("chunks", [1, 3, 10])
def test_chunks_in_order_hold_the_rows_in_one_order(write, chunks):
    folder, counts = write(ROWS, chunks)
    assert rows_in(folder, chunks) == sorted(ROWS, key=lambda row: order_of(row["id"]))
    assert sum(counts) == 1000 and all(700 / chunks < count < 1300 / chunks for count in counts)


def test_the_order_of_the_records_changes_no_byte(write):
    first, _ = write(ROWS, 4, "first")
    second, _ = write(ROWS[::-1], 4, "second")
    assert [path.read_bytes() for path in sorted(first.iterdir())] == [
        path.read_bytes() for path in sorted(second.iterdir())
    ]


@pytest.mark.parametrize(
    "change", [lambda row: None, lambda row: {**row, "text": "changed"}, lambda row: [row, {**row, "id": "new"}]]
)
def test_a_row_that_goes_changes_or_comes_touches_one_chunk(write, change):
    before, _ = write(ROWS, 10, "before")
    changed = change(ROWS[500])
    rows = [*ROWS[:500], *(changed if isinstance(changed, list) else [changed] if changed else []), *ROWS[501:]]
    after, _ = write(rows, 10, "after")
    touched = [name for name, content in manifests(before).items() if manifests(after)[name] != content]
    assert len(touched) == 1


def test_a_chunks_manifest_describes_it(write):
    folder, counts = write(ROWS, 2)
    for index in range(2):
        path = folder / f"chunk-0000{index}.manifest.json"
        assert part_files(path) == [folder / chunk_name(index)]
        assert read_manifest(path).rows_out == counts[index]


def test_the_sample_holds_the_first_rows_of_any_number_of_chunks(write):
    folder, _ = write(ROWS, 50)
    sample = list(read_jsonl(folder / "chunk-sample.jsonl"))
    assert sample == rows_in(folder, 50)[:SAMPLE_ROWS]
    assert read_manifest(folder / "chunk-sample.manifest.json").rows_out == SAMPLE_ROWS


def test_few_rows_leave_chunks_empty(write):
    folder, counts = write(ROWS[:2], 5)
    assert sorted(counts) == [0, 0, 0, 1, 1]
    assert len(list(folder.glob("chunk-0*.jsonl"))) == 5
    assert sorted(row["id"] for row in read_jsonl(folder / "chunk-sample.jsonl")) == ["r0", "r1"]


def test_nothing_else_is_left_in_the_folder(write):
    folder, _ = write(ROWS, 1)
    assert {path.name for path in folder.iterdir()} == {
        f"chunk-{chunk}.{kind}" for chunk in ("00000", "sample") for kind in ("jsonl", "manifest.json")
    }
