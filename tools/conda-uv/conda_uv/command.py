"""The calls of conda that Snakemake makes, and no others."""

import argparse
import json
import os
import shlex
import sys
from pathlib import Path

from conda_uv.messages import CondaUvError, say

ROOT = Path(__file__).resolve().parents[1]
VERSION = "26.7.1"  # the conda whose answers these are; Snakemake wants one x.y.z, at least 24.7.1
ARCHITECTURES = {"x86_64": "64", "aarch64": "aarch64", "arm64": "arm64"}
SYSTEMS = {"linux": "linux", "darwin": "osx"}


def main(arguments: list[str]) -> int:
    """Answer one call; returns the exit status."""
    args = parser().parse_args(arguments)
    try:
        args.answer(args)
    except CondaUvError as error:
        say(str(error))
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def parser() -> argparse.ArgumentParser:
    """The calls, each with the function that answers it."""
    top = argparse.ArgumentParser(
        prog="conda", description="A small conda backed by uv: what Snakemake needs of conda."
    )
    top.add_argument("--version", action="version", version=f"conda {VERSION} (uv front-end)")
    # without prog, argparse formats a help text and imports half of the standard library for it
    calls = top.add_subparsers(required=True, metavar="CALL", prog="conda")

    info = calls.add_parser("info", help="where this conda is")
    info.add_argument("--json", action="store_true", required=True)
    info.set_defaults(answer=answer_info)

    config = calls.add_parser("config", help="a setting's value")
    config.add_argument("--get", required=True, choices=["channel_priority"])
    config.add_argument("--json", action="store_true", required=True)
    config.set_defaults(answer=answer_config)

    env = calls.add_parser("env", help="environments")
    env_calls = env.add_subparsers(required=True, metavar="CALL", prog="conda env")
    env_create = env_calls.add_parser("create", help="make the environment of a spec")
    create = calls.add_parser("create", help="refused: lists of conda packages")
    for call, answer in ((env_create, answer_env_create), (create, refuse_create)):
        call.add_argument("--file", "-f", type=Path, required=True)
        call.add_argument("--prefix", "-p", type=Path, required=True)
        call.add_argument("--quiet", "-q", "--no-default-packages", "--yes", "-y", action="store_true")
        call.set_defaults(answer=answer)

    clean = calls.add_parser("clean", help="nothing to do: uv keeps its own cache")
    clean.add_argument("--yes", "-y", "--tarballs", "--packages", action="store_true")
    clean.set_defaults(answer=lambda args: None)
    return top


def answer_info(args: argparse.Namespace) -> None:
    """Print where ``bin/activate`` is and the platform's name."""
    system = SYSTEMS.get(sys.platform, sys.platform)
    machine = os.uname().machine.lower()
    architecture = ARCHITECTURES.get(machine, machine)
    root = shlex.quote(str(ROOT))  # Snakemake puts it into a shell command as it is
    print(json.dumps({"conda_prefix": root, "conda_version": VERSION, "platform": f"{system}-{architecture}"}))


def answer_config(args: argparse.Namespace) -> None:
    """Print the value that keeps Snakemake from warning; there are no channels here."""
    print(json.dumps({"get": {args.get: "strict"}}))


def answer_env_create(args: argparse.Namespace) -> None:
    """Make an environment."""
    from conda_uv.environment import create_environment  # what it imports takes longer than Snakemake's other calls

    create_environment(args.file, args.prefix.absolute())


def refuse_create(args: argparse.Namespace) -> None:
    """Refuse a pin file, a list of conda packages; Snakemake then takes the spec itself."""
    raise CondaUvError(
        f"{args.file}: a list of conda packages needs a real conda; without one, the env spec it was made from is used"
    )
