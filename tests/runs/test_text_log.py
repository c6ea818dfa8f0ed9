import numpy as np
import pytest

from finelens.errors import ConfigError, RunError
from finelens.runs.text_log import read_text_log

TUTORIAL = """\
Epoch 0/2
----------
train Loss: 0.5123 Acc: 0.8011
val Loss: 0.6000 Acc: 0.7000

Epoch 1/2
----------
train Loss: 0.4000 Acc: 0.9000
val Loss: 0.5000 Acc: 0.8000

Training complete in 1m 4s
Best val Acc: 0.800000
"""


@pytest.fixture
def read(tmp_path):
    """Return a function from a text to (epoch, split, name, value) of its rows."""

    def read_rows(text, pattern=None):
        path = tmp_path / "train.log"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return [
            (row["epoch"], row["split"], row["name"], row["value"])
            for row in read_text_log(path, pattern)
        ]

    return read_rows


def test_lines_without_epochs_are_epochs_in_their_order(read):
    generator = np.random.default_rng(0)
    figures = np.round(generator.random((30, 2)), 4)
    text = "".join(f"Loss: {loss:.4f} Acc: {accuracy:.4f}\n" for loss, accuracy in figures)
    rows = read(f"starting\n{text}done\n")
    assert [row[3] for row in rows] == figures.ravel().tolist()
    assert [row[0] for row in rows] == np.repeat(np.arange(1, 31), 2).tolist()
    assert {row[1] for row in rows} == {"train"}


def test_a_log_of_epochs_from_zero_counts_from_one_and_its_summary_is_passed_over(read):
    assert read(TUTORIAL) == [
        (1, "train", "loss", 0.5123), (1, "train", "accuracy", 0.8011),
        (1, "val", "loss", 0.6), (1, "val", "accuracy", 0.7),
        (2, "train", "loss", 0.4), (2, "train", "accuracy", 0.9),
        (2, "val", "loss", 0.5), (2, "val", "accuracy", 0.8),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("Epoch 3: loss=0.5 accuracy=0.9", [(3, "train", 0.5, 0.9)]),
        ("2024-01-05 12:33:21,123 INFO [epoch 3/9] Loss: 0.5 Acc: 90%", [(3, "train", 0.5, 0.9)]),
        ("epoch: 3 valid loss 5e-1 acc 90.0 %", [(3, "val", 0.5, 0.9)]),
        ("Epoch 3 loss: .5 - accuracy: 0.9 - val_loss: 6E-1 - val_accuracy: 0.8",
         [(3, "train", 0.5, 0.9), (3, "val", 0.6, 0.8)]),
        ("Epoch 3 | Train Loss: 0.5, Acc: 0.9. | Test Loss: 0.6, Acc: 0.8.",
         [(3, "train", 0.5, 0.9), (3, "test", 0.6, 0.8)]),
        ("{'eval_loss': 0.5, 'eval_accuracy': 0.9, 'epoch': 2.5}", [(3, "val", 0.5, 0.9)]),
        ('{"epoch": 3, "loss": 0.5, "acc": 0.9}', [(3, "train", 0.5, 0.9)]),
        ("\x1b[32mEpoch 3\x1b[0m Loss: \x1b[1m0.5\x1b[0m Acc: 0.9", [(3, "train", 0.5, 0.9)]),
        ("Epoch 3 Loss: 0.5 auxiliary loss: 0.7 Acc: 9/10", [(3, "train", 0.5, 0.9)]),
        ("Epoch: [3][ 10/50] Time 0.1 Loss 0.5 (0.7) Acc@1 90.00 (88) Acc@5 99.0",
         [(3, "train", 0.5, 0.9)]),
    ],
)  # fmt: skip
def test_many_ways_of_saying_it_are_read(read, line, expected):
    wanted = [
        (epoch, split, name, pytest.approx(value))
        for epoch, split, *values in expected
        for name, value in zip(("loss", "accuracy"), values, strict=True)
    ]
    assert sorted(read(line), key=lambda row: (row[1] != "train", row[2] != "loss")) == wanted


def test_words_that_only_hold_a_name_are_no_figures(read):
    assert read("gloss: 3 accident 4 lossy 5 aux_loss: 6 Acc: 0.5 best_acc: 0.9\n") == [
        (1, "train", "accuracy", 0.5)
    ]


