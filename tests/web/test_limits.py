import dataclasses

import pytest

from finelens.errors import ConfigError
from finelens.web.limits import Limits


def test_settings_change_what_they_name_and_nothing_else():
    limits = Limits.of(["files=8", " decoding_s = 2.5", "wait_ms=0"])
    assert limits == dataclasses.replace(Limits(), files=8, decoding_s=2.5, wait_ms=0.0)
    assert Limits.of([]) == Limits()


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("files", 'limit "files" must read NAME=VALUE, such as files=8'),
        ("file=8", 'limit "file" is unknown; did you mean "files"'),
        ("files=many", 'limit files: "many" is not a whole number'),
        ("files=2.5", 'limit files: "2.5" is not a whole number'),
        ("upload_s=soon", 'limit upload_s: "soon" is not a number'),
        ("pixels=0", "limit pixels: 0 must be above 0 and finite"),
        ("upload_s=nan", "limit upload_s: nan must be above 0 and finite"),
        ("wait_ms=-1", "limit wait_ms: -1.0 must be above 0 and finite"),
        ("queue=31", "limit queue: 31 is below the 32 files of one request"),
    ],
)
def test_what_does_not_fit_is_told(setting, message):
    with pytest.raises(ConfigError) as told:
        Limits.of([setting])
    assert message in str(told.value)


def test_the_help_of_serve_tells_every_limit_as_it_is():
    from finelens.cli.serve import _LIMITS

    for name, value in dataclasses.asdict(Limits()).items():
        assert f"{name}={value:g}" in _LIMITS or f"{name}={value}" in _LIMITS
