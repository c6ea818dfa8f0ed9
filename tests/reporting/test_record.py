import pytest

from finelens.reporting.record import count_groups, widest_interval


@pytest.mark.parametrize(
    ("by_group", "expected"),
    [
        ([0.3, 0.9], ((0.3, 0.9), True)),
        ([0.5, 0.6], ((0.4, 0.7), False)),
        ([0.4, 0.7], ((0.4, 0.7), False)),
        # of one group nothing is known
        ([None, None], ((0.4, 0.7), False)),
    ],
)
def test_the_wider_interval_is_the_one_to_believe(by_group, expected):
    metrics = {"intervals": {"macro_f1": [0.4, 0.7]},
               "groups": {"intervals": {"macro_f1": by_group}}}  # fmt: skip
    assert widest_interval(metrics, "macro.f1") == expected


def test_without_groups_the_interval_is_the_ordinary_one():
    metrics = {"intervals": {"accuracy": [0.4, 0.7]}, "groups": None}
    assert widest_interval(metrics, "accuracy") == ((0.4, 0.7), False)
    assert widest_interval(metrics, "macro.f1") == (None, False)
    assert count_groups(metrics) is None


def test_an_example_without_a_group_counts_as_one():
    assert count_groups({"groups": {"num_groups": 3, "num_without_group": 2}}) == 5
