"""The plan: what the config will take, before any of it runs."""


rule plan:
    """Target: a prediction of memory, hours and rows, from the settings and what is made already."""
    log:
        "<results>/logs/plan.log",
    localrule: True
    threads: 1
    resources:
        mem_mb=500,
        runtime=5,
    run:
        show_plan(Path(log[0]))
