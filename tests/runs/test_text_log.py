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


@pytest.mark.parametrize("newline", ["\r\n", "\r"])
def test_lines_of_other_systems_and_progress_bars_are_lines(read, newline):
    assert [row[0] for row in read(f"Loss: 0.5{newline}Loss: 0.4{newline}")] == [1, 2]


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
