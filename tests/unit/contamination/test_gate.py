"""The gate from end to end: shards and a benchmark in, findings or one line of error out."""

import base64
import io
import json
import re
import shutil

import pyarrow
import pytest
from PIL import Image, ImageChops
from pyarrow import parquet

from syntune.artifacts.findings import Findings
from syntune.artifacts.reading import read_json_file
from syntune.benchmarks.findings import read_contaminated
from syntune.benchmarks.registry import load_benchmark
from syntune.contamination.limits import check_findings
from syntune.contamination.page import render_pairs
from syntune.contamination.pictures import example_pictures
from syntune.errors import UserError
from syntune.files import sha256_file
from syntune.matching.looks import fingerprint
from syntune.settings.benchmarks import BenchmarkSettings
from syntune.settings.contamination import ContaminationSettings
from syntune.settings.reading import read_settings

QUESTIONS = [
    (1, "a", "What brand is on the bottle?"),
    (2, "a", "What does the sign say?"),
    (3, "b", "What brand is on the bottle?"),
    (4, "c", "Which number is on the bus?"),
    (5, "d", "Who wrote it?"),
]
ASKED = "<image>\nWHAT BRAND is on the bottle"


@pytest.fixture
def images(picture) -> dict:
    return {name: picture(seed) for seed, name in enumerate("abcd")}


@pytest.fixture
def benchmark(textvqa, images) -> dict:
    return textvqa(QUESTIONS, images)


@pytest.fixture
def data(shards, images, picture, encode):
    """Question 1 with its image recompressed, question 4 with its image as it is, and parts of others."""
    small = images["a"].resize((120, 90))
    return shards(
        [
            ("plain", [encode(picture(50))], ["<image>\nWhat is this?", "A picture."]),
            ("near", [encode(small, "JPEG", quality=60)], [ASKED, "Acme"]),
            ("text only", [], ["Who wrote it?", "Nobody."]),
            ("image only", [encode(images["d"], "WEBP", lossless=True)], ["<image>\nDescribe it.", "Colours."]),
            ("two images", [encode(picture(51)), encode(images["c"])], ["Which number is on the bus? <image>", "7"]),
        ]
    )


@pytest.mark.parametrize("mark", ["", "<image>\n"])
def test_questions_of_ones_own_are_found(decontaminate, data, images, encode, tmp_path, mark):
    path = tmp_path / "questions.parquet"
    rows = [
        {"id": str(id), "image": encode(images[image]), "question": mark + text, "answer": "x"}
        for id, image, text in QUESTIONS
    ]
    parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    settings = {"protocol": "vqa", "questions": str(path), "prompt": "Look at the picture.\n{question}\nBe brief."}
    bench = json.loads(decontaminate(data, settings, max_share=0.5).read_text())["benchmarks"]["bench"]
    assert bench["question_ids"]["both"] == ["1", "4"]
    assert bench["question_ids"]["text"] == ["1", "3", "4", "5"]


def test_text_images_and_both_are_counted(decontaminate, data, benchmark):
    found = json.loads(decontaminate(data, benchmark, max_share=0.5).read_text())
    assert (found["dataset"], found["rows"], found["settings"]["ngram"]) == ("d", 5, 8)
    bench = found["benchmarks"]["bench"]
    counts = {key: bench[key] for key in ("questions", "text", "image_exact", "image_near", "both", "share")}
    assert counts == {"questions": 5, "text": 4, "image_exact": 2, "image_near": 2, "both": 2, "share": 0.4}
    assert bench["question_ids"] == {"text": [1, 3, 4, 5], "image": [1, 2, 4, 5], "both": [1, 4]}
    assert sorted(bench["row_ids"]) == ["near", "two images"]
    near, exact = bench["examples"]["both"]
    assert (near["row"], near["question"]) == ("near", "What brand is on the bottle?") and near["distance"] >= 0
    assert (exact["row"], exact["question_id"], exact["distance"]) == ("two images", 4, None)


