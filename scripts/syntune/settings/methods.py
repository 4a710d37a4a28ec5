"""The methods of a run: one row each, which every module that tells methods apart asks."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Method:
    """What a method does.

    Attributes:
        trains: what it trains, for a reader.
        writes: what its checkpoint holds: an adapter (with the connector, where that is trained beside it), the
            connector alone, a whole model, or nothing.
        told: how the report says that a run was trained so.
        quantized: the base's linears are held in 4 bits while the adapter trains.
    """

    trains: str
    writes: Literal["adapter", "connector", "model", "nothing"]
    told: str
    quantized: bool = False

    @property
    def is_trained(self) -> bool:
        """Whether a run of this method trains."""
        return self.writes != "nothing"

    @property
    def stands_alone(self) -> bool:
        """Whether the checkpoint answers without the one that it was trained from."""
        return self.writes == "model"


METHODS: dict[str, Method] = {
    "lora": Method("an adapter on the language model", "adapter", "trained as a LoRA adapter"),
    "qlora": Method("an adapter on a base held in 4 bits", "adapter", "trained as a QLoRA adapter", quantized=True),
    "full": Method("every weight of the language model and the connector", "model", "trained in full"),
    "align": Method("the connector alone (stage 1)", "connector", "trained in the connector alone"),
    "none": Method("nothing: the start answers as it is", "nothing", "not trained"),
}
"""By the name that the config gives it."""
