import os
import signal
import threading

import pytest

from finelens.progress import Silent
from finelens.training.interruption import Heedful, Interrupted, Interruption


def test_first_signal_is_a_wish_and_second_is_at_once():
    with Interruption() as interruption:
        os.kill(os.getpid(), signal.SIGINT)
        assert interruption.is_wanted
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_terminate_is_a_wish_too():
    with Interruption() as interruption:
        os.kill(os.getpid(), signal.SIGTERM)
        assert interruption.is_wanted


def test_handlers_return():
    before = signal.getsignal(signal.SIGINT)
    with Interruption():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before


def test_other_threads_are_left_alone():
    wanted = []

    def work():
        with Interruption() as interruption:
            wanted.append(interruption.is_wanted)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert wanted == [False]


def test_a_heedful_stage_ends_at_the_next_advance():
    interruption = Interruption()
    with Heedful(Silent(), interruption).stage("working", 3) as advance:
        advance(1, "")
        interruption.is_wanted = True
        with pytest.raises(Interrupted, match="working"):
            advance(1, "")
