"""Gemma's tokenizer: the control tokens that MGM's chat form needs, and reading it from a folder."""

from pathlib import Path

from transformers import PreTrainedTokenizerFast

from syntune.errors import UserError, one_line

SPECIAL_IDS = {"<pad>": 0, "<eos>": 1, "<bos>": 2, "<unk>": 3}
"""Ids that the model's config relies on."""

SPECIAL_NAMES = {f"{token.strip('<>')}_token": token for token in SPECIAL_IDS}
"""The same tokens by transformers' names: ``pad_token`` and so on."""

TURN_TOKENS = TURN_START, TURN_END = "<start_of_turn>", "<end_of_turn>"


def read_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    """The tokenizer beside a checkpoint.

    Raises:
        UserError: there is no ``tokenizer.json``, or it cannot be read.
    """
    if not (folder / "tokenizer.json").is_file():
        raise UserError(
            f"{folder}: holds no tokenizer.json; copy the one of the language model there (a tokenizer.model alone is "
            "not enough)"
        )
    try:
        return PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # the tokenizers library raises plain exceptions
        raise UserError(f"{folder / 'tokenizer.json'}: not a readable tokenizer ({one_line(error)})") from error
