"""What a seed's path names: files, folders and patterns, and the format that they are in."""

from pathlib import Path

import pytest

from syntune.errors import UserError
from syntune.settings.seed_files import find_records, hub_path, images_folder, watched_files
from syntune.settings.seeds import SeedSettings


@pytest.fixture
def work(tmp_path, monkeypatch):
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)


def make(*paths):
    for path in map(Path, paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def found(path, format="auto"):
    records = find_records(path, SeedSettings(path=path, format=format))
    return records.format, [file.as_posix() for file in records.paths]


@pytest.mark.parametrize(
    ("files", "path", "format", "records"),
    [
        (["a.jsonl"], "a.jsonl", "jsonl", ["a.jsonl"]),
        (["a.json"], "a.json", "jsonl", ["a.json"]),
        (["a.tar.gz"], "a.tar.gz", "webdataset", ["a.tar.gz"]),
        (["x/b.parquet", "x/a.parquet", "x/README.md"], "x", "parquet", ["x/a.parquet", "x/b.parquet"]),
        (["x/train/a.parquet", "x/more/b.parquet"], "x", "parquet", ["x/more/b.parquet", "x/train/a.parquet"]),
        (["x/train-0.parquet", "x/test-0.parquet"], "x/train-*", "parquet", ["x/train-0.parquet"]),
        (["x/a.parquet", "x/b.parquet", "x/c.json"], "x/*.parquet", "parquet", ["x/a.parquet", "x/b.parquet"]),
        (["x/a.jsonl", "x/y/b.jsonl"], "x/**", "jsonl", ["x/a.jsonl", "x/y/b.jsonl"]),
        (["x/metadata.csv", "x/a.png"], "x", "image_folder", ["x/metadata.csv"]),
        (["x/metadata.jsonl", "x/a.png"], "x", "image_folder", ["x/metadata.jsonl"]),
        (["x/metadata.csv"], "x/metadata.csv", "image_folder", ["x/metadata.csv"]),
        (["x/a.png", "x/a.txt"], "x", "image_folder", ["x"]),
        (["x/cats/a.png", "x/cats/a.txt"], "x", "image_folder", ["x"]),
        (["x/0/a.jpg", "x/0/a.txt", "x/0/a.json", "x/0_stats.csv"], "x", "image_folder", ["x"]),
        (["x/a.jpg", "x/a.json", "x/seed.json"], "x", "jsonl", ["x/seed.json"]),
        (["x/state.json", "x/dataset_info.json", "x/data-0.arrow"], "x", "saved", ["x"]),
        (["x/dataset_dict.json", "x/train/state.json"], "x", "saved", ["x"]),
        (["x/a.jsonl", "x/dataset_infos.json", "x/a.png"], "x", "jsonl", ["x/a.jsonl"]),
    ],
)
def test_a_format_is_found_by_the_names(work, files, path, format, records):
    make(*files)
    assert found(path) == (format, records)


@pytest.mark.parametrize(
    ("head", "format"),
    [(b"PAR1...", "parquet"), (b'\xef\xbb\xbf [{"text"', "jsonl"), (b"a" * 257 + b"ustar", "webdataset")],
)
def test_a_format_is_found_by_how_a_file_begins(work, head, format):
    Path("records").write_bytes(head)
    assert found("records") == (format, ["records"])


@pytest.mark.parametrize(
    ("files", "path", "format", "match"),
    [
        (["records"], "records", "auto", "records: which format it is cannot be told; set format: jsonl, llava, "),
        (
            ["x/a.parquet", "x/b.tar"],
            "x",
            "auto",
            "x holds files of several formats; set format: parquet or webdataset",
        ),
        (["x/a.parquet", "b.tar"], "*", "auto", "files of several formats"),
        (["x/a.parquet"], "x", "webdataset", "x holds no records of format webdataset"),
        (["x/train-0.parquet", "x/test-0.parquet"], "x", "auto", r"x holds several splits \(test, train\); set path"),
        (["x/train/a.tar", "x/validation/a.tar"], "x", "auto", r"splits \(train, val\); .* \(there is train/a.tar\)"),
        (["x/notes.md"], "x", "auto", "x holds no records of a known format"),
        (["x/a.png", "x/captions.csv"], "x", "auto", "x holds pictures and captions.csv; make that metadata.csv, or"),
        (["a.arrow"], "a.arrow", "saved", "a.arrow: a saved dataset is a folder"),
        ([], "a.json", "auto", "a.json does not exist"),
        ([], "*.json", "auto", r"\*.json matches nothing"),
    ],
)
def test_doubt_is_one_line_that_names_the_choices(work, files, path, format, match):
    make(*files)
    with pytest.raises(UserError, match=match):
        found(path, format)


def test_a_named_format_takes_its_files_alone(work):
    make("x/a.parquet", "x/b.tar", "x/c.jsonl")
    assert found("x", "webdataset") == ("webdataset", ["x/b.tar"])
    assert found("x", "llava") == ("llava", ["x/c.jsonl"])


def test_snakemake_watches_records_and_no_pictures(work):
    make("x/metadata.csv", "x/a.png", "y/a.png", "y/a.txt", "z/b.jsonl", "z/a.jsonl")
    paths = ["x", "y", "z/*.jsonl", "not-made-yet.jsonl", f"owner/name@{'0' * 40}/data"]
    assert watched_files(SeedSettings(path=paths)) == ["x/metadata.csv", "z/a.jsonl", "z/b.jsonl", "not-made-yet.jsonl"]


def test_the_folder_of_images_is_the_setting_or_a_folder_of_pictures(work):
    make("y/a.png", "y/a.txt", "z/a.jsonl")
    assert images_folder(SeedSettings(path="z/a.jsonl", images="y")) == "y"
    assert images_folder(SeedSettings(path="y")) == "y"
    assert images_folder(SeedSettings(path="z")) is None
    assert images_folder(SeedSettings(path="z", images=f"owner/name@{'0' * 40}/images")) is None


def test_a_hub_address_is_taken_apart():
    commit = "0123456789abcdef0123456789abcdef01234567"
    assert hub_path(f"owner/name@{commit}") == ("owner/name", commit, None)
    assert hub_path(f"owner/name@{commit}/data/*.parquet") == ("owner/name", commit, "data/*.parquet")
    assert hub_path("data/owner@home/x.json") is None
