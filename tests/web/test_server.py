import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

import finelens
from finelens.errors import ConfigError, RunError
from finelens.web.server import serve


def ask(address, body=None, **headers):
    request = urllib.request.Request(address, data=body, headers=headers)
    with urllib.request.urlopen(request, timeout=120) as answer:
        return json.load(answer)


def test_the_command_serves_a_run_until_it_is_interrupted(trained, picture_bytes, tmp_path):
    """Once through the command, in a process of its own: it takes as long as its imports do."""
    path = tmp_path / "one.jpg"
    path.write_bytes(picture_bytes(4))
    process = subprocess.Popen(
        [sys.executable, "-c", "from finelens.cli.main import main; main()", "serve",
         str(trained), "--port", "0", "--token", "sixteen-letters-or-more", "--limit", "files=2"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"TMPDIR": str(tmp_path)},
    )  # fmt: skip
    try:
        first, second = process.stdout.readline(), process.stdout.readline()
        assert first == "serving trained; Ctrl-C ends it\n"
        address = re.search(r"http://127\.0\.0\.1:\d+/", second)[0]
        assert second.strip().endswith("?token=sixteen-letters-or-more")
        with pytest.raises(urllib.error.HTTPError, match="401"):
            ask(f"{address}v1/model")
        known = {"Authorization": "Bearer sixteen-letters-or-more"}
        (row,) = ask(f"{address}v1/predict", path.read_bytes(), **known)["rows"]
        expected = finelens.predict(trained, path).row(0, named=True)
        for name, probability in row["probabilities"].items():
            assert probability == expected[f"probability.{name}"]
        assert [entry.name for entry in tmp_path.glob("finelens-*")]
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=180)
    finally:
        process.kill()
    assert process.returncode == 0
    assert output == "ended\n"
    assert errors == ""
    assert list(tmp_path.glob("finelens-*")) == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"token": "short"}, "--token must be 16 plain characters or more"),
        ({"token": "sixteen letters \x00 or more"}, "--token must be 16 plain"),
        ({"token": "x" * 16, "no_token": True}, "--token and --no-token contradict"),
        ({"limits": ["files=0"]}, "limit files: 0 must be above 0"),
        ({"host": "203.0.113.7"}, "--host 203.0.113.7 --port 0 cannot be listened at"),
        ({"host": "no such host"}, "cannot be listened at"),
    ],
)
def test_options_that_do_not_fit_are_told_before_anything_is_opened(trained, options, words):
    with pytest.raises(ConfigError) as told:
        serve(trained, **{"port": 0, **options})
    assert words in str(told.value)
    assert "\n" not in str(told.value)


def test_a_port_that_is_taken_is_told(trained):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"--port {port} cannot be listened at"):
            serve(trained, port=port)


def test_what_is_no_run_is_told_and_frees_the_port(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    with pytest.raises(RunError, match="does not exist"):
        serve(tmp_path / "none", port=port)
    socket.create_server(("127.0.0.1", port)).close()
    with pytest.raises(ConfigError, match="serve needs a run"):
        serve([], port=0)


def test_a_run_twice_is_told(trained):
    with pytest.raises(ConfigError, match="is given twice"):
        serve([trained, trained.parent / "." / "trained"], port=0)
