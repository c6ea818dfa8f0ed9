from finelens.cli.summary import headline_line


def metrics(**more):
    return {
        "split": "test", "task": "multi-class", "num_examples": 60, "num_unreadable": 0,
        "mean_average_precision": None, "accuracy": 0.7, "example": {"f1": 0.7},
        "macro": {"f1": 0.5}, "groups": None,
        "intervals": {"accuracy": [0.6, 0.8], "example_f1": [0.6, 0.8], "macro_f1": [0.3, 0.6]},
    } | more  # fmt: skip


def test_figures_come_with_their_intervals():
    assert headline_line(metrics(), examples="pictures") == (
        "test (60 pictures): accuracy 0.700 [0.600, 0.800], example F1 0.700 [0.600, 0.800], "
        "macro F1 0.500 [0.300, 0.600]"
    )


def test_intervals_of_groups_are_shown_where_wider_and_said_to_be():
    wide = {"accuracy": [0.5, 0.9], "example_f1": [0.5, 0.9], "macro_f1": [0.4, 0.5]}
    groups = {"num_groups": 3, "num_without_group": 0, "intervals": wide}
    told = headline_line(metrics(groups=groups), examples="clips")
    assert told == (
        "test (60 clips of 3 groups; intervals by groups where wider): accuracy 0.700 [0.500, "
        "0.900], example F1 0.700 [0.500, 0.900], macro F1 0.500 [0.300, 0.600]"
    )


def test_one_is_one():
    told = headline_line(metrics(num_examples=1, intervals={}), examples="clips")
    assert told.startswith("test (1 clip): ")


def test_intervals_by_clips_are_said_to_be():
    unknown = {key: [None, None] for key in ("accuracy", "example_f1", "macro_f1")}
    groups = {"num_groups": 1, "num_without_group": 0, "intervals": unknown}
    told = headline_line(metrics(groups=groups, num_unreadable=2), examples="clips")
    assert "(60 clips of 1 group, 2 more unreadable; intervals by clips): accuracy" in told
