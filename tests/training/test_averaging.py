import copy

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from finelens.errors import RunError
from finelens.training.averaging import WeightAverage


def network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.LazyLinear(2))


@pytest.fixture
def classifier():
    module = network()
    module(torch.rand(2, 3, 5, 5))
    return module


def train_a_little(classifier, seed):
    generator = torch.Generator().manual_seed(seed)
    classifier(torch.rand(4, 3, 5, 5, generator=generator))
    with torch.no_grad():
        for parameter in classifier.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator))


def floating(classifier):
    return {k: v.clone() for k, v in classifier.state_dict().items() if v.is_floating_point()}


def averages(average):
    return average.state_dict()["averages"]


def test_averages_follow_the_formula_with_a_rising_decay(classifier):
    average = WeightAverage(classifier, 0.3)
    expected = {name: tensor.double() for name, tensor in floating(classifier).items()}
    for n in range(1, 6):
        train_a_little(classifier, n)
        average.update()
        decay = min(0.3, (1 + n) / (10 + n))
        assert average.current_decay == decay
        for name, tensor in floating(classifier).items():
            expected[name] = decay * expected[name] + (1 - decay) * tensor.double()
    assert average.num_updates == 5
    assert averages(average).keys() == expected.keys()
    for name, tensor in averages(average).items():
        torch.testing.assert_close(tensor, expected[name].float())


def test_running_statistics_are_averaged_and_counters_are_not(classifier):
    names = averages(WeightAverage(classifier, 0.9))
    assert "1.running_mean" in names
    assert "1.num_batches_tracked" not in names


def test_averages_of_bf16_weights_are_kept_in_float32(classifier):
    classifier.bfloat16()
    average = WeightAverage(classifier, 0.9)
    expected = {name: tensor.clone() for name, tensor in averages(average).items()}
    with torch.no_grad():
        for parameter in classifier.parameters():
            parameter.mul_(2)
    average.update()
    share = 1 - 2 / 11
    for name, tensor in floating(classifier).items():
        expected[name].lerp_(tensor.float(), share)
    for name, tensor in averages(average).items():
        assert tensor.dtype == torch.float32
        torch.testing.assert_close(tensor, expected[name])


def test_applied_shows_the_averages_and_gives_the_weights_back_unchanged(classifier):
    average = WeightAverage(classifier, 0.9)
    start = floating(classifier)
    train_a_little(classifier, 1)
    own = copy.deepcopy(classifier.state_dict())
    with average.applied(classifier):
        assert all(torch.equal(v, start[k]) for k, v in floating(classifier).items())
    assert all(torch.equal(v, own[k]) for k, v in classifier.state_dict().items())


def test_weights_come_back_after_an_error(classifier):
    average = WeightAverage(classifier, 0.9)
    train_a_little(classifier, 1)
    own = floating(classifier)
    with pytest.raises(KeyboardInterrupt), average.applied(classifier):
        raise KeyboardInterrupt
    assert all(torch.equal(v, own[k]) for k, v in floating(classifier).items())


def test_copy_to_keeps_the_averages_for_good(classifier):
    average = WeightAverage(classifier, 0.9)
    start = floating(classifier)
    train_a_little(classifier, 1)
    average.copy_to(classifier)
    assert all(torch.equal(v, start[k]) for k, v in floating(classifier).items())


def test_restart_forgets_all_updates(classifier):
    average = WeightAverage(classifier, 0.9)
    train_a_little(classifier, 1)
    average.update()
    average.restart(classifier)
    assert average.num_updates == 0
    assert all(torch.equal(averages(average)[k], v) for k, v in floating(classifier).items())


def test_a_loaded_average_continues_bit_for_bit(classifier, tmp_path):
    average = WeightAverage(classifier, 0.9)
    train_a_little(classifier, 1)
    average.update()
    torch.save(average.state_dict(), tmp_path / "average.pt")
    resumed = WeightAverage(classifier, 0.5)
    resumed.load_state_dict(torch.load(tmp_path / "average.pt", weights_only=True))
    train_a_little(classifier, 2)
    average.update()
    resumed.update()
    assert (resumed.decay, resumed.num_updates) == (average.decay, average.num_updates)
    for name, tensor in averages(average).items():
        assert torch.equal(averages(resumed)[name], tensor)


def test_a_loaded_state_is_not_changed_by_later_updates(classifier):
    state = copy.deepcopy(WeightAverage(classifier, 0.9).state_dict())
    kept = copy.deepcopy(state)
    average = WeightAverage(classifier, 0.9)
    average.load_state_dict(state)
    train_a_little(classifier, 1)
    average.update()
    assert all(torch.equal(kept["averages"][k], v) for k, v in state["averages"].items())


def test_averages_of_another_model_are_refused(classifier):
    foreign = WeightAverage(nn.Linear(2, 2), 0.9).state_dict()
    with pytest.raises(RunError, match="does not fit this classifier"):
        WeightAverage(classifier, 0.9).load_state_dict(foreign)


def test_equal_shares_are_the_plain_mean_of_the_updates_without_the_start(classifier):
    average = WeightAverage(classifier, None)
    seen = []
    for n in range(1, 5):
        train_a_little(classifier, n)
        average.update()
        seen.append(floating(classifier))
    for name, tensor in averages(average).items():
        torch.testing.assert_close(tensor, torch.stack([each[name] for each in seen]).mean(0))


def test_equal_shares_agree_with_torchs_averaged_model(classifier):
    average, theirs = WeightAverage(classifier, None), AveragedModel(classifier)
    for n in range(3):
        train_a_little(classifier, n)
        average.update()
        theirs.update_parameters(classifier)
    for name, parameter in theirs.module.named_parameters():
        torch.testing.assert_close(averages(average)[name], parameter.detach())


def test_an_average_matches_the_weights_that_did_not_move(classifier):
    average = WeightAverage(classifier, 0.9)
    assert average.matches("")
    names = list(floating(classifier))
    moved, others = names[0], names[1:]
    for update in range(3):
        with torch.no_grad():
            dict(classifier.named_parameters())[moved].add_(0.1 * update + 0.1)
        average.update()
    assert not average.matches(moved)
    assert all(average.matches(name) for name in others if not name.startswith(moved))


def test_weights_that_stay_may_be_left_out_of_updates(classifier):
    whole, part = WeightAverage(classifier, 0.9), WeightAverage(classifier, 0.9)
    weights = dict(classifier.named_parameters())
    stays, moves = weights["0.weight"], weights["3.bias"]
    part.leave_out("0.")
    for _ in range(3):
        with torch.no_grad():
            moves.add_(0.1)
        whole.update()
        part.update()
    assert all(torch.equal(averages(whole)[name], one) for name, one in averages(part).items())
    with torch.no_grad():
        stays.add_(1)
    part.update()
    assert torch.equal(averages(whole)["0.weight"], averages(part)["0.weight"])
    part.leave_out(None)
    part.update()
    assert not torch.equal(averages(whole)["0.weight"], averages(part)["0.weight"])
