"""Seeds as the world spells them: every layout gives the same rows, or one line that says why not."""

import base64
import gzip
import io
import json
import os
import tarfile
import tracemalloc
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from syntune.data.conversations import to_messages
from syntune.data.formats import json_files, webdataset
from syntune.data.formats.front import read_records
from syntune.data.formats.records import Fault
from syntune.errors import UserError
from syntune.settings.seeds import SeedSettings


@pytest.fixture
def pictures(work, png):
    """Two pictures in ``images/``."""
    Path("images").mkdir()
    for name, color in (("a", "red"), ("b", "blue")):
        Path(f"images/{name}.png").write_bytes(png(color))


def read(path, **settings):
    return list(read_records(SeedSettings(path=path, **settings)))


def one(row, images="images", end="jsonl"):
    """The record of a row in a file of its own."""
    text = json.dumps(row)
    Path(f"one.{end}").write_text(f"[{text}]" if end == "json" else text)
    (record,) = read(f"one.{end}", images=images)
    return record


def turns(record):
    return [(message["role"], message["content"]) for message in to_messages(record.text, "PROMPT")]


def llava(*contents, **more):
    names = ("human", "gpt")
    said = [{"from": names[index % 2], "value": content} for index, content in enumerate(contents)]
    return {"id": "x", "conversations": said, **more}


def chat(*contents, **more):
    names = ("user", "assistant")
    said = [{"role": names[index % 2], "content": content} for index, content in enumerate(contents)]
    return {"id": "x", "messages": said, **more}


ASKED = [("user", "<image>\nWhat?"), ("assistant", "Red.")]
A = Path("images/a.png")


@pytest.mark.parametrize("end", ["json", "jsonl"])
@pytest.mark.parametrize(
    "row",
    [
        llava("<image>\nWhat?", "Red.", image="a.png"),
        llava("What?", "Red.", image="a.png"),
        llava("<image>\nWhat?", "Red.", image=["a.png"]),
        llava("<image>\nWhat?", "Red.", images=["a.png"]),
        llava("What?", "Red.", images=["a.png"]),
        llava("What?", "Red.", images="a.png"),
        llava("What?", "Red.", image=None, images=["a.png"]),
        llava("What?", "Red.", image="a.png", images=["a.png"]),
        llava("What?", "Red.", images=[{"path": "a.png"}]),
        llava("What?", "Red.", images='["a.png"]'),
        llava("What?", "Red.", image_path="a.png"),
        chat("<image>\nWhat?", "Red.", images=["a.png"]),
        chat("What?", "Red.", images=["a.png"]),
        chat("What?", "Red.", image="a.png"),
        chat([{"type": "image"}, {"type": "text", "text": "What?"}], "Red.", images=["a.png"]),
        chat([{"type": "image", "image": "a.png"}, {"type": "text", "text": "What?"}], "Red."),
        chat([{"type": "image_url", "image_url": {"url": "a.png"}}, {"type": "text", "text": "What?"}], "Red."),
        chat([{"type": "text", "text": "What?"}], [{"type": "text", "text": "Red."}], image="a.png"),
        {"id": "x", "texts": [{"user": "What?", "assistant": "Red."}], "images": ["a.png"]},
        {
            "id": "x",
            "messages": [
                {"role": "user", "content": "What?", "images": ["a.png"]},
                {"role": "assistant", "content": "Red."},
            ],
        },
        {"id": "x", "messages": llava("What?", "Red.")["conversations"], "image": "a.png"},
        {"id": "x", "conversations": chat("What?", "Red.")["messages"], "image": "a.png"},
        {"id": "x", "text": "<__dj__image>\n[[human]]: What?\n[[gpt]]: Red. <|__dj__eoc|>", "images": ["a.png"]},
        {"id": "x", "text": "[[user]]: <image>\nWhat?\n[[assistant]]: Red.", "image": "a.png"},
    ],
)
def test_one_meaning_however_it_is_spelled(pictures, row, end):
    record = one(row, end=end)
    assert (record.id, record.images, turns(record), record.notes) == ("x", [A], ASKED, ())


