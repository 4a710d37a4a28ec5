"""The command of a models stage, from a chunk to rows, report, lineage and scores."""

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from misbehaving_server import running
from PIL import Image

import synthesize_with_models
from syntune.artifacts.reports import ChunkReport
from syntune.errors import UserError
from syntune.files import read_jsonl, sha256_file, write_json, write_jsonl

SCRIPT = Path(__file__).resolve().parents[3] / "scripts/synthesize_with_models.py"
OUTPUTS = {"output": "rows.jsonl", "report": "report.json", "lineage": "lineage.parquet", "scores": "scores.parquet"}


@pytest.fixture
def command(prepared, tmp_path):
    """Run the command's main on rows; returns the paths of what it wrote."""

    def run(rows, operators, models, name="out", cache="cache", percentiles=None, pixels="{}", vouched=None):
        write_jsonl(tmp_path / "chunk.jsonl", rows)
        given = {
            key: model
            if isinstance(model, dict)
            else {"settings": model.settings.model_dump(), "folder": str(model.folder)}
            for key, model in models.items()
        }
        if percentiles:
            write_json(tmp_path / "percentiles.json", {"thresholds": percentiles})
        paths = {option: tmp_path / name / file for option, file in OUTPUTS.items()}
        options = [text for option, path in paths.items() for text in (f"--{option}", str(path))]
        arguments = ["--dataset", "d", "--operators", json.dumps(operators), "--models", json.dumps(given)]
        edge = tmp_path / "chunk.json"
        report = ChunkReport(
            rows_in=len(rows), rows_out=len(rows), rows_sha256=sha256_file(tmp_path / "chunk.jsonl"), steps=[]
        )
        write_json(edge, (vouched or report).as_written())
        arguments += ["--chunk", str(tmp_path / "chunk.jsonl"), "--edge", str(edge)]
        arguments += ["--cache", str(tmp_path / cache), "--gpus", "0"]
        arguments += ["--pixels", pixels]
        arguments += ["--percentiles", str(tmp_path / "percentiles.json") if percentiles else "", *options]
        synthesize_with_models.main(synthesize_with_models.parser().parse_args(arguments))
        return paths

    return run


def test_a_stage_scores_and_recaptions(command, prepared, make_row, caplog):
    caplog.set_level(logging.INFO)
    rows = [make_row(number) for number in range(6)] + [make_row(9, "words alone", images=0)]
    models = {"clip": prepared("clip"), "blip": prepared("blip"), "mark": prepared("classifier")}
    scoring = [
        ["image_text_similarity_filter", {"hf_clip": "clip"}],
        ["image_text_matching_filter", {"hf_blip": "blip"}],
        ["image_watermark_filter", {"hf_watermark_model": "mark", "batch_size": 4}],
    ]
    paths = command(rows, scoring, models, "scored")
    scored = list(read_jsonl(paths["output"]))
    assert [row["id"] for row in scored] == [row["id"] for row in rows]
    assert scored[0]["seed_id"] == "row-0"
    assert scored[-1]["stats"] == {
        "image_text_similarity": [], "image_text_matching_score": [], "image_watermark_prob": []
    }  # fmt: skip
    table = pq.read_table(paths["scores"]).to_pylist()
    assert table[2] == {
        "row_id": "row-2",
        "image_sha256": rows[2]["image_sha256"][0],
        **{stat: values[0] for stat, values in scored[2]["stats"].items()},
    }
    assert len(table) == 6 and pq.read_table(paths["lineage"]).num_rows == 0
    assert json.loads(paths["report"].read_text())["steps"] == []

    limit = sorted(row["stats"]["image_text_similarity"][0] for row in scored[:6])[3]
    percentile = {"percentile": "50%", "stat": "image_text_similarity", "value": limit, "values": 6}
    recaption = {
        "model": "vlm", "keep_if_better": "clip", "max_new_tokens": 12, "below": {"image_text_similarity": "50%"}
    }  # fmt: skip
    with running() as server:
        server.answer = "a blue picture"
        endpoint = {"settings": {"source": "endpoint", "base_url": server.url, "model": "m"}, "folder": None}
        paths = command(
            scored, [["recaption_mapper", recaption]], models | {"vlm": endpoint},
            percentiles={"below.image_text_similarity": percentile},
        )  # fmt: skip
        assert len(server.requests) == 3
    assert "models.vlm: at most 3 calls" in caplog.text
    report = json.loads(paths["report"].read_text())
    (step,), (details,) = report["steps"], report["models"]
    assert step == {"operator": "recaption_mapper", "rows_in": 7, "added": 0, "dropped": 0, "rows_out": 7}
    assert details["asked"] == 3 and details["changed"] + details["kept"].get("new caption is not better", 0) == 3
    made = {row["id"]: row for row in read_jsonl(paths["output"])}
    events = pq.read_table(paths["lineage"]).to_pylist()
    assert len(events) == details["changed"] > 0
    for event in events:
        row = made[event["row_id"]]
        assert row["text"] == "<__dj__image>\na blue picture <|__dj__eoc|>"
        assert row["stats"]["image_text_similarity"] == [event["value"]]
        assert event["limit"] == f"below.image_text_similarity {limit:.6g} (50%)"
        before = next(old for old in scored if old["id"] == event["row_id"])
        assert event["value"] > before["stats"]["image_text_similarity"][0]
        assert "image_text_matching_score" not in row["stats"] and "image_watermark_prob" in row["stats"]


