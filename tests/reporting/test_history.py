from finelens.reporting.history import Phase, read_history


def row(epoch, phase, split="val", name="loss", value=1.0):
    return {"step": epoch, "epoch": epoch, "phase": phase, "split": split, "name": name,
            "value": value}  # fmt: skip


def test_probe_rows_are_a_baseline_and_no_epoch():
    history = read_history([row(0, "probe", name="accuracy", value=0.8), row(1, "a")])
    assert history.probe == {"accuracy": 0.8}
    assert history.of("val", "loss").epochs == (1,)
    assert not history.of("val", "accuracy")


def test_phases_follow_each_other_even_under_one_name():
    history = read_history([row(1, "a"), row(2, "a"), row(3, "b"), row(4, "a")])
    assert history.phases == (Phase("a", 1, 2), Phase("b", 3, 3), Phase("a", 4, 4))
    assert history.num_epochs == 4


def test_rows_within_an_epoch_are_averaged_and_nulls_left_out():
    history = read_history(
        [row(1, "a", value=1.0), row(1, "a", value=3.0), row(2, "a", value=None)]
    )
    assert history.of("val", "loss").epochs == (1,)
    assert history.of("val", "loss").values == (2.0,)
    assert history.of("val", "loss").at(2) is None


def test_an_epoch_of_nothing_but_nulls_is_an_epoch_of_its_phase():
    history = read_history([row(1, "a"), row(2, "b", value=None), row(0, "probe")])
    assert history.epochs == (1, 2)
    assert [history.phase_of(epoch) for epoch in (0, 1, 2, 3)] == [None, "a", "b", None]


def test_empty_log_is_an_empty_history():
    history = read_history([])
    assert history.num_epochs == 0
    assert history.phases == ()
    assert history.of("val", "loss").last is None