def test_base64_is_the_image(pictures, png):
    uri = "data:image/png;base64,\n" + base64.encodebytes(png()).decode()
    assert one(llava("What?", "Red.", image=uri)).images == [png()]
    assert one(llava("What?", "Red.", image=uri.partition(",")[2])).images == [png()]
    assert one(llava("What?", "Red.", image=uri.replace("image/png", "application/octet-stream"))).images == [png()]
    tiny = base64.b64encode(png(size=(1, 1))).decode()
    assert one(llava("What?", "Red.", image=tiny)).images == [png(size=(1, 1))]
    assert "img64 names images" in one(llava("What?", "Red.", img64=uri.partition(",")[2])).message
    fault = one(llava("What?", "Red.", image="data:image/png;base64,?"))
    assert fault.reason == "bad image" and fault.message.startswith("image: broken base64")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (llava("What?", "Red.", image="a.png", images=["b.png"]), "image and images name different images"),
        (llava("What?", "Red.", pictures=["a.png"]), "pictures names images, but is not read; rename it to images"),
        (llava("What?", "Red.", source="coco/a.jpg"), "source names images, but is not read"),
        (llava("What?", "Red.", meta={"picture": "a.jpg"}), "meta names images, but is not read"),
        (
            {"messages": [{"role": "user", "content": "What?", "picture": "a.png"}]},
            "messages.0.picture names images, but is not read",
        ),
        (llava("What?", "Red.", image="a.png", image2="b.png"), "image2 names images, but is not read"),
        (llava("What?", "Red.", image="a/1.png", image2="b/1.png"), "image2 names images, but is not read"),
        (llava("What?", "Red.", image="a/1.png", image_path="b/1.png"), "image_path and image name different images"),
        ({"id": 37, "image_id": 179765, "caption": "A car."}, "image_id tells of an image, but no key names its file"),
        (llava("What?", "Red.", imageId="2354786"), "imageId tells of an image, but no key names its file"),
        (llava("What?", "Red.", image_url="https://x.org/?photo=3"), "image_url tells of an image, but no key names"),
        (llava("What?", "Red.", video="a.mp4"), "video is not read: Syntune takes images alone"),
        (llava("What?", "Red.", image="https://x.org/a.png"), "image: 'https://x.org/a.png' lies on the web; download"),
        (
            llava("What?", "Red.", image={"src": "a.png"}),
            "image: must be a path or an image's bytes, not {'src': 'a.png'}",
        ),
        (llava("What?", "Red.", image="../a.png"), "../a.png lies outside the images' folder images; set images to a"),
    ],
)
def test_a_key_that_names_pictures_is_read_or_refused(pictures, row, message):
    fault = one(row)
    assert isinstance(fault, Fault) and message in fault.message


@pytest.mark.parametrize("other", ["images/a.png", "./a.png", "/data/coco/a.png", "https://x.org/coco/a.png?size=3"])
def test_two_keys_may_name_one_image_from_different_folders(pictures, other):
    record = one(llava("What?", "Red.", image="a.png", source_image=other))
    assert (record.images, record.unused) == ([A], ("source_image",))


@pytest.mark.parametrize("value", [None, "", [], -1, False])
def test_a_row_of_text_may_say_that_it_has_no_image(pictures, value):
    assert one(llava("What?", "Red.", image_id=value)).images == []


def test_a_key_that_says_where_a_picture_came_from_is_only_counted(pictures):
    row = llava("What?", "Red.", image="a.png", image_url="https://x.org/1/a.png", source="coco/c.jpg", width=3)
    assert one(row).unused == ("image_url", "source", "width")


