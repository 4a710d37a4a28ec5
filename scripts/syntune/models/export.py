"""A chain of checkpoints as one that stands alone, in this project's layout or the reference MGM's."""

import logging
from collections.abc import Sequence
from pathlib import Path

from syntune.artifacts.beside import manifest_of
from syntune.artifacts.manifests import read_manifest
from syntune.files import atomic_directory
from syntune.models.checkpoints import load_chain
from syntune.models.full_checkpoints import stored_dtype
from syntune.models.mgm.export import export_reference, export_reference_lora
from syntune.models.usage import merged_card, serve, upload

log = logging.getLogger("export_checkpoint")


def export_merged(chain: Sequence[Path], output: Path) -> None:
    """Write the whole chain as one full checkpoint in this project's layout, in the base's own type, and a model card.

    Raises:
        UserError: a folder is not what its place in the chain asks for.
    """
    loaded = load_chain(chain, stored_dtype(chain[0]))
    with atomic_directory(output) as folder:
        loaded.family.write_full(loaded.model, loaded.processor, folder, chain[0])
        manifest = manifest_of(chain[0])
        base = read_manifest(manifest) if manifest.is_file() else None
        folders = [path.as_posix() for path in chain]
        card = merged_card(output.as_posix(), folders, base, loaded.family.peft_loads)
        (folder / "README.md").write_text(card, encoding="utf-8")
    if loaded.family.peft_loads:
        log.info("serve it: %s", serve(output.as_posix()))
    log.info("upload it: %s", upload(output.as_posix()))


FORMATS = {"merged": export_merged, "reference": export_reference, "reference-lora": export_reference_lora}
"""By the name of ``--format``."""
