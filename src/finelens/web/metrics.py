"""The metrics: what a server did and does, as Prometheus reads it."""

from __future__ import annotations

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST

MEDIA_TYPE = CONTENT_TYPE_LATEST

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_PICTURES = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """Counters of one server; several servers in one process count apart."""

    def __init__(self) -> None:
        registry = CollectorRegistry()
        self._registry = registry
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        self.requests = Counter(
            "finelens_requests", "Requests answered.", ("route", "status"), registry=registry
        )
        self.request_seconds = Histogram(
            "finelens_request_seconds",
            "From a request's head to the end of its answer.",
            ("route",),
            buckets=_SECONDS,
            registry=registry,
        )
        self.inputs = Counter(
            "finelens_inputs",
            "Pictures and clips answered, by what came of them: predicted, or kind of problem.",
            ("run", "outcome"),
            registry=registry,
        )
        self.queued = Gauge(
            "finelens_queue_places", "Places of the queue that are taken.", registry=registry
        )
        self.decoding_seconds = Histogram(
            "finelens_decoding_seconds", "Of one file.", buckets=_SECONDS, registry=registry
        )
        self.model_seconds = Histogram(
            "finelens_model_seconds", "Of one batch.", buckets=_SECONDS, registry=registry
        )
        self.batches = Histogram(
            "finelens_batch_pictures",
            "Pictures or clips of one batch.",
            buckets=_PICTURES,
            registry=registry,
        )

    def exposition(self) -> bytes:
        """Return all of it in Prometheus' text format."""
        return generate_latest(self._registry)
