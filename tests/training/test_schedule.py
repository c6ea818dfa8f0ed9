import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, MultiStepLR, PolynomialLR, StepLR

from finelens.config.training import ScheduleConfig
from finelens.training.schedule import build_schedule

NUM_EPOCHS = 12


def torch_factors(make_scheduler, num_epochs=NUM_EPOCHS):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = make_scheduler(optimizer)
    factors = []
    for _ in range(num_epochs + 1):
        factors.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return factors


@pytest.mark.parametrize(
    ("config", "make_scheduler"),
    [
        (
            ScheduleConfig(name="step", step_epochs=5, gamma=0.3),
            lambda optimizer: StepLR(optimizer, 5, gamma=0.3),
        ),
        (
            ScheduleConfig(name="multistep", milestones=(3, 4, 10), gamma=0.5),
            lambda optimizer: MultiStepLR(optimizer, [3, 4, 10], gamma=0.5),
        ),
        (
            ScheduleConfig(name="cosine"),
            lambda optimizer: CosineAnnealingLR(optimizer, T_max=NUM_EPOCHS),
        ),
        (
            ScheduleConfig(name="cosine", period_epochs=5, final_factor=0.1),
            lambda optimizer: CosineAnnealingLR(optimizer, T_max=5, eta_min=0.1),
        ),
        (
            ScheduleConfig(name="polynomial", power=0.9),
            lambda optimizer: PolynomialLR(optimizer, total_iters=NUM_EPOCHS, power=0.9),
        ),
    ],
)
def test_schedules_agree_with_torch_at_whole_epochs(config, make_scheduler):
    factor = build_schedule(config, NUM_EPOCHS)
    ours = [factor(float(epoch)) for epoch in range(NUM_EPOCHS + 1)]
    assert ours == pytest.approx(torch_factors(make_scheduler), abs=1e-9)


def test_constant_stays_at_one():
    factor = build_schedule(ScheduleConfig(), NUM_EPOCHS)
    assert [factor(progress) for progress in (0.0, 0.5, 11.9)] == [1.0, 1.0, 1.0]


@pytest.mark.parametrize(
    "config",
    [
        ScheduleConfig(name="step", step_epochs=2, gamma=0.1),
        ScheduleConfig(name="multistep", milestones=(2,), gamma=0.1),
    ],
)
def test_steps_fall_at_whole_epochs_only(config):
    factor = build_schedule(config, 3)
    assert [factor(progress) for progress in (0.0, 1.0, 1.99)] == [1.0, 1.0, 1.0]
    assert [factor(progress) for progress in (2.0, 2.01, 2.99)] == [0.1, 0.1, 0.1]


def test_cosine_falls_within_an_epoch():
    factor = build_schedule(ScheduleConfig(name="cosine"), 1)
    assert factor(0.5) == pytest.approx(0.5)
    assert 1.0 > factor(0.25) > factor(0.26)


@pytest.mark.parametrize("name", ["cosine", "polynomial"])
def test_the_fall_begins_after_warmup_and_reaches_its_floor_at_the_end(name):
    config = ScheduleConfig(name=name, warmup_epochs=2, final_factor=0.2)
    factor = build_schedule(config, 10)
    assert [factor(progress) for progress in (0.0, 0.5, 1.0, 2.0)] == [0.0, 0.25, 0.5, 1.0]
    assert factor(6.0) == pytest.approx(0.6)
    assert factor(10.0) == pytest.approx(0.2)


def test_milestones_count_from_the_start_of_the_phase():
    config = ScheduleConfig(name="multistep", milestones=(3,), gamma=0.5, warmup_epochs=1.5)
    factor = build_schedule(config, 5)
    assert [factor(progress) for progress in (0.75, 1.5, 2.9, 3.0)] == [0.5, 1.0, 1.0, 0.5]
