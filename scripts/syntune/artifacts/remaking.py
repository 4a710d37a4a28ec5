"""What to delete so that Snakemake makes a damaged file again: it looks at what a job asks for, and at nothing else."""

from pathlib import Path

from syntune.artifacts.beside import manifest_of


def remake(path: str | Path) -> str:
    """What to do about a file that a stage wrote, at the end of an error that names it."""
    return f"delete {known_by(path) or 'it, if it is there,'} and run snakemake again"


def known_by(path: str | Path) -> str | None:
    """What the jobs that read a file ask for, and whose absence brings it back; None where that is the file alone.

    It is a folder and its manifest, if one job made the whole folder; of a chunk's lineage the chunk's report.
    """
    path = Path(path)
    folder, report = path.parent, path.with_name(path.name.replace(".lineage.parquet", ".json"))
    manifest = manifest_of(folder)
    if manifest.is_file():
        return f"{folder} and {manifest}"
    return str(report) if report != path and report.is_file() else None