def test_the_result_does_not_depend_on_the_processes(decontaminate, data, benchmark):
    first, second = (sha256_file(decontaminate(data, benchmark, threads, max_share=None)) for threads in (1, 2))
    assert first == second


def test_too_much_is_refused_in_a_line_with_pairs_and_settings(decontaminate, data, benchmark):
    findings = read_json_file(decontaminate(data, benchmark), Findings)
    with pytest.raises(UserError) as refused:
        check_findings(findings, ContaminationSettings(max_questions=1), "results/contamination/d.html")
    line = str(refused.value)
    assert re.search(r"'d' holds 2 of the 5 .*'bench'.* 0\.4 over contamination.max_share 0\.01", line)
    assert re.search(r"question 1 in row 'near' \(distance \d+\); question 4 in row 'two images' \(the same im", line)
    assert "see them in results/contamination/d.html" in line and "max_distance (now 40)" in line


@pytest.mark.parametrize("limits", [{"max_share": 0.4, "max_questions": 0}, {"max_questions": 2}, {"max_share": None}])
def test_what_is_within_one_limit_passes(decontaminate, data, benchmark, limits):
    findings = read_json_file(decontaminate(data, benchmark), Findings)
    check_findings(findings, ContaminationSettings(**limits), "page")


def held_out(tmp_path, encode, images, questions, **settings) -> dict:
    """A file of questions, each about an image of its own: (question, answer)."""
    path = tmp_path / "questions.parquet"
    rows = [
        {"id": str(place), "image": encode(image), "question": question, "answer": answer}
        for place, (image, (question, answer)) in enumerate(zip(images, questions, strict=True))
    ]
    parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    return {"questions": str(path), **settings}


CAPTIONS = ["A red fox.", "A tall lighthouse.", "Two mugs.", "A ferry at dawn."]
TRAINED = [("other", 50, "A bridge."), ("no leak", 1, "A wall."), ("leak", 2, "Two mugs.")]


@pytest.mark.parametrize(
    ("protocol", "questions"),
    [
        ("caption", ["Describe the image.", "What is shown?", "Describe it.", "Give a caption."]),
        ("vqa", ["Describe the image."] * 4),
    ],
)
def test_of_a_prompt_that_many_share_the_answer_is_looked_for(
    decontaminate, shards, picture, encode, tmp_path, protocol, questions
):
    """Rows 'no leak' and 'leak' hold a benchmark's image with its prompt; only the latter holds the answer, too."""
    data = shards([(row, [encode(picture(image))], [f"<image>\n{questions[0]}", said]) for row, image, said in TRAINED])
    asked = list(zip(questions, CAPTIONS, strict=True))
    benchmark = held_out(tmp_path, encode, map(picture, range(4)), asked, protocol=protocol)
    bench = json.loads(decontaminate(data, benchmark).read_text())["benchmarks"]["bench"]
    assert bench["question_ids"] == {"text": ["2"], "image": ["1", "2"], "both": ["2"]}
    assert bench["row_ids"] == ["leak"]


def test_drawings_of_other_colors_are_other_images(decontaminate, shards, encode, tmp_path):
    def stripes(*colors) -> Image.Image:
        flag = Image.new("RGB", (96, 64))
        for place, color in enumerate(colors):
            flag.paste(color, (32 * place, 0, 32 * place + 32, 64))
        return flag

    ireland, france = stripes("#169b62", "#ffffff", "#ff883e"), stripes("#0055a4", "#ffffff", "#ef4135")
    shrunk = encode(ireland.resize((48, 32)), "JPEG", quality=60)
    data = shards([("france", [encode(france)], ["A flag."]), ("ireland", [shrunk], ["A flag."])])
    benchmark = held_out(tmp_path, encode, [ireland], [("Describe it.", "A flag.")], protocol="caption")
    bench = json.loads(decontaminate(data, benchmark).read_text())["benchmarks"]["bench"]
    assert bench["row_ids"] == ["ireland"]
    assert fingerprint(ireland, 12).bits == fingerprint(france, 12).bits


