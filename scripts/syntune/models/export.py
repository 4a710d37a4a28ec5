"""A chain of checkpoints as one that stands alone, in this project's layout or the reference MGM's."""

from collections.abc import Sequence
from pathlib import Path

from syntune.files import atomic_directory
from syntune.models.checkpoints import load_chain
from syntune.models.full_checkpoints import stored_dtype
from syntune.models.mgm.export import export_reference, export_reference_lora


def export_merged(chain: Sequence[Path], output: Path) -> None:
    """Write the whole chain as one full checkpoint in this project's layout, in the base's own type.

    Raises:
        UserError: a folder is not what its place in the chain asks for.
    """
    loaded = load_chain(chain, stored_dtype(chain[0]))
    with atomic_directory(output) as folder:
        loaded.family.write_full(loaded.model, loaded.processor, folder, chain[0])


FORMATS = {"merged": export_merged, "reference": export_reference, "reference-lora": export_reference_lora}
"""By the name of ``--format``."""
