import pytest


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--limit", "file=8"], 'limit "file" is unknown; did you mean'),
        (["--token", "short"], "--token must be 16 plain characters or more"),
        (["--token", "x" * 20, "--no-token"], "--token and --no-token contradict each other"),
        (["--host", "203.0.113.7"], "--host 203.0.113.7 --port 0 cannot be listened at"),
    ],
)
def test_options_that_do_not_fit_are_one_line(finelens_command, trained, options, words):
    code, output, errors = finelens_command("serve", trained, "--port", "0", *options)
    assert (code, output) == (1, "")
    assert words in errors
    assert errors.count("\n") == 1


def test_what_is_no_run_is_told(finelens_command, tmp_path):
    code, _, errors = finelens_command("serve", tmp_path / "none", "--port", "0")
    assert code == 1
    assert "does not exist; `finelens train` makes one" in errors


def test_it_is_used_with_a_run(finelens_command):
    assert finelens_command("serve")[0] == 2
    assert finelens_command("serve", "run", "--port", "70000")[0] == 2
