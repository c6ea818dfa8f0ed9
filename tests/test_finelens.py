import subprocess
import sys
from pathlib import Path

import pytest

import finelens

HEAVY = ("torch", "torchvision", "timm", "polars", "sklearn", "matplotlib", "accelerate", "scipy")


def _imported(code: str) -> list[str]:
    """Return the heavy packages that a fresh Python holds after some code."""
    program = f"import sys\n{code}\nprint([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return eval(done.stdout.splitlines()[-1])


def test_import_finelens_is_light():
    assert _imported("import finelens") == []


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], ["--version"], ["recipes"]])
def test_help_and_recipes_are_light(arguments: list[str]):
    code = (
        "from finelens.cli.main import main\n"
        f"sys.argv = ['finelens', *{arguments}]\n"
        "try:\n    main()\n"
        "except SystemExit as end:\n    assert not end.code, end.code"
    )
    assert _imported(code) == []


@pytest.mark.parametrize("name", finelens.__all__)
def test_every_verb_is_found_listed_and_documented(name: str):
    verb = getattr(finelens, name)
    assert verb.__name__ == name
    assert verb.__doc__
    assert name in dir(finelens)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'finelens' has no attribute 'trian'"):
        finelens.trian  # noqa: B018 # pyright: ignore[reportAttributeAccessIssue]


def test_the_version_is_that_of_the_package():
    import tomllib

    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    assert finelens.__version__ == project["version"]
