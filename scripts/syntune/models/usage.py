"""How a checkpoint is loaded, merged, served and uploaded, as lines for its README."""

import shlex
from collections.abc import Sequence
from pathlib import PurePath

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
    folders = shlex.join(chain)
    return f"""tools/in-env train python scripts/export_checkpoint.py --format {layout} \\
    --chain {folders} --output {shlex.quote(output)}"""


def serve(folder: str) -> str:
    """The command that serves a whole checkpoint."""
    return f"vllm serve {shlex.quote(folder)}"


def upload(folder: str) -> str:
    """The command that puts a folder on the hub, without what tells of the machine that trained it."""
    return f"hf upload OWNER/NAME {shlex.quote(folder)} --exclude 'events/*' --exclude '*.log'"


def merged_card(folder: str, chain: Sequence[str], base: Manifest | None, transformers_loads: bool) -> str:
    """A README in the hub's form for a chain that was merged into one checkpoint.

    Args:
        folder: the checkpoint's.
        chain: the folders that it was merged from.
        base: manifest of the first of them, if there is one.
        transformers_loads: whether transformers has the model's class.
    """
    origin = origin_on_hub(base)
    based = f"base_model: {origin[0]}\n" if origin else ""
    use = "Its class is Syntune's: `source: local` reads it. In the layout of the reference MGM:\n\n"
    use += block("sh", export(chain, f"{folder}-reference", "reference"))
    if transformers_loads:
        use = f"{block('python', load_whole(folder))}\n\n{block('sh', serve(folder))}"
    return f"""---
library_name: {"transformers" if transformers_loads else "syntune"}
{based}pipeline_tag: image-text-to-text
tags:
- image-text-to-text
- syntune
---
# {PurePath(folder).name}

Merged by Syntune from {" + ".join(f"`{part}`" for part in chain)}.

{use}
"""


def block(language: str, text: str) -> str:
    """A block of code in Markdown."""
    return f"```{language}\n{text}\n```"