def test_the_same_bytes_with_and_without_a_cache(command, prepared, make_row):
    rows = [make_row(number) for number in range(3)]
    models = {"clip": prepared("clip"), "vlm": prepared("llava")}
    operators = [
        ["image_text_similarity_filter", {"hf_clip": "clip"}],
        ["recaption_mapper", {"model": "vlm", "max_new_tokens": 16, "max_failed_share": 1.0}],
    ]
    written = []
    for name, cache in (("one", "first"), ("two", "first"), ("three", "second")):
        paths = command(rows, operators, models, name, cache)
        written.append([path.read_bytes() for path in paths.values()])
    assert written[0] == written[1] == written[2]


def test_images_are_seen_as_the_dataset_says(command, prepared, make_row):
    """A picture on its side is scored and captioned as it is stored, or as it is shown; the one is not the other's."""
    stored = make_row(1)
    tagged = make_row(2) | {"text": stored["text"]}
    path = Path(tagged["images"][0])
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(stored["images"][0]).save(path, exif=exif)
    tagged["image_sha256"] = [sha256_file(path)]
    operators = [
        ["image_text_similarity_filter", {"hf_clip": "clip"}],
        ["image_watermark_filter", {"hf_watermark_model": "mark"}],
        ["recaption_mapper", {"model": "vlm", "max_new_tokens": 12, "max_failed_share": 1.0}],
    ]

    def found(pixels):
        with running() as server:
            endpoint = {"settings": {"source": "endpoint", "base_url": server.url, "model": "m"}, "folder": None}
            models = {"clip": prepared("clip"), "mark": prepared("classifier"), "vlm": endpoint}
            paths = command([stored, tagged], operators[:2], models, pixels=pixels)
            one, other = (row["stats"] for row in read_jsonl(paths["output"]))
            command([stored, tagged], operators[2:], models, pixels=pixels)
            sent = {request["messages"][0]["content"][0]["image_url"]["url"] for request in server.requests}
        return [one[stat] == other[stat] for stat in sorted(one)], len(sent)

    assert found('{"orientation": "ignore"}') == ([True, True], 1)
    assert found("{}") == ([False, False], 2)


@pytest.mark.parametrize(
    ("operator", "message"),
    [
        (["image_text_similarity_filter", {"hf_clip": "other"}], "hf_clip: the model 'other' was not given"),
        (["image_text_similarity_filter", {"hf_clip": "vit"}], "models.vit holds a model of kind classifier"),
        (["image_nsfw_filter", {}], "--operators: image_nsfw_filter: hf_nsfw_model: is missing"),
    ],
)
def test_after_a_mistake_nothing_is_written(command, prepared, make_row, tmp_path, operator, message):
    with pytest.raises(UserError, match=message):
        command([make_row(1)], [operator], {"vit": prepared("classifier")})
    assert not (tmp_path / "out").exists()


def test_rows_that_changed_since_are_refused(command, prepared, make_row, tmp_path):
    vouched = ChunkReport(rows_in=1, rows_out=1, rows_sha256="0" * 64, steps=[])
    with pytest.raises(UserError, match="chunk.jsonl: missing, or not the file that .*chunk.json describes"):
        command([make_row(1)], [["image_text_similarity_filter", {"hf_clip": "clip"}]], {"clip": prepared("clip")},
                vouched=vouched)  # fmt: skip


def test_a_mistake_on_the_command_line_is_one_line():
    options = [text for option in (*OUTPUTS, "chunk", "edge", "cache") for text in (f"--{option}", "nowhere")]
    operators = json.dumps([["image_text_similarity_filter", {"hf_clip": "clip"}]])
    command = [sys.executable, SCRIPT, "--dataset", "d", "--operators", operators, "--models", "{}", *options]
    own = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}  # without pytest's packages
    done = subprocess.run(command, capture_output=True, text=True, env=own)
    assert done.returncode == 1
    assert done.stderr == (
        "error: image_text_similarity_filter: hf_clip: the model 'clip' was not given; add models.clip to the config\n"
    )


def test_an_empty_chunk_stays_empty(command, prepared):
    paths = command([], [["image_text_similarity_filter", {"hf_clip": "clip"}]], {"clip": prepared("clip")})
    assert paths["output"].read_bytes() == b"" and pq.read_table(paths["scores"]).num_rows == 0
