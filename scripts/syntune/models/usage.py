"""How a checkpoint is loaded, merged, served and uploaded, as lines for its README."""

from collections.abc import Sequence

from syntune.artifacts.manifests import Manifest


def origin_on_hub(base: Manifest | None) -> tuple[str, str] | None:
    """Repository and commit that a base model is a copy of, by its manifest."""
    settings = base.settings if base else {}
    return (settings["repo"], settings["revision"]) if settings.get("source") == "hub" else None


def load_whole(folder: str, revision: str | None = None) -> str:
    """Python for a checkpoint that stands alone, in a folder or on the hub."""
    pinned = f', revision="{revision}"' if revision else ""
    return f"""from transformers import AutoModelForImageTextToText, AutoProcessor

model = AutoModelForImageTextToText.from_pretrained("{folder}"{pinned}, dtype="auto").eval()
processor = AutoProcessor.from_pretrained("{folder}"{pinned})"""


def load_adapter(base: str, revision: str | None, folder: str) -> str:
    """Python for an adapter that plain PEFT loads, the connector included."""
    return f"""{load_whole(base, revision)}

from peft import PeftModel

model = PeftModel.from_pretrained(model, "{folder}").eval()"""


def export(chain: Sequence[str], output: str, layout: str = "merged") -> str:
    """The command that makes one checkpoint of a chain."""
    folders = " ".join(chain)
    return f"""tools/in-env train python scripts/export_checkpoint.py --format {layout} \\
    --chain {folders} --output {output}"""


def upload(folder: str) -> str:
    """The command that puts a folder on the hub."""
    return f"hf upload OWNER/NAME {folder}"


def block(language: str, text: str) -> str:
    """A block of code in Markdown."""
    return f"```{language}\n{text}\n```"
