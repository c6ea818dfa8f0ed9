"""Sites on tiny runs, asked in this process or over a real socket."""

import contextlib
import io
import threading
import time

import numpy as np
import pytest
import torch
import uvicorn
from PIL import Image
from starlette.testclient import TestClient

from finelens.data.preprocessing import Preprocessing
from finelens.decision import Decision
from finelens.models.backbones import create_backbone
from finelens.models.classifier import Classifier
from finelens.models.folder import SavedModel, save_model
from finelens.models.heads import create_head
from finelens.task import Task, TaskKind
from finelens.web.app import create_app
from finelens.web.limits import Limits
from finelens.web.site import Site

HERE = "http://127.0.0.1"


def encode(seed: int, kind: str = "JPEG", size: tuple[int, int] = (48, 40)) -> bytes:
    """Return a noisy picture, encoded."""
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


@pytest.fixture(scope="session")
def picture_bytes():
    """Return the function from a seed, a kind and a size to an encoded picture."""
    return encode


def write_run(root, *, frames=None, backbone="test_resnet"):
    """Write all of a run that predicting needs: an untrained model of three classes."""
    torch.manual_seed(0)
    network = create_backbone(backbone)
    head = create_head("linear", network.num_features, 3)
    preprocessing = Preprocessing(32, (0.5, 0.4, 0.3), (0.2, 0.3, 0.4), frames=frames)
    saved = SavedModel(
        Classifier(network, head).eval(),
        Task(TaskKind.MULTI_LABEL, ("ball", "cube", "Kegel ß/2")),
        preprocessing,
        Decision(1.3, (0.4, 0.5, 0.6), 0.5, "f1", "per_class", "val (9)"),
    )
    save_model(root / "model", saved)
    (root / "recipe.yaml").write_text("seed: 0\n")
    return root


@pytest.fixture(scope="session")
def clip_run(tmp_path_factory):
    """Return a run whose model takes clips of four frames."""
    return write_run(tmp_path_factory.mktemp("runs") / "clips", frames=4)


@pytest.fixture(scope="session")
def bare_run(tmp_path_factory):
    """Return a run of pictures that was never evaluated."""
    return write_run(tmp_path_factory.mktemp("runs") / "bare")


@pytest.fixture
def open_client():
    """Return a function that opens a site and gives a client of it, both closed at the end."""
    with contextlib.ExitStack() as stack:

        def opened(*runs, limits=(), **options):
            site = Site(runs, limits=Limits.of(limits))
            app = create_app(site, **options)
            client = TestClient(app, base_url=HERE, raise_server_exceptions=False)
            client.site = site
            return stack.enter_context(client)

        yield opened


@pytest.fixture(scope="session")
def client(trained, clip_run):
    """Return a client of a site of a trained run and a run of clips, with the usual limits."""
    app = create_app(Site([trained, clip_run], limits=Limits()))
    with TestClient(app, base_url=HERE, raise_server_exceptions=False) as opened:
        yield opened


@contextlib.contextmanager
def served(app, *, http="h11", lifespan="on"):
    """Serve an application on a real port of loopback while the block lasts; gives the address."""
    server = uvicorn.Server(
        uvicorn.Config(app, port=0, log_level="warning", http=http, ws="none", lifespan=lifespan)
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    try:
        yield server.servers[0].sockets[0].getsockname()[:2]
    finally:
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive()


@pytest.fixture(scope="session")
def serve_live():
    """Return the context manager that serves an application on a real port."""
    return served
