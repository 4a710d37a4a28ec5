"""A byte-level BPE tokenizer of a dataset's own text, with Gemma's control tokens."""

from collections.abc import Iterator
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from syntune.artifacts.shards import IMAGE_MARK, shard_files
from syntune.errors import UserError
from syntune.models.mgm.tokenizer import SPECIAL_IDS, SPECIAL_NAMES, TURN_TOKENS

CONTROL = [*SPECIAL_IDS, *TURN_TOKENS]
"""Their ids are their places here."""

_BATCH_ROWS = 1024


def train_tokenizer(dataset_manifest: Path, vocab_size: int) -> PreTrainedTokenizerFast:
    """Train on the messages of a dataset's shards; the same shards give the same tokenizer.

    Args:
        dataset_manifest: manifest of the dataset; its parts are the shards.
        vocab_size: most tokens of the vocabulary, control tokens and the 256 bytes included.

    Raises:
        UserError: a shard that the manifest names is not there or is not Parquet with messages.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size, special_tokens=CONTROL, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(_texts(dataset_manifest), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, additional_special_tokens=[*TURN_TOKENS], **SPECIAL_NAMES
    )


def _texts(dataset_manifest: Path) -> Iterator[str]:
    """The turns of every conversation, as the chat form writes them."""
    # here, because the environment of evaluation has no pyarrow and never comes here
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    for path in shard_files(dataset_manifest):
        try:
            with ParquetFile(path) as shard:
                for batch in shard.iter_batches(_BATCH_ROWS, columns=["messages"]):
                    for messages in batch.column("messages").to_pylist():
                        for message in messages:
                            speaker = "user" if message["role"] == "user" else "model"
                            yield f"{speaker}\n{message['content'].replace(IMAGE_MARK, '')}"
        except (OSError, KeyError, ArrowException) as error:
            raise UserError(f"{path}: not a readable shard ({error}); shard the dataset again") from error
