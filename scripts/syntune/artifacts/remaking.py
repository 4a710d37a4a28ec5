"""What to delete so that Snakemake makes a damaged file again: it does not know all files that a job made."""

from pathlib import Path


def remake(path: str | Path) -> str:
    """What to do about a file that a stage wrote, at the end of an error that names it."""
    return f"delete {known_by(path) or 'it, if it is there,'} and run snakemake again"


def known_by(path: str | Path) -> Path | None:
    """The file whose absence has Snakemake make another one again; None where that is the file itself.

    It is the manifest beside the folder that the file lies in or, for what lies beside a chunk's report, that.
    """
    folder, name = Path(path).parent, Path(path).name
    manifest, report = folder.with_name(f"{folder.name}.manifest.json"), folder / f"{name.partition('.')[0]}.json"
    if manifest.is_file():
        return manifest
    return report if name.startswith("chunk-") and report.is_file() else None
