# The environments that tests need and the demo's rules do not: make envs makes them too.
import os
import sys

sys.path.insert(0, "scripts")

from syntune.calling import leave_environments

leave_environments(os.environ)


rule synth_models:
    """Never run: it only names its environment."""
    output:
        "results/environments/synth-models",
    conda:
        "../envs/synth-models.yaml"
    shell:
        "touch {output:q}"
