"""The sizes of the model that a run starts from, from what is here of it without reading a weight."""

from pathlib import Path

from syntune.errors import UserError
from syntune.files import read_json
from syntune.planning.shapes import MGM_2B, Shape, shape_of
from syntune.settings.models import LocalModelSettings, PartsModelSettings
from syntune.settings.tree import Settings


def model_shape(settings: Settings, run: str, results: Path) -> Shape:
    """The sizes of a run's base model: of the prepared model, of its local folder, or of MGM's published parts.

    Raises:
        UserError: its config is not here, or is of no kind that can be told; the message says what is missing.
    """
    name = settings.ancestry(run)[0]
    for model in (name, settings.bases(name)[0]):
        prepared = results / f"models/{model}/config.json"
        if prepared.is_file():
            return shape_of(read_json(prepared), str(prepared))
    base = settings.models[settings.bases(name)[0]]
    if isinstance(base, LocalModelSettings):
        config = Path(base.path) / "config.json"
        if not config.is_file():
            raise UserError(f"{config} is missing, which tells the model's sizes")
        return shape_of(read_json(config), str(config))
    if isinstance(base, PartsModelSettings):
        own = Path(base.language_model) / "config.json"
        text = {"text_config": read_json(own)} if own.is_file() else {}
        return shape_of(MGM_2B | text | {"image_size_aux": base.image_size_aux}, f"models.{name}")
    raise UserError(f"the sizes of model '{name}' are not known before it is prepared: {results}/models/{name}")