@pytest.mark.parametrize(
    ("row", "expected", "note"),
    [
        (
            llava("<image>\nQ", "A", "<image>\nR", "B", image="a.png"),
            ["<image>\nQ", "A", "R", "B"],
            "images that several turns mark: first marks kept",
        ),
        (
            llava("Hello", "A", "<image>\nQ", "B", "R\n<image>", "C", image="a.png"),
            ["Hello", "A", "<image>\nQ", "B", "R", "C"],
            "images that several turns mark: first marks kept",
        ),
        (
            llava("Q <image>", "A", "R <image>\n", "B", image="a.png"),
            ["Q <image>", "A", "R", "B"],
            "images that several turns mark: first marks kept",
        ),
        (
            llava("See:\r\n<image>\r\nQ", "A", "<image>\r\nR", "B", image="a.png"),
            ["See:\r\n<image>\r\nQ", "A", "R", "B"],
            "images that several turns mark: first marks kept",
        ),
        (
            llava("<image><image>\nQ", "A", "<image>\n<image>\nR", "B", image=["a.png", "b.png"]),
            ["<image><image>\nQ", "A", "R", "B"],
            "images that several turns mark: first marks kept",
        ),
        (
            chat([{"type": "image"}], "A", [{"type": "image"}, {"type": "text", "text": "R"}], "B", image="a.png"),
            ["<image>", "A", "R", "B"],
            "images that several turns mark: first marks kept",
        ),
        (llava("In SVG?", "Use <image>."), ["In SVG?", "Use <image>."], "<image> read as a word"),
        (llava("What is <image>?", "A tag."), ["What is < image>?", "A tag."], "<image> read as a word"),
        (
            llava("<image>\nIs it <image>?", "An <image>.", image="a.png"),
            ["<image>\nIs it < image>?", "An <image>."],
            "<image> read as a word",
        ),
        (llava("Which?", "The <image>.", image="a.png"), ["<image>\nWhich?", "The <image>."], "<image> read as a word"),
        (
            chat([{"type": "text", "text": "Is <image> seen?"}, {"type": "image"}], "A", image="a.png"),
            ["Is < image> seen?\n<image>", "A"],
            "<image> read as a word",
        ),
    ],
)
def test_a_mark_too_many_is_a_word_or_marks_the_same_image(pictures, row, expected, note):
    record = one(row)
    assert ([content for _, content in turns(record)], record.notes) == (expected, (note,))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (llava("<image>\nWhat?", "Red."), "conversations marks 1 images, the record has 0"),
        (llava("<image>\n<image>\nWhat?", "Red.", image="a.png"), "conversations marks 2 images, the record has 1"),
        (llava("Is <image> one?", "No.", "Is <image>?", "No.", image="a.png"), "conversations marks 2 images, the"),
        (llava("<image>\nWhat?", "Red.", image=["a.png", "b.png"]), "conversations marks 1 images, the record has 2"),
        (llava("What?", "<__dj__image>", image="a.png"), "conversations: an image stands in a turn that is no"),
        ({"text": "<__dj__image>\nred"}, "text marks 1 images, the record has 0"),
    ],
)
def test_marks_that_lack_their_images_are_a_fault(pictures, row, message):
    assert one(row).message.startswith(message)


def test_a_word_at_the_end_of_a_marked_turn_stays_one(pictures):
    record = one(llava("<image>\nIs it an <image>", "A", "<image>\nR", "B", image="a.png"))
    assert [content for _, content in turns(record)] == ["<image>\nIs it an < image>", "A", "R", "B"]


@pytest.mark.parametrize(
    "mark", ["<ImageHere>", "<image_placeholder>", "<|image|>", "<|vision_start|><|image_pad|><|vision_end|>"]
)
def test_another_models_mark_is_one(pictures, mark):
    record = one(llava(f"{mark}\nWhat?", "Red.", image="a.png"))
    assert (turns(record), record.notes) == (ASKED, ("another model's image mark read as <image>",))
    assert one(llava(f"{mark}What?", "Red.")).message == "conversations marks 1 images, the record has 0"


def test_a_picture_that_the_text_alone_names_is_not_lost(pictures):
    fault = one(chat("Picture 1: <img>a.png</img>\nWhat?", "Red."))
    assert fault.reason == "pictures under an unread key"
    assert fault.message.startswith("messages: <img>a.png</img> is not read; name the picture under images")
    assert turns(one(chat("What does <img>alt</img> do?", "Nothing.")))[0][1] == "What does <img>alt</img> do?"


