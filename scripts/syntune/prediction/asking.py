"""Questions about a picture that no benchmark asks, put to a run of the config as prediction puts them."""

import os
from collections.abc import Sequence
from pathlib import Path

from syntune.artifacts.beside import manifest_of
from syntune.benchmarks.protocol import Question
from syntune.errors import UserError
from syntune.images import open_image, read_image
from syntune.models.checkpoints import load_chain
from syntune.prediction.answering import Answerer
from syntune.prediction.device import choose_device
from syntune.prediction.plan import by_image, hash_images
from syntune.settings.reading import read_settings
from syntune.settings.replicates import write_out
from syntune.settings.results import results_folder
from syntune.settings.runs import RunSettings
from syntune.settings.tree import Settings
from syntune.yaml_files import read_yaml


def ask(
    config: str, run: str, picture: Path, questions: Sequence[str], gpus: int | None, max_new_tokens: int
) -> list[str]:
    """The answers of a run, in the questions' order.

    Args:
        config: path of the config.
        run: name of one of its runs, or of one training of a run with replicates.
        picture: the image file.
        questions: what is asked, word for word; ``<image>`` in a question says where the picture stands in it.
        gpus: 1 for the GPU in bfloat16, 0 for the CPU in float32; None takes what the run says.
        max_new_tokens: longest answer, in tokens.

    Raises:
        UserError: there is no such run, it is not trained, or the picture cannot be used.
    """
    folders, settings, batch_size = find_run(config, run)
    image = open_image(read_image(picture), str(picture), pixels=settings.pixels())
    device, dtype = choose_device(min(settings.gpus, 1) if gpus is None else gpus, settings.threads)
    answerer = Answerer(load_chain(folders, dtype, device), max_new_tokens, lambda _: image, settings.threads)
    asked = [Question(index, text, picture) for index, text in enumerate(questions)]
    groups = by_image(hash_images(asked, settings.pixels()))
    answers = {
        hashed.question.id: answer.text for batch in answerer.answer(groups, batch_size) for hashed, answer in batch
    }
    return [answers[question.id] for question in asked]


def find_run(config: str, run: str) -> tuple[list[Path], RunSettings, int]:
    """The folders of the checkpoints that answer for a run, its settings, and how many questions it is asked at a time.

    Raises:
        UserError: the config cannot be read, has no such run, or a checkpoint of the run is not there yet.
    """
    settings = write_out(read_settings(read_yaml(config), Settings, config))
    if run not in settings.runs:
        raise UserError(
            f"{config}: has no run '{run}'; its runs are {', '.join(settings.runs)}; --config names another config"
        )
    results = Path(results_folder([os.path.relpath(config)], settings.results))
    folders = []
    for name in settings.answering(settings.ancestry(run)):
        folder = results / ("models" if name in settings.models else "checkpoints") / name
        manifest = manifest_of(folder)
        if not manifest.is_file():
            call = f"snakemake {manifest} --cores all{'' if config == 'config.yaml' else f' --configfile {config}'}"
            raise UserError(f"{config}: run '{run}' cannot answer yet: {folder} is not made; make it: {call}")
        folders.append(folder)
    return folders, settings.runs[run], settings.prediction.batch_size
