from pathlib import Path

import pytest
from suite.inputs import photograph_classes, photographs, plants
from suite.row import Bench


def make_bench(tmp_path: Path, name: str) -> Bench:
    place = tmp_path / name
    for folder in ("a", "train/a", "validation/a", "test/a"):
        (place / folder).mkdir(parents=True)
        (place / folder / f"{name}.jpg").touch()
    work = tmp_path / "work"
    work.mkdir(exist_ok=True)
    return Bench({"photos": place, "plants": place}, work, Path("p"), Path("p"), is_smoke=True)


@pytest.mark.parametrize(
    "make",
    [lambda bench: photographs(bench, 8), lambda bench: photograph_classes(bench, 8), plants],
)
def test_inputs_of_another_place_are_made_anew(make, tmp_path: Path) -> None:
    one, other = (make_bench(tmp_path, name) for name in ("one", "other"))
    folders = [make(bench) for bench in (one, other, one)]
    linked = [{file.resolve().name for file in folder.rglob("*.jpg")} for folder in folders]
    assert linked == [{"one.jpg"}, {"other.jpg"}, {"one.jpg"}]
    assert folders[0] == folders[2]
