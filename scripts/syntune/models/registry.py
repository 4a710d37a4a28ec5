"""Which family a checkpoint is of."""

from pathlib import Path

from syntune.errors import UserError, one_line
from syntune.files import read_json
from syntune.models.family import Family
from syntune.models.hf.family import HfFamily
from syntune.models.mgm.family import MgmFamily


def family_of(folder: Path) -> Family:
    """The family of a full checkpoint, by the ``model_type`` of its ``config.json``.

    Raises:
        UserError: there is no such file, or it names no model that is known.
    """
    try:
        model_type = read_json(folder / "config.json")["model_type"]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise UserError(f"{folder}: no readable config.json that names a model_type ({one_line(error)})") from error
    return MgmFamily() if model_type == "mgm" else HfFamily(folder)
