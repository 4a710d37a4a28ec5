"""What ``snakemake`` and ``snakemake -n`` print: a line a job, what failed and why, one screen for a plan.

The Snakefile puts this in the place of Snakemake's own printing (:func:`syntune.terminal.handler.take_over`). It is no
logger plugin: a plugin must be installed, and Snakemake refuses to start with a profile that names one which is not.
"""