def test_nan_and_infinity_are_none_and_keep_their_place(read):
    rows = read("Loss: 0.5\nLoss: nan\nLoss: inf\nLoss: -INF\nLoss: 0.1\n")
    assert [(row[0], row[3]) for row in rows] == [
        (1, 0.5), (2, None), (3, None), (4, None), (5, 0.1)
    ]  # fmt: skip


def test_accuracies_without_a_sign_are_percent_where_one_is_above_one(read):
    values = [row[3] for row in read("Acc: 0.9\nAcc: 55.5\nAcc: 80%\n")]
    assert values == pytest.approx([0.009, 0.555, 0.8])


def test_a_mark_after_its_figures_is_theirs(read):
    rows = read("Loss: 0.5\nEpoch 5 done\nLoss: 0.4\nEpoch 6 done\n")
    assert [(row[0], row[3]) for row in rows] == [(5, 0.5), (6, 0.4)]


def test_figures_before_the_first_of_all_epochs_are_epoch_zero(read):
    rows = read("val Acc: 0.1\nEpoch 1/2\nval Acc: 0.5\nEpoch 2/2\nval Acc: 0.6\n")
    assert [(row[0], row[3]) for row in rows] == [(0, 0.1), (1, 0.5), (2, 0.6)]


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r\r\n"])
def test_lines_of_other_systems_are_lines(read, newline):
    assert [row[0] for row in read(f"Loss: 0.5{newline}Loss: 0.4{newline}")] == [1, 2]


def keras_log(*epochs):
    """Return what Keras' bar writes into a file: each state goes back over the one before."""
    text = ""
    for number, states in enumerate(epochs, start=1):
        width, text = 0, f"{text}Epoch {number}/{len(epochs)}\n"
        for batch, state in enumerate(states, start=1):
            bar = f"{batch}/{len(states)} [====>.....] - ETA: 0s - {state}"
            text += "\b" * width + "\r" * bool(width) + bar
            width = len(bar)
        text += "\n"
    return text


def test_of_keras_bar_in_a_file_the_last_state_of_an_epoch_counts(read):
    text = keras_log(
        ["loss: 2.3 - accuracy: 0.10", "loss: 1.9 - accuracy: 0.30",
         "loss: 1.5 - accuracy: 0.50 - val_loss: 1.6 - val_accuracy: 0.45"],
        ["loss: 1.4 - accuracy: 0.55",
         "loss: 1.1 - accuracy: 0.60 - val_loss: 1.2 - val_accuracy: 0.55"],
    )  # fmt: skip
    assert read(text) == [
        (1, "train", "loss", 1.5), (1, "train", "accuracy", 0.5),
        (1, "val", "loss", 1.6), (1, "val", "accuracy", 0.45),
        (2, "train", "loss", 1.1), (2, "train", "accuracy", 0.6),
        (2, "val", "loss", 1.2), (2, "val", "accuracy", 0.55),
    ]  # fmt: skip


def test_a_line_gone_back_over_by_steps_alone_has_its_last_state(read):
    assert read("Loss: 2.3\b\b\b1.9" + "\b" * 9 + "Loss: 1.5\n") == [(1, "train", "loss", 1.5)]


def test_of_a_line_written_over_the_last_of_every_figure_and_epoch_is_kept(read):
    text = (
        "Epoch 0:  50%| loss=2.3\rEpoch 0: 100%| loss=1.5\rValidation: 100%| loss=1.8\r"
        "Epoch 1:  50%| loss=1.4\rEpoch 1: 100%| loss=1.2\r          \rdone\n"
    )
    assert read(text) == [(1, "train", "loss", 1.5), (1, "val", "loss", 1.8),
                          (2, "train", "loss", 1.2)]  # fmt: skip
    pattern = r"Epoch (?P<epoch>\d+): .*loss=(?P<loss>\S+)"
    assert read(text, pattern) == [(1, "train", "loss", 1.5), (2, "train", "loss", 1.2)]


