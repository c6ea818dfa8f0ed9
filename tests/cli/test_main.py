import errno
import subprocess
import sys

import pytest

from finelens import __version__

VERBS = ("demo", "check", "train", "evaluate", "predict", "top", "explain", "compare", "log",
         "serve", "recipes", "summary")  # fmt: skip


def test_version_is_the_packages(finelens_command):
    assert finelens_command("--version") == (0, f"finelens {__version__}\n", "")


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_an_example(finelens_command, verb):
    code, output, _ = finelens_command(verb, "--help")
    assert code == 0
    assert f"finelens {verb}" in output.split("Example:")[1]


def test_wrong_usage_exits_with_2(finelens_command):
    assert finelens_command("train", "--no-such-option")[0] == 2
    assert finelens_command("no-such-verb")[0] == 2
    assert finelens_command("predict")[0] == 2


def test_a_users_mistake_is_one_line_and_exits_with_1(finelens_command, tmp_path):
    code, output, errors = finelens_command("evaluate", tmp_path / "none")
    assert (code, output) == (1, "")
    assert errors.startswith("error: ")
    assert "Traceback" not in errors
    assert errors.count("\n") == 1


def test_a_full_disk_is_told_with_the_mend(finelens_command, monkeypatch):
    import finelens

    def fill(*_arguments, **_options):
        raise OSError(errno.ENOSPC, "No space left on device", "/full/weights")

    monkeypatch.setattr(finelens, "train", fill, raising=False)
    code, _, errors = finelens_command("train", "--data", "x")
    assert code == 1
    assert "/full/weights" in errors
    assert "No space left on device" in errors
    assert "--resume" in errors


def test_help_and_recipes_import_nothing_heavy():
    script = (
        "import sys\n"
        "from finelens.cli.main import main\n"
        "sys.argv = ['finelens', 'recipes']\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "heavy = {'torch', 'numpy', 'polars', 'timm', 'matplotlib', 'sklearn'} & set(sys.modules)\n"
        "sys.exit(', '.join(sorted(heavy)) or 0)\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize(("arguments", "code"), [(["recipes"], 0), (["recipes", "none"], 1)])
def test_ctrl_c_after_the_end_changes_nothing(arguments, code):
    script = (
        "import atexit, os, signal, sys\n"
        # the last to be called, as late as can be
        "atexit.register(os.kill, os.getpid(), signal.SIGINT)\n"
        "from finelens.cli.main import main\n"
        f"sys.argv = {['finelens', *arguments]}\n"
        "main()\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert ended.returncode == code
    assert "Traceback" not in ended.stderr


def test_a_warning_is_a_line_without_code():
    script = (
        "import sys, warnings\n"
        "from finelens.cli import main\n"
        "sys.argv = ['finelens', 'recipes']\n"
        "main.app = lambda: (warnings.warn('it is full'), warnings.warn('old', FutureWarning))\n"
        "main.main()\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert ended.returncode == 0
    assert ended.stderr.startswith("warning: it is full\n")
    assert "FutureWarning: old" in ended.stderr
