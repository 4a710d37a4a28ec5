"""Each check, provoked."""

import math
import random
import statistics

import pytest

from syntune.settings.runs import HealthSettings
from syntune.training.health import Health, Unhealthy
from syntune.training.learning import fall_of
from syntune.training.schedule import planned_learning_rates

STEPS = 40
SCHEDULE = planned_learning_rates(STEPS, 1e-3, "cosine", 2)


def health(masked=0, fresh=False, **settings) -> Health:
    return Health(HealthSettings(**settings), vocabulary=1000, schedule=SCHEDULE, rows=100, masked=masked, fresh=fresh)


def run(checks: Health, losses, norms=None, rates=SCHEDULE) -> Health:
    for step, loss in enumerate(losses, start=1):
        checks.after_step(step, loss, norms[step - 1] if norms else 1.0, rates[step - 1])
    return checks


def test_a_healthy_run_has_only_good_verdicts():
    checks = health(fresh=True)
    checks.before([])
    run(checks, [6.9 - 0.1 * step for step in range(STEPS)]).at_end({"lora_B": 0.5})
    assert {check["name"] for check in checks.report()} == {
        "masked share", "finite", "first loss", "loss bound", "loss spikes", "gradient norm", "learning rate",
        "live adapter",
    }  # fmt: skip
    assert {check["status"] for check in checks.report()} == {"ok"}


@pytest.mark.parametrize(
    ("feed", "says"),
    [
        (lambda: health(masked=3).before(["a", "b"]), r"masked share: 3 of 100 rows \(3.0%\) .* \(first a, b\)"),
        (lambda: run(health(), [6.0, math.nan]), "finite: step 2: loss nan"),
        (lambda: run(health(), [6.0, 6.0], [1.0, math.inf]), "finite: step 2: .*norm inf"),
        (lambda: run(health(), [8.0]), r"first loss: 8.000 is above ln\(1000\) \+ 1 = 7.908"),
        (lambda: run(health(fresh=True), [0.5]), "first loss: 0.500, but random weights can only guess, at 6.908"),
        (
            lambda: run(health(max_loss_rise=1e12), [6.0] + [5e8] * 39),
            "loss bound: step 2: 500000000.000 is above 7.908",
        ),
        (lambda: run(health(), [2.0, 5.5]), "loss spikes: step 2: loss 5.500 is more than 3 above"),
        (lambda: run(health(), [2.0] * 20 + [5.5]), "loss spikes: step 21: loss 5.500 is more than 3 above"),
        (lambda: run(health(), [2.0] * 21, [1.0] * 20 + [150.0]), "gradient norm: step 21: norm 150 is more than 100"),
        (lambda: run(health(), [2.0] * 9, rates=[1e-3] * 9), "learning rate: step 1: 0.001 instead of 0"),
        (lambda: health().at_end({"q.lora_B": 0.1, "v.lora_B": 0.0}), r"live adapter: 1 of 2 .* \(first v.lora_B\)"),
    ],
    ids=["masked", "loss", "norm", "first", "leak", "bound", "early spike", "spike", "explosion", "schedule", "dead"],
)
def test_a_fault_stops_the_run(feed, says):
    with pytest.raises(Unhealthy, match=says):
        feed()


LINE = [6.9 - 0.1 * step for step in range(STEPS)]
WAVER = [6.7 + 0.02 * (-1) ** (step // 2 + step) for step in range(STEPS)]


@pytest.mark.parametrize(
    ("losses", "moved", "validation", "status", "says"),
    [
        (LINE, 0.1, (), "ok", "training loss 6.300 to 3.600 (noise 0.000), adapter B at 0.1 of A"),
        (LINE, None, (6.9, 3.0), "ok", "validation loss 6.900 to 3.000"),
        (WAVER, 0.1, (), "failed", "it did not fall by more than 3 times its noise"),
        (LINE[::-1], 0.1, (), "failed", "it did not fall"),
        (LINE, 1e-6, (), "failed", "the adapter hardly moved (below 0.001): raise learning_rate"),
        (LINE, 0.1, (6.0, 5.0, 6.1), "failed", "held-out rows are not answered better than before"),
        (LINE[:9], 0.1, (), "warning", "9 steps are too few to tell"),
        (LINE[:9], 0.1, (6.0, 5.0), "ok", "validation loss 6.000 to 5.000"),
    ],
)
def test_a_run_that_learned_nothing_is_told_and_not_stopped(losses, moved, validation, status, says):
    checks = health(max_loss_rise=10)
    checks.losses = list(losses)
    checks.learned(moved, validation)
    assert checks.verdicts["learned"].status == status
    assert says in checks.verdicts["learned"].detail


def test_noise_is_what_is_left_beside_the_trend():
    draw = random.Random(0)
    found = [fall_of([6.9 - 0.1 * step + draw.gauss(0, 0.05) for step in range(99)]) for _ in range(50)]
    assert statistics.fmean(first - last for first, last, _ in found) == pytest.approx(6.6, abs=0.01)
    assert statistics.fmean(error for *_, error in found) == pytest.approx(0.05 * math.sqrt(2 / 33), rel=0.1)


def test_few_steps_are_told():
    checks = health()
    assert checks.warn_of_few(30) is None
    assert "7 optimizer steps are few" in checks.warn_of_few(7)
    assert checks.verdicts["steps"].status == "warning"


def test_limits_are_settings():
    health(masked=3, max_masked_share=0.05).before([])
    run(health(max_loss_rise=10.0), [2.0] * 20 + [5.5])
    run(health(first_loss_margin=3.0), [8.0])


@pytest.mark.parametrize("scheduler", ["cosine", "linear", "constant_with_warmup"])
def test_the_planned_schedule_is_the_librarys(scheduler):
    import torch
    from transformers import get_scheduler

    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=3e-4)
    course = get_scheduler(scheduler, optimizer, num_warmup_steps=3, num_training_steps=STEPS)
    found = []
    for _ in range(STEPS):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        course.step()
    assert planned_learning_rates(STEPS, 3e-4, scheduler, 3) == pytest.approx(found, rel=1e-9, abs=1e-15)
