"""Call Snakemake, where it would end in a traceback otherwise: a config that is missing, a second Ctrl-C."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

from syntune.calling import interrupt_once, missing_config  # noqa: E402

if __name__ == "__main__":
    if said := missing_config(sys.argv[1:]):
        sys.exit(f"error: {said}")
    interrupt_once()
    sys.path[:2] = []  # tools and scripts: as where Snakemake is called without this
    sys.argv[0] = "snakemake"
    from snakemake.cli import main

    main()
