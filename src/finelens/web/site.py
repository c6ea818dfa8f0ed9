"""The site: everything that one server serves, open from its start to its end."""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from pathlib import Path

from finelens.errors import ConfigError, did_you_mean
from finelens.predictor import Predictor
from finelens.runs.directory import open_run
from finelens.web.batching import Batching
from finelens.web.decoding import Decoding
from finelens.web.items import Items
from finelens.web.limits import Limits
from finelens.web.metrics import Metrics
from finelens.web.problems import Refusal
from finelens.web.served_run import ServedRun
from finelens.web.uploads import UploadFolder

_MOST_DECODERS = 4
_SECRET_BYTES = 32


class Site:
    """The open runs and what they share: decoders, the model thread, files, figures.

    Args:
        runs: Folders of complete runs, 1 or more; requests take the first unless they name one.
        limits: Of what is let in.
        allow_edit: Whether thresholds may be saved.
        device: Where models run; None takes CUDA where there is one.

    Attributes:
        runs: By name, in the order given.

    Raises:
        ConfigError: If there is no run, or one is given twice.
        RunError: If one is not complete.
        ModelError: If its model folder is foreign or corrupted.
    """

    def __init__(
        self,
        runs: Sequence[str | Path],
        *,
        limits: Limits,
        allow_edit: bool = False,
        device: str | None = None,
    ) -> None:
        directories = dict(zip(_names(runs), map(open_run, runs), strict=True))
        self.limits = limits
        self.allow_edit = allow_edit
        self.metrics = Metrics()
        # they start while the models are read
        self.decoding = Decoding(
            limits,
            num_workers=min(os.cpu_count() or 1, _MOST_DECODERS),
            observe=self.metrics.decoding_seconds.observe,
        )
        try:
            predictors = {
                name: Predictor.load(directory.model, device=device)
                for name, directory in directories.items()
            }
        except BaseException:
            self.decoding.close()
            raise
        self.uploads = UploadFolder()
        self.batching = Batching(limits, self.metrics)
        secret = secrets.token_bytes(_SECRET_BYTES)
        self.runs = {
            name: ServedRun(
                name=name,
                directory=directories[name],
                predictor=predictor,
                items=Items(
                    directories[name],
                    predictor.saved.task,
                    is_clips=predictor.saved.preprocessing.frames is not None,
                    secret=secret,
                ),
                decoding=self.decoding,
                batching=self.batching,
                metrics=self.metrics,
            )
            for name, predictor in predictors.items()
        }

    def run(self, name: str | None) -> ServedRun:
        """Return a run by its name, of None the first.

        Raises:
            Refusal: If there is no such run.
        """
        if name is None:
            return next(iter(self.runs.values()))
        if name not in self.runs:
            raise Refusal("not-found", f'run "{name}" is not served{did_you_mean(name, self.runs)}')
        return self.runs[name]

    def close(self) -> None:
        """End decoders and the model thread, and remove what was uploaded."""
        self.batching.close()
        self.decoding.close()
        self.uploads.close()


def _names(runs: Sequence[str | Path]) -> list[str]:
    """Return what runs are called: their folder's name, with its parent's where two are alike."""
    if not runs:
        raise ConfigError("serve needs a run, such as `finelens serve runs/my-run`")
    places = [Path(run).resolve() for run in runs]
    for place in places:
        if places.count(place) > 1:
            raise ConfigError(f"run {place} is given twice; name it once")
    names = [place.name for place in places]
    names = [
        name if names.count(name) == 1 else f"{place.parent.name}-{name}"
        for name, place in zip(names, places, strict=True)
    ]
    return [
        name if names.count(name) == 1 else f"{name}-{number}"
        for number, name in enumerate(names, start=1)
    ]
