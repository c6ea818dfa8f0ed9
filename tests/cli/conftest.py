"""The command line, called in this process."""

import sys

import pytest

from finelens.cli.main import main


@pytest.fixture
def finelens_command(monkeypatch, capsys):
    """Return a function from arguments to (exit code, standard output, standard error)."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["finelens", *map(str, arguments)])
        code = 0
        try:
            main()
        except SystemExit as ended:
            code = ended.code
        output, errors = capsys.readouterr()
        return code, output, errors

    return run