def test_a_line_without_a_split_is_of_the_one_its_epoch_named_last(read):
    text = (
        "Epoch: [0][1/2]\tLoss 6.9 (6.9)\tAcc@1   1.00 (  1.00)\n"
        "Test: [0/1]\tLoss 5.0e+00 (5.0e+00)\n"
        " *   Acc@1 44.500 Acc@5 70.100\n"
        "Epoch: [1][1/2]\tLoss 4.0 (4.0)\tAcc@1  20.00 ( 20.00)\n"
        "Test: [0/1]\tLoss 3.0e+00 (3.0e+00)\n"
        " *   Acc@1 55.500 Acc@5 80.100\n"
    )
    rows = [row for row in read(text) if row[2] == "accuracy"]
    assert rows == [
        (1, "train", "accuracy", pytest.approx(0.01)),
        (1, "test", "accuracy", pytest.approx(0.445)),
        (2, "train", "accuracy", pytest.approx(0.2)),
        (2, "test", "accuracy", pytest.approx(0.555)),
    ]


def test_a_heading_names_the_split_of_the_lines_below_it_until_the_next_epoch(read):
    text = "Epoch 1\nLoss: 0.5\nValidation\nLoss: 0.6\nEpoch 2\nLoss: 0.3\n"
    assert [row[:2] for row in read(text)] == [(1, "train"), (1, "val"), (2, "train")]


def test_without_epochs_a_line_without_a_split_is_of_train(read):
    rows = read("Loss: 0.5\nval Loss: 0.6\nLoss: 0.4\nval Loss: 0.5\n")
    assert [row[:2] for row in rows] == [(1, "train"), (1, "val"), (2, "train"), (2, "val")]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_a_redirect_of_windows_is_read(read, encoding):
    assert read("Loss: 0.5\nVerlust größer\n".encode(encoding)) == [(1, "train", "loss", 0.5)]


def test_a_pattern_says_where_figures_are(read):
    text = "step 7 [source] L=0.5/91.5%\nstep 8 [Validation] L=0.25/nan%\n"
    pattern = r"step (?P<epoch>\d+) \[(?P<split>\w+)\] L=(?P<loss>[^/]+)/(?P<accuracy>\S+)"
    assert read(text, pattern) == [
        (7, "source", "loss", 0.5), (7, "source", "accuracy", 0.915),
        (8, "val", "loss", 0.25), (8, "val", "accuracy", None),
    ]  # fmt: skip


def test_a_pattern_without_epochs_takes_the_marks_of_the_text(read):
    assert read("Epoch 4\nL 0.5\nEpoch 5\nL 0.4\n", r"L (?P<loss>\S+)") == [
        (4, "train", "loss", 0.5), (5, "train", "loss", 0.4)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("pattern", "told"),
    [
        (r"L (\S+)", "has no group named loss or accuracy"),
        (r"(?P<epoch>\d+)", "has no group named loss or accuracy"),
        (r"(?P<loss>\S+", "is not a regular expression: missing \\)"),
        (r"(?P<acuracy>\S+)", 'group "acuracy" is unknown; did you mean "accuracy"'),
        (r"L (?P<loss>.*)", 'line 2: the pattern\'s group loss found "0.5 A 0.9", which is no num'),
        (r"L (?P<loss>[0-9.]+) (?P<epoch>\w)", 'group epoch found "A", which is no number'),
    ],
)
def test_a_pattern_that_cannot_be_used_is_told_with_the_mend(read, pattern, told):
    with pytest.raises(ConfigError, match=told):
        read("begin\nL 0.5 A 0.9\n", pattern)


def test_a_text_without_figures_is_told_with_its_first_line(read):
    with pytest.raises(RunError, match=r'none of 2 lines says a loss .* first is "hello".*--patt'):
        read("\nhello\nworld\n")
    with pytest.raises(RunError, match=r'none of 1 lines holds the pattern "\(\?P<loss>x\)"'):
        read("Loss: 0.5\n", "(?P<loss>x)")
    with pytest.raises(RunError, match="is empty"):
        read("\n")


def test_a_file_that_is_no_text_or_missing_is_told(read, tmp_path):
    with pytest.raises(RunError, match="neither a run folder nor a text log"):
        read(b"\x89PNG\r\n\0\0\0")
    with pytest.raises(RunError, match="cannot be read: No such file"):
        read_text_log(tmp_path / "none.log")
