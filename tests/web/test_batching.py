import threading
import time
from concurrent.futures import CancelledError

import numpy as np
import pytest
import torch

from finelens.predictor import Predictor
from finelens.web.batching import Batching
from finelens.web.limits import Limits
from finelens.web.metrics import Metrics
from finelens.web.problems import Refusal


@pytest.fixture(scope="module")
def predictor(bare_run):
    return Predictor.load(bare_run / "model", device="cpu")


@pytest.fixture
def start():
    """Return a function that starts a model thread with limits."""
    started = []

    def opened(**limits):
        metrics = Metrics()
        started.append(Batching(Limits(**limits), metrics))
        return started[-1], metrics

    yield opened
    for batching in started:
        batching.close()


def views(num_views):
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (num_views, 3, 32, 32), dtype=torch.uint8, generator=generator)


def sample(metrics, name):
    lines = metrics.exposition().decode().splitlines()
    return float(next(line.split()[-1] for line in lines if line.startswith(f"{name} ")))


def hold(batching):
    """Keep the model thread busy until the event that comes back is set."""
    begun, ended = threading.Event(), threading.Event()

    def wait():
        begun.set()
        ended.wait(20)

    batching.call(wait)
    assert begun.wait(20)
    return ended


def test_each_view_gets_its_own_logits(start, predictor):
    batching, _ = start()
    images = views(7)
    with batching.places(7) as places:
        futures = [places.submit(predictor, view) for view in images]
        found = np.stack([future.result(20) for future in futures])
    assert np.array_equal(found, predictor.logits(images))


def test_what_waits_together_is_passed_together(start, predictor):
    here = predictor.num_together
    batching, metrics = start()
    ended = hold(batching)
    with batching.places(5) as places:
        futures = [places.submit(predictor, view) for view in views(5)]
        ended.set()
        for future in futures:
            future.result(20)
        most = batching.call(lambda: predictor.num_together).result(20)
    assert most == here
    assert sample(metrics, "finelens_batch_pictures_count") == -(-5 // most)
    assert sample(metrics, "finelens_batch_pictures_sum") == 5


def test_pictures_of_two_models_are_passed_apart_and_none_is_forgotten(start, predictor, clip_run):
    other = Predictor.load(clip_run / "model", device="cpu")
    clips = torch.randint(0, 256, (3, 4, 3, 32, 32), dtype=torch.uint8)
    batching, _ = start()
    ended = hold(batching)
    with batching.places(6) as places:
        mixed = [
            (places.submit(predictor, view), places.submit(other, clip))
            for view, clip in zip(views(3), clips, strict=True)
        ]
        ended.set()
        found = [(a.result(20), b.result(20)) for a, b in mixed]
    assert np.array_equal(np.stack([a for a, _ in found]), predictor.logits(views(3)))
    assert np.array_equal(np.stack([b for _, b in found]), other.logits(clips))


def test_a_full_queue_refuses_at_once_and_says_when_to_come_again(start, predictor):
    batching, metrics = start(files=2, queue=3)
    ended = hold(batching)
    with batching.places(2) as places:
        futures = [places.submit(predictor, view) for view in views(2)]
        begun = time.monotonic()
        with pytest.raises(Refusal) as refused, batching.places(2):
            pass
        assert time.monotonic() - begun < 1
        assert refused.value.problem.status == 503
        assert int(refused.value.headers["Retry-After"]) >= 1
        assert sample(metrics, "finelens_queue_places") == 2
        with batching.places(1):
            assert sample(metrics, "finelens_queue_places") == 3
            with pytest.raises(Refusal):
                batching.call(time.monotonic)
        ended.set()
        for future in futures:
            future.result(20)
    assert sample(metrics, "finelens_queue_places") == 0
    with batching.places(2):
        pass


def test_a_lone_picture_waits_for_nobody(start, predictor):
    batching, _ = start(wait_ms=10_000)
    with batching.places(1) as places:
        begun = time.monotonic()
        places.submit(predictor, views(1)[0]).result(20)
        assert time.monotonic() - begun < 5


def test_the_wait_for_pictures_on_their_way_has_an_end(start, predictor):
    batching, _ = start(wait_ms=200)
    threads = torch.get_num_threads()
    with batching.places(threads + 1) as places:
        begun = time.monotonic()
        places.submit(predictor, views(1)[0]).result(20)
        took_s = time.monotonic() - begun
    if threads > 1:
        assert took_s >= 0.2
    assert took_s < 5


def test_pictures_that_will_not_come_are_not_waited_for(start, predictor):
    batching, _ = start(wait_ms=10_000)
    with batching.places(3) as places:
        places.gone()
        places.gone()
        begun = time.monotonic()
        places.submit(predictor, views(1)[0]).result(20)
        assert time.monotonic() - begun < 5
    # a request that broke off says nothing of its pictures
    with pytest.raises(ZeroDivisionError), batching.places(3):
        _ = 1 / 0
    with batching.places(1) as places:
        begun = time.monotonic()
        places.submit(predictor, views(1)[0]).result(20)
        assert time.monotonic() - begun < 5


def test_a_call_has_its_turn_and_its_exception_its_caller(start):
    batching, _ = start()
    assert batching.call(lambda: threading.current_thread().name).result(20) == "finelens-model"
    with pytest.raises(ZeroDivisionError):
        batching.call(lambda: 1 / 0).result(20)
    assert batching.is_alive


def test_closing_ends_the_thread_and_cancels_what_waits(start, predictor):
    batching, _ = start()
    ended = hold(batching)
    with batching.places(1) as places:
        waiting = places.submit(predictor, views(1)[0])
        threading.Timer(0.2, ended.set).start()
        batching.close()
        assert not batching.is_alive
        with pytest.raises(CancelledError):
            waiting.result(20)
        with pytest.raises(CancelledError):
            places.submit(predictor, views(1)[0]).result(20)