def test_interleaved_images_stay_where_they_are(pictures):
    row = llava("Is <image> or <image> red?", "The first.", images=["a.png", "b.png"])
    assert turns(one(row))[0] == ("user", "Is <image> or <image> red?")


def test_system_turns_are_put_before_their_question(pictures):
    said = [
        {"from": "system", "value": "Be brief."},
        {"from": "human", "value": "<image>\nWhat?"},
        {"from": "gpt", "value": "Red."},
    ]
    record = one({"conversations": said, "image": "a.png"})
    assert turns(record) == [("user", "Be brief.\n\n<image>\nWhat?"), ("assistant", "Red.")]
    assert record.notes == ("system turn put before its question",)
    said.insert(2, {"from": "system", "value": "Be kind."})
    assert turns(one({"conversations": said, "image": "a.png"}))[0][1] == "Be brief.\n\n<image>\nWhat?\n\nBe kind."
    assert turns(one({**llava("What?", "Red.", image="a.png"), "system": "Be brief."})) == [
        ("user", "<image>\nBe brief.\n\nWhat?"),
        ("assistant", "Red."),
    ]
    record = one({"text": "[[system]]: Be brief.\n[[human]]: What?\n[[gpt]]: Red.", "images": ["a.png"]})
    assert turns(record)[0] == ("user", "<image>\nBe brief.\n\nWhat?")


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ([{"type": "text", "text": "What?", "image": "a.png"}], "content.0.image names images, but is not read"),
        ([{"image": "a.png", "text": "What?"}], "content.0: holds an image and a text; make two parts of it"),
        ([{"type": "image", "file": "a.png"}], "content.0.file names images, but is not read; put it under image"),
        ([{"type": "image", "source": {"data": "iVBORw0KGgo" + "A" * 100}}], "content.0.source names images, but is"),
        ([{"type": "image", "index": 1}, {"type": "image", "index": 0}], "content.0.index: is 1 where image 0 comes"),
        ([{"type": "text", "text": None}], "content.0: is neither text nor an image, but {'type': 'text'"),
    ],
)
def test_a_part_that_would_lose_or_swap_its_image_is_a_fault(pictures, parts, message):
    assert f"messages.0.{message}" in one(chat(parts, "Red.", images=["a.png", "b.png"])).message
    assert f"messages.0.{message}" in one(chat(parts, "Red.")).message


def test_parts_spelled_as_json_are_parts_and_other_json_is_text(pictures):
    parts = json.dumps([{"type": "image"}, {"type": "text", "text": "What?"}])
    assert turns(one(chat(parts, json.dumps([{"type": "text", "text": "Red."}]), image="a.png"))) == ASKED
    for answer in ('[{"type": "text", "box": [1, 2], "text": "Red."}]', '[{"type": "image"', '[{"type": "cat"}]'):
        assert turns(one(chat("What?", answer, image="a.png")))[1][1] == answer


def test_parts_without_a_type_are_told_by_what_they_hold(pictures):
    record = one(chat([{"image": "a.png", "text": ""}, {"image": None, "text": "What?"}], "Red."))
    assert (record.images, turns(record)) == ([A], ASKED)


def test_an_index_that_stood_before_marks_no_image_again(pictures):
    asked = [{"type": "image", "index": 0}, {"type": "text", "text": "What?", "index": None}]
    assert turns(one(chat(asked, "Red.", asked, "Red.", image="a.png"))) == [*ASKED, ("user", "What?"), ASKED[1]]
    again = one(chat([*asked, *asked], "Red.", images=["a.png", "b.png"]))
    assert again.message == "messages marks 1 images, the record has 2"


def test_a_turn_whose_text_is_null_is_named(pictures):
    assert one(chat("What?", None, image="a.png")).message == "messages.1.content: is null"


