"""How Snakemake was called: what would go wrong later is said first, before any config is read."""

import os
import sys

if not os.path.samefile(workflow.basedir, os.getcwd()):
    sys.exit(f"error: run snakemake in {workflow.basedir}; for results elsewhere, set results in the config")
