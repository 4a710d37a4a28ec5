"""What to delete is what a job asks for; tests/workflow/test_damage.py follows the advice."""

import pytest

from syntune.artifacts.remaking import remake


@pytest.mark.parametrize(
    ("damaged", "told"),
    [
        ("data/raw/shard-0.parquet", "delete {0}/data/raw and {0}/data/raw.manifest.json and run"),
        ("synth/raw/1/chunk-00000.lineage.parquet", "delete {0}/synth/raw/1/chunk-00000.json and run"),
        ("synth/raw/1/chunk-00000.jsonl", "delete it, if it is there, and run"),
        ("data/raw.manifest.json", "delete it, if it is there, and run"),
    ],
)
def test_what_brings_a_file_back_is_named(tmp_path, damaged, told):
    for name in (damaged, "data/raw.manifest.json", "synth/raw/1/chunk-00000.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert remake(tmp_path / damaged).startswith(told.format(tmp_path))
