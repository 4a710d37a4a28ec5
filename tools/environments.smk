# The environments that tests need and the demo's rules do not: make envs makes them too.
rule synth_models:
    """Never run: it only names its environment."""
    output:
        "results/environments/synth-models",
    conda:
        "../envs/synth-models.yaml"
    shell:
        "touch {output:q}"
