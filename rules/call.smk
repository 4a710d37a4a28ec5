"""How Snakemake was called: what would go wrong later is said first, before any config is read."""

import gc
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(workflow.basedir) / "scripts"))

from syntune.calling import later_conda, leave_environments
from syntune.settings.results import is_made

if not os.path.samefile(workflow.basedir, os.getcwd()):
    sys.exit(f"error: run snakemake in {workflow.basedir}; for results elsewhere, set results in the config")

if {"{", "}"} & set(os.getcwd()):
    sys.exit(f"error: {os.getcwd()}: Snakemake takes braces in a path for wildcards; rename the folder")

for file in map(os.path.relpath, workflow.overwrite_configfiles):
    if is_made(file):
        sys.exit(f"error: {file} stands after --configfile, so it is taken for a config; put targets first")

if pin_files := sorted(Path("envs").glob("*.pin.txt")):
    sys.exit(f"error: {pin_files[0]}: a pin file leaves out a spec's pip list; remove it: the spec pins every package")

leave_environments(os.environ)

# Planning makes many objects and little garbage: Python's search for cycles took a sixth of the demo's plan.
gc.freeze()
gc.set_threshold(100_000, 50, 100)

if workflow.is_main_process and (conda := later_conda(Path(".venv/bin/conda"), os.get_exec_path())):
    print(f"environments are made by uv; to make them by {conda}, installed later: rm .venv/bin/conda", file=sys.stderr)
