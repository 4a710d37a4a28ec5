"""Look at data of your own, show some rows as they will be trained, and write a first config for them."""

import argparse
import os
from pathlib import Path

from syntune.command import run_command


def main(args: argparse.Namespace) -> None:
    """Print what was found and what comes next; write the config."""
    from syntune.data.first_look import look_at, told
    from syntune.errors import UserError
    from syntune.files import atomic_file
    from syntune.settings.beginning import first_config, held_out, name_for, training_size
    from syntune.settings.reading import read_settings
    from syntune.settings.seeds import SeedSettings
    from syntune.settings.strict import Name

    name = read_settings(args.name or name_for(args.data), Name, "--name")
    file = Path(f"config/{name}.yaml")
    if file.exists() and not args.force:
        raise UserError(f"{file} is there already; choose another --name, or replace it with --force")
    data, images, base = _below(args.data), _below(args.images), _below(args.base)
    if base is None and not args.tiny and os.path.isdir("data/models/MGM-2B"):
        base = "data/models/MGM-2B"
    seed = read_settings({"path": data, "images": images, "format": args.format}, SeedSettings, args.data)
    look = look_at(seed)
    print(f"{told(look)}\n")
    faults = [key for key, found in (("bad_record", look.faults), ("bad_image", look.bad_pictures)) if found]
    schema = "../schemas/config.schema.json"
    text = first_config(name, seed, look.usable, faults, look.has_short_answers, base, args.tiny, schema)
    with atomic_file(file) as temporary:
        temporary.write_text(text, encoding="utf-8")
    held = held_out(look.usable)
    size = training_size(look.usable - held)
    steps = f"{size.batch} rows a step, {size.epochs} passes, {size.steps} steps; " if base else ""
    print(f"wrote {file}: {steps}{held} rows held out")
    if args.tiny:
        print("it rehearses the whole way on the CPU with a tiny model; the scores mean nothing")
    elif base is None:
        print("it makes data alone; to train a model, name it with --base; --tiny tries the whole way on a CPU")
    print(f"next:\n    snakemake -n --configfile {file}\n    snakemake --cores all --configfile {file}")


def _below(path: str | None) -> str | None:
    """A path from the working folder where it lies in it; as it is, if it is none of this machine."""
    if path is None or not os.path.lexists(path):
        return path
    inside = os.path.relpath(path)
    return os.path.abspath(path) if inside.startswith("..") else inside


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", metavar="DATA", help="a file of records, a folder, a pattern, or owner/name@commit")
    parser.add_argument("--format", default="auto", help="by default found by itself")
    parser.add_argument("--images", metavar="FOLDER", help="folder that image paths start from; by default the data's")
    parser.add_argument("--name", help="name of the config, config/NAME.yaml; by default the data's")
    model = parser.add_mutually_exclusive_group()
    model.add_argument("--base", metavar="MODEL", help="base model: a folder, or owner/name@commit of the hub")
    model.add_argument("--tiny", action="store_true", help="try the whole way with a tiny model on the CPU")
    parser.add_argument("--force", action="store_true", help="replace a config of that name")
    return parser


if __name__ == "__main__":
    run_command(main, parser(), "data")