def test_keys_of_turns_that_are_not_read_are_counted(pictures):
    row = chat("What?", "Red.", image="a.png")
    row["messages"][1]["weight"] = 0
    assert one(row).unused == ("messages.weight",)
    row["messages"][1]["weight"] = None
    assert one({**row, "images": None, "source": None}).unused == ()


@pytest.mark.parametrize("content", ['[{"text": "x"}]', '{"text": "x"}\n\n{"text": "y"}'])
def test_a_byte_order_mark_is_no_text(work, content):
    Path("a.json").write_bytes(b"\xef\xbb\xbf" + content.encode())
    assert [record.text for record in read("a.json")] == ["x", "y"][: content.count("text")]


def test_files_that_were_joined_have_marks_within(work):
    Path("a.jsonl").write_bytes(b'\xef\xbb\xbf{"text": "x"}\n\xef\xbb\xbf{"text": "y"}\n')
    assert [record.text for record in read("a.jsonl")] == ["x", "y"]


@pytest.mark.parametrize("content", ['[{"text": "x"}]', '{"text": "x"}'])
def test_byte_order_marks_of_several_savings_are_no_text(work, content):
    Path("a.json").write_bytes(b"\xef\xbb\xbf" * 2 + content.encode())
    assert [record.text for record in read("a.json")] == ["x"]


LINES = '{"text": "x"}\n{"text": "y"}\n'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (LINES.encode("utf-16"), "is UTF-16 text; save it as UTF-8"),
        (LINES.encode("utf-16-le"), "is UTF-16 text; save it as UTF-8"),
        (LINES.encode("utf-16-be"), "is UTF-16 text; save it as UTF-8"),
        (gzip.compress(LINES.encode()), "is compressed; unpack it"),
        (b'{"data": [\n{"text": "x"}]}', "one JSON object over several lines; needed is a list of records, or one a"),
        (b'{"text": "x",\n"id": 1}', "one JSON object over several lines; needed is a list of records, or one a line"),
        (b'{\n"text": "x"}', "one JSON object over several lines; needed is a list of records, or one a line"),
    ],
)
def test_a_file_that_is_no_list_and_no_lines_is_named_once(work, content, message):
    Path("a.jsonl").write_bytes(content)
    with pytest.raises(UserError, match=f"a.jsonl: {message}"):
        read("a.jsonl", bad_record="drop")


