from types import SimpleNamespace

from finelens.training.stopping import consider_stopping


def fresh():
    return SimpleNamespace(stop_best=float("nan"), epochs_without_better=0, stopped=None)


def test_a_reached_target_stops_and_a_loss_reaches_it_from_above():
    for name, values in {"accuracy": (0.4, 0.6), "loss": (0.6, 0.4)}.items():
        state = fresh()
        consider_stopping(state, name, values[0], target=0.5, patience=None)
        assert state.stopped is None
        consider_stopping(state, name, values[1], target=0.5, patience=None)
        assert state.stopped == f"{name} reached 0.5"


def test_patience_counts_epochs_since_the_best_and_nan_is_none():
    state = fresh()
    for value in (0.5, 0.7, float("nan"), 0.6):
        consider_stopping(state, "accuracy", value, target=None, patience=3)
    assert (state.stop_best, state.epochs_without_better, state.stopped) == (0.7, 2, None)
    consider_stopping(state, "accuracy", 0.7, target=None, patience=3)
    assert state.stopped == "accuracy not better for 3 epochs"
