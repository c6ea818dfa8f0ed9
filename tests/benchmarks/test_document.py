import pytest
from suite.document import BEGIN, END, GPU_BEGIN, GPU_END, splice, table_line, write_section
from suite.figures import Measured, Target


def test_line_tells_medians_ratio_spread_and_verdict() -> None:
    measured = Measured("pictures/s", [300.0, 310.0, 290.0], [100.0, 155.0, 101.0])
    line = table_line("loader-timm", "loader", "timm", measured, Target(times=2.5))
    assert line == (
        "| `loader-timm` | loader | 300 pictures/s | timm: 101 pictures/s "
        "| **2.97x** (2.00 to 3.00) | at least 2.5x: met |"
    )


def test_line_of_a_mere_comparison_has_no_verdict() -> None:
    line = table_line(
        "loader-limit", "loader", "limit", Measured("pictures/s", [1.0], [4.0]), Target()
    )
    assert line.endswith("| **0.25x** | no target, for comparison |")


def test_line_of_a_whole_job_tells_both_qualities() -> None:
    measured = Measured("s", [20.0], [500.0], our_qualities=[0.71], their_qualities=[0.72])
    line = table_line("voc", "VOC", "fastai", measured, Target(times=20, quality=0.708))
    assert line == (
        "| `voc` | VOC | 20.0 s at 0.710 | fastai: 500 s at 0.720 | **25.0x** "
        "| at least 20x, quality 0.708: met |"
    )


def test_line_without_a_peer_tells_a_limit() -> None:
    measured = Measured("s", [4.0, 6.0, 5.5], peaks_mb=[800.0, 1200.0, 900.0])
    line = table_line("manifest", "rows", "", measured, Target(seconds=5, peak_mb=1000))
    assert line == (
        "| `manifest` | rows | 5.50 s, 1200 MB |  |  "
        "| under 5 s, under 1000 MB: missed (time, memory) |"
    )


def test_section_is_a_table_below_its_facts() -> None:
    section = write_section(["| a |", "| b |"], {"rounds": "5"})
    lines = section.splitlines()
    assert lines[:2] == ["- rounds: 5", ""]
    assert lines[2].count("|") == lines[3].count("|") == 7
    assert lines[4:] == ["| a |", "| b |"]


def test_splice_replaces_what_lies_between_the_markers() -> None:
    document = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    once = splice(document, "new")
    assert once == f"before\n{BEGIN}\nnew\n{END}\nafter\n"
    assert splice(once, "new") == once


@pytest.mark.parametrize("document", ["", BEGIN, END, f"{END} {BEGIN}"])
def test_document_without_its_markers_is_refused(document: str) -> None:
    with pytest.raises(ValueError, match="must hold"):
        splice(document, "new")


def test_a_gpus_section_leaves_the_other_alone() -> None:
    ours, gpus = f"{BEGIN}\nold\n{END}\n", f"{GPU_BEGIN}\nold\n{GPU_END}"
    assert splice(ours + gpus, "new", on_gpu=True) == ours + gpus.replace("old", "new")
    assert splice(ours + gpus, "new") == ours.replace("old", "new") + gpus
