import torch

from finelens.training.state import EpochSums


def test_sums_of_an_epoch_add_up_and_come_back_from_plain_numbers():
    sums = EpochSums(pictures=4, seconds=1.5)
    sums.add(torch.tensor([1.5, 3.0, 1.0]))
    sums.add(torch.tensor([0.25, 2.0, 2.0]))
    assert sums.loss == 1.75
    assert sums.agreement == [5.0, 3.0]
    again = EpochSums.from_state_dict(sums.state_dict())
    assert again.state_dict() == sums.state_dict() == {
        "loss": 1.75, "agreement": [5.0, 3.0], "pictures": 4, "seconds": 1.5,
    }  # fmt: skip


def test_sums_of_no_batch_yet_are_nothing():
    again = EpochSums.from_state_dict(EpochSums().state_dict())
    assert (again.loss, again.agreement) == (0.0, [])


def test_the_noted_loss_is_a_pictures():
    sums = EpochSums(pictures=4)
    sums.add(torch.tensor([2.0, 0.0]))
    sums.note()
    sums.add(torch.tensor([2.0, 0.0]))
    assert sums.noted_loss == 0.5
