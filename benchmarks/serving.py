"""Latency and throughput of ``POST /v1/predict`` beside the bare model, on loopback.

A server is started on the run, asked for a bounded number of pictures by one client and then by
several at once, and ended. Each client sends one picture a request over its own connection, kept
open, and the next one when it has the answer. The bare model is timed in this process, before:

    python benchmarks/serving.py RUN PICTURES [--clients 1 16] [--requests 200] [--warm 20]

The bare model's time is that of ``Predictor.logits`` on views that are ready: one at a time, and as
many at a time as it computes together. "decoded" adds reading a file and making its view.
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import json
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

from finelens.data.augment.augmentation import Augmentation
from finelens.data.dataset import PictureDataset
from finelens.predictor import Predictor, find_clips, find_pictures

MOST_FILES = 200
TIMEOUT_S = 60.0


def time_bare(run: Path, files: Sequence[str], num_requests: int) -> str:
    """Return a line with the model's own milliseconds a picture."""
    predictor = Predictor.load(run / "model")
    view = Augmentation("none", predictor.saved.preprocessing)
    dataset = PictureDataset(files, np.zeros((len(files), 1), dtype=np.float32), view)
    together = predictor.num_together
    images = torch.stack([dataset[0, 0, n % len(files)].image for n in range(together)])
    num_turns = max(5, num_requests // together)
    one_ms = _milliseconds(lambda: predictor.logits(images[:1]), num_requests)
    many_ms = _milliseconds(lambda: predictor.logits(images), num_turns) / together
    turns = itertools.cycle(range(len(files)))
    decoded_ms = _milliseconds(
        lambda: predictor.logits(dataset[0, 0, next(turns)].image[None]), num_requests
    )
    return (
        f"bare model: {one_ms:.1f} ms a picture one at a time, {decoded_ms:.1f} ms decoded, "
        f"{many_ms:.1f} ms a picture {together} at a time ({1000 / many_ms:.1f} a second)"
    )


def _milliseconds(work: Callable[[], object], num_turns: int) -> float:
    work()
    begun = time.perf_counter()
    for _ in range(num_turns):
        work()
    return 1000 * (time.perf_counter() - begun) / num_turns


@contextmanager
def serving(run: Path) -> Iterator[tuple[str, int, float]]:
    """Serve a run on a free port while the block lasts; give host, port and seconds to start."""
    command = [sys.executable, "-c", "from finelens.cli.main import main; main()", "serve"]
    begun = time.perf_counter()
    process = subprocess.Popen(
        [*command, str(run), "--port", "0"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        told = process.stdout.readline() + process.stdout.readline()
        found = re.search(r"http://([\d.]+):(\d+)/", told)
        if found is None:
            raise SystemExit(f"the server did not start: {told}")
        yield found[1], int(found[2]), time.perf_counter() - begun
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()


def ask(
    host: str, port: int, bodies: Sequence[bytes], num_clients: int, num_requests: int
) -> tuple[list[float], float]:
    """Return each request's seconds, and the seconds that all of them took."""
    turns = iter(range(num_requests))
    lock = threading.Lock()
    latencies: list[float] = []

    def client() -> None:
        connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
        while True:
            with lock:
                turn = next(turns, None)
            if turn is None:
                break
            begun = time.perf_counter()
            connection.request("POST", "/v1/predict", bodies[turn % len(bodies)])
            content = json.loads(connection.getresponse().read())
            took_s = time.perf_counter() - begun
            if content["rows"][0]["error"] is not None:
                raise SystemExit(f"not predicted: {content['rows'][0]['error']['detail']}")
            with lock:
                latencies.append(took_s)
        connection.close()

    threads = [threading.Thread(target=client) for _ in range(num_clients)]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took_s = time.perf_counter() - begun
    if len(latencies) != num_requests:
        raise SystemExit(f"{num_requests - len(latencies)} of {num_requests} requests failed")
    return latencies, took_s


def resident_mib(host: str, port: int) -> float:
    """Return the server's own resident memory, without its decoders', in MiB."""
    connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
    connection.request("GET", "/metrics")
    told = connection.getresponse().read().decode()
    connection.close()
    found = re.search(r"^process_resident_memory_bytes (\S+)", told, re.MULTILINE)
    return float(found[1]) / 2**20 if found else float("nan")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("pictures", type=Path, help="A folder, or a file; clips of a clip model.")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--requests", type=int, default=200, help="Of each number of clients.")
    parser.add_argument("--warm", type=int, default=20, help="Requests that are not counted.")
    arguments = parser.parse_args()
    preprocessing = Predictor.load(arguments.run / "model").saved.preprocessing
    find = find_pictures if preprocessing.frames is None else find_clips
    files = find([arguments.pictures])[:MOST_FILES]
    print(f"{arguments.run.name}, {len(files)} files, {torch.get_num_threads()} threads")
    print(time_bare(arguments.run, files, min(arguments.requests, 100)), flush=True)
    bodies = [Path(file).read_bytes() for file in files]
    with serving(arguments.run) as (host, port, start_s):
        print(f"started in {start_s:.1f} s", flush=True)
        ask(host, port, bodies, 1, arguments.warm)
        for num_clients in arguments.clients:
            latencies, took_s = ask(host, port, bodies, num_clients, arguments.requests)
            p50, p95 = (1000 * np.percentile(latencies, q) for q in (50, 95))
            print(
                f"{num_clients:2d} clients: p50 {p50:.1f} ms, p95 {p95:.1f} ms, "
                f"{arguments.requests / took_s:.1f} requests a second, "
                f"{resident_mib(host, port):.0f} MiB resident",
                flush=True,
            )


if __name__ == "__main__":
    main()
