"""The limits: how much one request, and all requests together, may ask of a server."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from finelens.errors import ConfigError, did_you_mean


@dataclass(frozen=True)
class Limits:
    """What a server lets in; beyond it a request, or the row of one file, is refused.

    Attributes:
        file_bytes: Of one file.
        files: In one request.
        request_bytes: Of one request's body.
        upload_s: Seconds in which a body must have come.
        pixels: Of a picture, or of one frame of a clip; read from the header before decoding.
        clip_pixels: Of all frames of a clip that the model looks at together.
        frames: In a clip, counted before decoding.
        decoding_s: Seconds in which a file must be decoded.
        requests: With a body, such as predictions, answered at one time.
        queue: Pictures or clips that are being decoded or wait for the model, of all requests.
        wait_ms: Milliseconds for which the model waits for pictures on their way to it, so as to
            take them together.

    Raises:
        ConfigError: If a limit is not above 0 (``wait_ms`` may be 0), or they contradict.
    """

    file_bytes: int = 32 * 2**20
    files: int = 32
    request_bytes: int = 128 * 2**20
    upload_s: float = 60.0
    pixels: int = 64_000_000
    clip_pixels: int = 256_000_000
    frames: int = 20_000
    decoding_s: float = 10.0
    requests: int = 32
    queue: int = 64
    wait_ms: float = 5.0

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            is_possible = value >= 0 if field.name == "wait_ms" else value > 0
            if not (is_possible and math.isfinite(value)):
                raise ConfigError(f"limit {field.name}: {value} must be above 0 and finite")
        if self.queue < self.files:
            raise ConfigError(
                f"limit queue: {self.queue} is below the {self.files} files of one request; "
                "raise queue or lower files"
            )

    @classmethod
    def of(cls, settings: Iterable[str]) -> Self:
        """Return the limits that ``NAME=VALUE`` texts set, the others as they are by default.

        Raises:
            ConfigError: If a text is none, a name is unknown or a value does not fit.
        """
        kinds: dict[str, type[int] | type[float]] = {
            name: type(value) for name, value in dataclasses.asdict(cls()).items()
        }
        values: dict[str, float] = {}
        for setting in settings:
            name, mark, text = (part.strip() for part in setting.partition("="))
            if not mark:
                raise ConfigError(f'limit "{setting}" must read NAME=VALUE, such as files=8')
            if name not in kinds:
                raise ConfigError(f'limit "{name}" is unknown{did_you_mean(name, kinds)}')
            try:
                values[name] = kinds[name](text)
            except ValueError:
                whole = "a whole number" if kinds[name] is int else "a number"
                raise ConfigError(f'limit {name}: "{text}" is not {whole}') from None
        return cls(**values)  # pyright: ignore[reportArgumentType]  # each of its field's kind