@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet", "a.tar", "metadata.csv"])
def test_a_pointer_of_git_lfs_is_named(work, name):
    Path(name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n")
    with pytest.raises(UserError, match=f"{name}: a pointer of Git LFS, not the file itself; fetch it with git lfs"):
        read(name)


def test_lines_with_commas_between_are_faults_of_their_own(work):
    Path("a.jsonl").write_text('{"text": "x"},\n{"text": "y"}\n')
    fault, record = read("a.jsonl")
    assert fault.message.startswith("not valid JSON: trailing characters") and record.text == "y"


def test_a_list_is_read_in_blocks(work, monkeypatch):
    monkeypatch.setattr(json_files, "_BLOCK", 7)
    rows = [{"id": index, "text": f'é "{index}" \\ 😀 ]}}, [' * index} for index in range(30)]
    for indent in (None, 2):
        Path("a.json").write_text(json.dumps(rows, indent=indent, ensure_ascii=indent is None))
        assert [(record.id, record.text) for record in read("a.json")] == [
            (str(row["id"]), row["text"]) for row in rows
        ]


def test_a_list_in_one_line_is_read_in_blocks(work, monkeypatch):
    monkeypatch.setattr(json_files, "_BLOCK", 2**12)
    Path("a.json").write_text(json.dumps([{"text": "x" * 1000}] * 10_000))
    tracemalloc.start()
    assert sum(1 for _ in json_files.read_json_file(Path("a.json"))) == 10_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20


def test_half_a_surrogate_pair_is_a_fault_of_its_record(work):
    Path("a.json").write_text('[{"text": "\\ud83d\\ude00"}, {"id": "x", "text": "\\ud800"}, {"text": "y"}]')
    first, fault, last = read("a.json")
    assert (first.text, fault.where, fault.reason, last.text) == ("😀", "a.json: record 2", "not valid JSON", "y")


def test_parquet_of_each_layout(pictures, png):
    said, parts = llava("<image>\nWhat?", "Red.")["conversations"], [{"type": "image", "text": None}]
    layouts = [
        {"image": {"bytes": png(), "path": "a.png"}, "conversations": said},
        {"images": [{"bytes": None, "path": "images/a.png"}], "conversations": said},
        {"image": "images/a.png", "conversations": json.dumps(said)},
        {"image": png(), "conversations": {"from": ["human", "gpt"], "value": ["<image>\nWhat?", "Red."]}},
        {
            "images": [png()],
            "messages": [
                {"role": "user", "content": [*parts, {"type": "text", "text": "What?"}]},
                {"role": "assistant", "content": [{"type": "text", "text": "Red."}]},
            ],
        },
    ]
    for layout in layouts:
        pq.write_table(pa.Table.from_pylist([layout]), "a.parquet")
        (record,) = read("a.parquet")
        assert turns(record) == ASKED
        assert record.images in ([png()], [A])


def test_a_row_of_parquet_that_python_cannot_hold_is_a_fault(work):
    text = pa.array([b"x", b"\xff", b"z"]).view(pa.string())
    pq.write_table(pa.table({"text": text, "when": pa.array([1, 2, 2**60], pa.timestamp("ms"))}), "a.parquet")
    record, fault, last = read("a.parquet")
    assert (record.text, fault.where, last.where) == ("x", "a.parquet: row 2", "a.parquet: row 3")
    assert fault.message.startswith("text: cannot be read ('utf-8' codec can't decode byte 0xff")
    assert last.message.startswith("when: cannot be read")


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ('[{"from": "human", "value": "\\ud800"}]', "conversations: not valid JSON: "),
        ("[" * 100_000, "conversations: not valid JSON: recursion limit exceeded"),
    ],
)
def test_json_within_a_cell_is_read_as_strictly_as_a_file(work, said, message):
    pq.write_table(pa.table({"conversations": [said]}), "a.parquet")
    (fault,) = read("a.parquet")
    assert fault.message.startswith(message)


def test_several_files_are_read_in_order(pictures):
    for name in ("b", "a", "c"):
        Path(f"{name}.jsonl").write_text(json.dumps({"id": name, "text": name}))
    assert [record.id for record in read("*.jsonl")] == ["a", "b", "c"]
    assert [record.id for record in read(["c.jsonl", "a.jsonl"])] == ["c", "a"]
    assert [record.where for record in read("*.jsonl", limit=2)] == ["a.jsonl: line 1", "b.jsonl: line 1"]


def tar(path, members):
    with tarfile.open(path, "w") as file:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))


def test_webdataset(work, png):
    tar(
        "a.tar",
        {
            "x/001.png": png(),
            "x/001.txt": b"a red square",
            "x/001.json": b'{"width": 40}',
            "002.0.png": png(),
            "002.1.png": png("blue"),
            "002.json": json.dumps({"id": 7, **chat("What?", "Two.")}).encode(),
            "003.png": png(),
            "003.cls": b"1",
            "004.json": b"{",
        },
    )
    first, second, third, fourth = read("a.tar")
    assert (first.id, first.text, first.images) == ("x/001", "<__dj__image>\na red square", [png()])
    assert first.unused == ("width",)
    assert (second.id, second.images) == ("x", [png(), png("blue")])
    assert (third.where, third.reason) == ("a.tar: sample 003", "no text or conversation")
    assert fourth.message.startswith("004.json: not valid JSON: EOF")


def test_many_images_of_a_sample_are_in_the_order_of_their_numbers_or_as_its_record_names_them(work, png):
    pictures = {f"k.{number}.png": png(size=(8 + number, 8)) for number in range(12)}
    named = {"images": ["k.11.png", "x/k.2.png"], "text": "<image> <image>"}
    tar("a.tar", {**pictures, "k.txt": b"many"})
    tar("b.tar", {**pictures, "k.json": json.dumps(named).encode()})
    tar("c.tar", {"001.png": png(), "001.json": json.dumps(llava("What?", "Red.", image="coco/001.png")).encode()})
    (many,), (two,), (one,) = read("a.tar"), read("b.tar"), read("c.tar")
    assert many.images == list(pictures.values())
    assert two.images == [pictures["k.11.png"], pictures["k.2.png"]]
    assert (one.images, turns(one)) == ([png()], ASKED)


