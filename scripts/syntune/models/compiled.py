"""Where compiled programs are kept, so that the next job of the same code finds them."""

import os
from pathlib import Path

FOLDER = Path("results/cache/compiled")


def keep_compiled_programs() -> None:
    """Have PyTorch and Triton keep what they compile beside the results, unless the environment says where.

    Their own choice is a temporary folder, which the next job of a cluster may not see. Call it before they compile.
    """
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(FOLDER.resolve()))
    os.environ.setdefault("TRITON_CACHE_DIR", str((FOLDER / "triton").resolve()))