def test_only_asked_questions_count(decontaminate, data, benchmark):
    found = json.loads(decontaminate(data, {**benchmark, "limit": 3}, max_share=0.4).read_text())
    assert found["benchmarks"]["bench"]["question_ids"]["both"] == [1]


def test_scoring_reads_the_findings_on_the_same_questions_only(decontaminate, data, benchmark):
    findings = decontaminate(data, benchmark, max_share=None)
    asked = load_benchmark(read_settings(benchmark, BenchmarkSettings, "test"), "bench").questions()
    assert read_contaminated(findings, "bench", asked).ids["both"] == {1, 4}
    for name, questions in (("other", asked), ("bench", asked[:3])):
        with pytest.raises(UserError, match=rf"not findings on the {len(questions)} questions of benchmark '{name}'"):
            read_contaminated(findings, name, questions)


def test_a_missing_shard_and_a_damaged_image_are_named(decontaminate, shards, benchmark):
    manifest, folder = shards([("ok", [], ["text"]), ("bad", [b"no image"], ["text"])])
    with pytest.raises(UserError, match=r"shard-00001-of-00002.parquet: row bad: image: not an image"):
        decontaminate((manifest, folder), benchmark)
    (folder / "shard-00000-of-00002.parquet").unlink()
    with pytest.raises(UserError, match=r"shard-00000-of-00002.parquet: missing, or not the file"):
        decontaminate((manifest, folder), benchmark)


def test_a_missing_benchmark_image_is_named(decontaminate, data, textvqa):
    with pytest.raises(UserError, match=r"benchmark bench: 1 of 1 images are missing .*z\.jpg"):
        decontaminate(data, textvqa([(1, "z", "What?")], {}))


def test_an_image_is_found_however_it_is_stored(decontaminate, shards, textvqa, images, encode):
    """Stored on its side with a tag that turns it, it is the same picture."""
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = encode(images["a"].transpose(Image.Transpose.ROTATE_90), exif=exif)
    data = shards([("turned", [stored], [ASKED]), ("other", [encode(images["b"])], ["Hello."])])
    found = json.loads(decontaminate(data, textvqa(QUESTIONS[:1], {"a": images["a"]}), max_share=1).read_text())
    assert (found["benchmarks"]["bench"]["image_exact"], found["benchmarks"]["bench"]["both"]) == (1, 1)


def test_examples_have_pictures_of_question_and_row(decontaminate, data, benchmark, images, tmp_path):
    findings = read_json_file(decontaminate(data, benchmark, max_share=0.5), Findings)
    protocol = load_benchmark(read_settings(benchmark, BenchmarkSettings, "test"), "bench")
    pictures = example_pictures(findings, [protocol], data[0])
    assert set(pictures.questions["bench"]) == {"1", "2", "3", "4", "5"}
    assert {row: len(shown) for row, shown in pictures.rows.items()} == {
        "near": 1, "text only": 0, "image only": 1, "two images": 2,
    }  # fmt: skip
    of_question, of_row = (
        Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1])))
        for uri in (pictures.questions["bench"]["4"], pictures.rows["two images"][1])
    )
    assert max(of_question.size) == 168
    render_pairs(findings, pictures, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert pictures.questions["bench"]["4"] in page and pictures.rows["two images"][1] in page
    assert ImageChops.difference(of_question, of_row).getbbox() is None, "both are of the picture c"


def test_without_examples_no_shard_is_read(decontaminate, shards, benchmark, picture, encode):
    data = shards([("plain", [encode(picture(50))], ["<image>\nWhat is this?", "A picture."])])
    findings = read_json_file(decontaminate(data, benchmark), Findings)
    shutil.rmtree(data[1])
    protocol = load_benchmark(read_settings(benchmark, BenchmarkSettings, "test"), "bench")
    assert example_pictures(findings, [protocol], data[0]).rows == {}