def test_members_of_a_sample_must_follow_each_other_but_for_what_macos_adds(work, png):
    tar("a.tar", {"1.png": png(), "2.png": png("blue"), "1.txt": b"red", "2.txt": b"blue"})
    assert [fault.message.split(",")[0] for fault in read("a.tar")[2:]] == ["its members stand apart"] * 2
    tar("b.tar", {"./._1.png": b"x", "./1.png": png(), "./._1.txt": b"x", "./1.txt": b"red"})
    (record,) = read("b.tar")
    assert (record.id, record.images, record.text) == ("1", [png()], "<__dj__image>\nred")


def test_a_member_that_stands_twice_is_a_fault(work, png):
    with tarfile.open("a.tar", "w") as file:
        for content in (png(), png("blue")):
            info = tarfile.TarInfo("1.png")
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))
    (fault,) = read("a.tar")
    assert fault.message == "1.png stands there twice"


def test_names_that_are_not_utf8_are_faults_that_can_be_written(work, png):
    os.makedirs(b"pictures/caf\xe9")
    Path(os.fsdecode(b"pictures/caf\xe9/a.png")).write_bytes(png())
    tar("a.tar", {os.fsdecode(b"caf\xe9.png"): png()})
    for fault in (*read("pictures"), *read("a.tar")):
        assert fault.id.startswith("caf\\xe9") and fault.message.endswith("its name is not UTF-8; rename it")
        assert json.dumps(fault._asdict(), ensure_ascii=False).encode()


def test_a_huge_member_is_not_read(work, png, monkeypatch):
    monkeypatch.setattr(webdataset, "_MOST_BYTES", 10)
    tar("a.tar", {"1.txt": b"x", "1.png": png(), "2.txt": b"y"})
    fault, record = read("a.tar")
    assert (fault.reason, fault.message) == ("bad image", "1.png is larger than 10 bytes")
    assert record.text == "y"


def test_a_damaged_tar_file_is_named(work, png):
    tar("a.tar", {"1.png": png(size=(400, 400)), "1.txt": b"x"})
    Path("a.tar").write_bytes(Path("a.tar").read_bytes()[:700])
    with pytest.raises(UserError, match="a.tar: not a readable tar file"):
        read("a.tar")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("metadata.csv", '\ufefffile_name,text\na.png,"a red, plain square"\nb.png,blue\n'),
        (
            "metadata.jsonl",
            '{"file_name": "a.png", "text": "a red, plain square"}\n{"file_name": "b.png", "text": "blue"}',
        ),
    ],
)
def test_a_folder_of_pictures_with_a_table(pictures, name, content):
    Path("images", name).write_text(content, encoding="utf-8")
    first, second = read("images")
    assert (first.images, first.text) == ([A], "<__dj__image>\na red, plain square")
    assert (second.images, second.text) == ([Path("images/b.png")], "<__dj__image>\nblue")


