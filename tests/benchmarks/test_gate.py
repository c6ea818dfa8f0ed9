from typing import Any

import gate
import pytest
from gate import UpdateRounds


class Script:
    """Stands in the place of the pipe: so many rounds are wanted."""

    def __init__(self, num_rounds: int) -> None:
        self.told: list[Any] = []
        self._left = num_rounds

    def ready(self) -> None:
        self.told.append("ready")

    def wait(self) -> bool:
        self._left -= 1
        return self._left >= 0

    def answer(self, value: float, unit: str) -> None:
        self.told.append((value, unit))


def test_rounds_count_neither_the_first_updates_nor_the_pause(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = iter([0.0, 10.0, 12.0, 100.0, 200.0, 204.0, 300.0, 400.0, 408.0])
    script = Script(num_rounds=2)
    rounds = UpdateRounds(script, drain=2, counted=2)  # pyright: ignore[reportArgumentType]
    monkeypatch.setattr(gate.time, "perf_counter", lambda: next(clock))
    monkeypatch.setattr(rounds, "_started", next(clock))
    num_updates = 0
    with pytest.raises(SystemExit):
        while True:
            num_updates += 1
            rounds.after_update(16)
    assert num_updates == 3 * 4
    assert script.told == ["ready", (32 / 4, "pictures/s"), (32 / 8, "pictures/s")]


def test_a_round_of_two_parts_adds_up_what_is_timed_of_both(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # the first round warms up; of the second, the parts last from 91 to 93 and from 95 to 98
    clock = iter([0.0, 2.0, 5.0, 6.0, 20.0, 25.0, 90.0, 91.0, 93.0, 94.0, 95.0, 98.0])
    script = Script(num_rounds=1)
    rounds = UpdateRounds(script, drain=1, counted=1, parts=2)  # pyright: ignore[reportArgumentType]
    monkeypatch.setattr(gate.time, "perf_counter", lambda: next(clock))
    monkeypatch.setattr(rounds, "_started", next(clock))
    with pytest.raises(SystemExit):
        while True:
            rounds.after_update(16)
    assert script.told == ["ready", (32 / (2 + 3), "pictures/s")]


def test_what_a_gpu_has_yet_to_do_is_waited_for_before_a_clock_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done: list[str] = []
    rounds = UpdateRounds(
        Script(num_rounds=0),  # pyright: ignore[reportArgumentType]
        drain=1, counted=1, settle=lambda: done.append("settled"),
    )  # fmt: skip
    monkeypatch.setattr(gate.time, "perf_counter", lambda: done.append("read") or 1.0 * len(done))
    rounds.after_update(16)
    assert done == ["settled", "read"]
    with pytest.raises(SystemExit):
        rounds.after_update(16)
    assert done == ["settled", "read"] * 2