def test_a_row_of_a_table_that_lacks_cells_is_a_fault(pictures):
    Path("images/metadata.csv").write_text("file_name,text\na.png\nb.png,blue\n")
    fault, record = read("images")
    assert (fault.where, fault.message) == ("images/metadata.csv: row 1", "has 1 cells, the header has 2")
    assert record.text.endswith("blue")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("metadata.csv", b"file_name,text,text\na.png,red,blue\n", "metadata.csv: the header names text twice; rename"),
        ("metadata.csv", "file_name,text\na.png,é\n".encode("latin-1"), r"metadata.csv: not UTF-8 text \(.*; save"),
        ("metadata.csv", "file_name,text\na.png,é\n".encode("utf-16"), r"metadata.csv: not UTF-8 text \(.*; save"),
        ("a.tsv", b"file_name\ttext\na.png\tred\n", "a.tsv: no table of pictures; save it as .csv with commas"),
    ],
)
def test_a_table_that_cannot_be_read_is_named(pictures, name, content, message):
    Path("images", name).write_bytes(content)
    with pytest.raises(UserError, match=message):
        read(f"images/{name}", format="image_folder")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("metadata.csv", "file_name,text,,\n,red,,\nb.png,blue,,\n"),
        ("metadata.jsonl", '{"file_name": null, "text": "red"}\n{"file_name": "b.png", "text": "blue"}'),
    ],
)
def test_a_row_of_a_table_that_names_no_picture_is_a_fault(pictures, name, content):
    Path("images", name).write_text(content)
    fault, record = read("images")
    assert (fault.message, record.images) == ("file_name is empty", [Path("images/b.png")])


def test_columns_of_one_name_are_refused(work):
    texts = pa.table([["red"], ["blue"]], names=["text", "text"])
    pq.write_table(texts, "a.parquet")
    with pytest.raises(UserError, match="a.parquet: has two columns text; rename one"):
        read("a.parquet")


def test_a_folder_of_pictures_with_texts_beside(pictures):
    Path("images/more").mkdir()
    Path("images/a.png").rename("images/more/a.png")
    Path("images/more/a.txt").write_text("\ufeffa red square\n", encoding="utf-8")
    fault, record = read("images")
    assert (fault.where, fault.message) == ("images/b.png", "there is no b.txt beside it")
    assert (record.id, record.images) == ("more/a.png", [Path("images/more/a.png")])
    assert record.text == "<__dj__image>\na red square"


def test_a_dataset_saved_to_disk(work, png):
    from datasets import Dataset, DatasetDict, Features, Image, List, Value

    row = {
        "id": "x",
        "image": {"bytes": png(), "path": None},
        **{"conversations": llava("What?", "Red.")["conversations"]},
    }
    features = Features(
        {
            "id": Value("string"),
            "image": Image(),
            "conversations": List({"from": Value("string"), "value": Value("string")}),
        }
    )
    dataset = Dataset.from_list([row] * 70, features=features)
    dataset.save_to_disk("plain", num_shards=2)
    DatasetDict(train=dataset).save_to_disk("splits")
    for folder in ("plain", "splits"):
        records = read(folder)
        assert len(records) == 70
        assert (records[0].images, turns(records[0])) == ([png()], ASKED)
    DatasetDict(train=dataset, test=dataset).save_to_disk("two")
    with pytest.raises(UserError, match="two: holds several splits; set path to one of them: two/train, two/test"):
        read("two")
    assert len(read("two/test")) == 70


def test_batches_end_at_a_number_of_records_or_bytes():
    from syntune.data.batches import batches
    from syntune.data.formats.records import Record

    small, large = Record("", None, [Path("a")], ""), Record("", None, [b"x" * 2**25, b"x" * 2**25], "")
    assert [len(batch) for batch in batches([small] * 1000)] == [512, 488]
    assert [len(batch) for batch in batches([small, large, small, large, large])] == [2, 2, 1]


def test_a_pipe_among_the_images_is_refused_without_waiting(pictures):
    os.mkfifo("images/pipe.png")
    fault = one(llava("What?", "Red.", image="pipe.png"))
    assert (fault.reason, fault.message) == ("bad image", "image: pipe.png is not a regular file")


def test_a_link_is_followed(pictures, png):
    Path("elsewhere.png").write_bytes(png())
    Path("images/link.png").symlink_to(Path("elsewhere.png").absolute())
    assert one(llava("What?", "Red.", image="link.png")).images == [Path("images/link.png")]


def test_absolute_paths_need_a_folder_that_holds_them(pictures):
    row = llava("What?", "Red.", image=str(A.absolute()))
    assert one(row, images="/").images == [A]
    assert one(row).images == [A]
    assert "set images to a folder that holds it" in one(row, images="elsewhere").message
