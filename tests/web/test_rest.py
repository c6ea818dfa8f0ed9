import io
import json
import shutil
import threading

import numpy as np
import polars as pl
import pytest
import torch
from PIL import Image

import finelens
from finelens.data.dataset import PictureDataset
from finelens.data.images import read_image
from finelens.data.manifest import build_manifest
from finelens.predictor import Predictor
from finelens.web.decoder import View, unpack_view
from finelens.web.limits import Limits
from finelens.web.looking import Frames, OwnView, unpack_frames
from finelens.web.site import Site

KINDS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")


def predicted(run, paths):
    """Return what `finelens predict` says: by path, labels and probabilities."""
    table = finelens.predict(run, paths)
    names = [name for name in table.columns if name.startswith("probability.")]
    return [
        (row["labels"], {name.removeprefix("probability."): row[name] for name in names})
        for row in table.iter_rows(named=True)
    ]


def form(*contents, name="x"):
    return [("files", (name, content)) for content in contents]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory, picture_bytes):
    """Return a folder's files, two of every kind of picture, of several sizes."""
    root = tmp_path_factory.mktemp("pictures")
    paths = []
    for n in range(12):
        path = root / f"{n}.{KINDS[n % 6].lower()}"
        path.write_bytes(picture_bytes(n, KINDS[n % 6], (30 + 5 * n, 60 - 2 * n)))
        paths.append(path)
    return paths


@pytest.fixture
def big_jpeg(tmp_path):
    """Return a JPEG of 1600 x 1200 pixels: a network that sees 32 of them has it decoded at 1/8."""
    generator = np.random.default_rng(0)
    coarse = generator.integers(0, 256, (60, 80, 3), dtype=np.uint8)
    image = Image.fromarray(coarse).resize((1600, 1200), Image.Resampling.BICUBIC)
    noise = generator.integers(0, 60, (1200, 1600, 3), dtype=np.uint8)
    Image.fromarray(np.asarray(image) // 2 + noise).save(tmp_path / "big.jpg", quality=90)
    return tmp_path / "big.jpg"


def test_a_big_jpeg_is_the_same_input_by_every_way(client, trained, big_jpeg):
    path, limits, span = str(big_jpeg), Limits(), (None, None)
    predictor = Predictor.load(trained / "model")
    task, seen = predictor.saved.task, predictor.saved.preprocessing
    part_HWC = read_image(path, least_side=seen.least_side)
    assert part_HWC.shape == (150, 200, 3)
    input_CSS = seen(part_HWC).numpy()
    assert not np.array_equal(input_CSS, seen(read_image(path)))

    targets = np.zeros((1, task.num_classes), dtype=np.float32)
    assert np.array_equal(PictureDataset([path], targets, seen)[0, 0, 0].image, input_CSS)
    for job in (View(path, seen), OwnView(path, span, seen)):
        assert np.array_equal(unpack_view(job.run(limits), seen)[0], input_CSS)
    for is_own in (False, True):
        [shown_HWC] = unpack_frames(Frames(path, span, seen, is_own).run(limits))
        assert np.array_equal(shown_HWC, part_HWC)
    explained = predictor.explain(path, task.classes[0])
    assert np.array_equal(explained.heat.views_TSSC[0], input_CSS.transpose(1, 2, 0))

    logits_1K = predictor.logits(torch.from_numpy(input_CSS)[None])
    probabilities_K = predictor.saved.decision.probabilities(task, logits_1K)[0]
    expected = dict(zip(task.classes, probabilities_K.tolist(), strict=True))
    assert predicted(trained, path)[0][1] == expected
    (row,) = client.post("/v1/predict", files=form(big_jpeg.read_bytes())).json()["rows"]
    assert row["probabilities"] == expected
    assert explained.probability == expected[task.classes[0]]
    table = pl.DataFrame({"id": ["a"], "path": [path], "labels": [[task.classes[0]]]})
    scores = predictor.score(build_manifest(table, classes=task.classes))
    assert np.array_equal(scores.logits_NK, logits_1K)


@pytest.fixture(scope="module")
def clips(tmp_path_factory, ucf11_data, ucf11_mpg_data):
    """Return five clips: AVI, MPEG and a GIF."""
    root = tmp_path_factory.mktemp("clips")
    frames = [Image.new("RGB", (20, 24), (40 * n, 90, 10)) for n in range(5)]
    frames[0].save(root / "moving.gif", save_all=True, append_images=frames[1:], duration=40)
    return [
        *sorted(ucf11_data.rglob("*.avi"))[:2],
        *sorted(ucf11_mpg_data.rglob("*.mpg"))[:2],
        root / "moving.gif",
    ]


def test_the_probabilities_of_many_are_those_of_predict_to_the_last_bit(client, trained, pictures):
    answer = client.post("/v1/predict", files=form(*(path.read_bytes() for path in pictures)))
    assert answer.status_code == 200
    content = json.loads(answer.text)
    assert content["run"] == "trained"
    assert [row["index"] for row in content["rows"]] == list(range(12))
    found = [(row["labels"], row["probabilities"]) for row in content["rows"]]
    assert found == predicted(trained, pictures)
    assert len({tuple(probabilities.values()) for _, probabilities in found}) == 12


def test_a_raw_body_is_one_input_with_the_same_numbers(client, trained, pictures):
    expected = predicted(trained, pictures[3])
    for content_type in ("image/bmp", "application/octet-stream", None,
                         "application/x-www-form-urlencoded"):  # fmt: skip
        headers = {} if content_type is None else {"content-type": content_type}
        answer = client.post("/v1/predict", content=pictures[3].read_bytes(), headers=headers)
        (row,) = answer.json()["rows"]
        assert [(row["labels"], row["probabilities"])] == expected


def test_clips_work_as_pictures_do(client, clip_run, clips):
    contents = [path.read_bytes() for path in clips]
    answer = client.post("/v1/predict?run=clips", files=form(*contents))
    rows = answer.json()["rows"]
    assert [row["error"] for row in rows] == [None] * 5
    found = [(row["labels"], row["probabilities"]) for row in rows]
    assert found == predicted(clip_run, clips)
    assert list(rows[0]["probabilities"]) == ["ball", "cube", "Kegel ß/2"]


def test_a_clip_that_is_cut_off_is_predicted_with_the_note_of_predict(
    client, clip_run, clips, tmp_path
):
    cut = tmp_path / "cut.avi"
    cut.write_bytes(clips[0].read_bytes()[: clips[0].stat().st_size * 2 // 3])
    contents = [clips[0].read_bytes(), cut.read_bytes()]
    rows = client.post("/v1/predict?run=clips", files=form(*contents)).json()["rows"]
    table = finelens.predict(clip_run, [clips[0], cut])
    assert [row["note"] for row in rows] == table["note"].to_list()
    assert rows[0]["note"] is None
    assert rows[1]["note"].startswith("cut off in the middle: ")
    found = [(row["labels"], row["probabilities"]) for row in rows]
    assert found == predicted(clip_run, [clips[0], cut])


def test_many_at_once_each_get_their_own_numbers(client, trained, pictures):
    expected = predicted(trained, pictures)
    found = {}

    def ask(turn):
        chosen = [(turn + n) % 12 for n in range(1 + turn % 3)]
        files = form(*(pictures[n].read_bytes() for n in chosen))
        rows = client.post("/v1/predict", files=files).json()["rows"]
        found[turn] = [(n, row["labels"], row["probabilities"])
                       for n, row in zip(chosen, rows, strict=True)]  # fmt: skip

    threads = [threading.Thread(target=ask, args=(turn,)) for turn in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 16
    for rows in found.values():
        for n, labels, probabilities in rows:
            assert (labels, probabilities) == expected[n]


def test_an_input_that_is_refused_keeps_its_row_between_the_others(client, picture_bytes):
    good = picture_bytes(1)
    answer = client.post("/v1/predict", files=form(good, b"text", b"", good[:500], good))
    rows = answer.json()["rows"]
    assert answer.status_code == 200
    assert [row["error"] is None for row in rows] == [True, False, False, False, True]
    assert rows[0]["probabilities"] == rows[4]["probabilities"]
    for row in rows[1:4]:
        assert (row["labels"], row["probabilities"], row["note"]) == (None, None, None)
        assert set(row["error"]) == {"type", "title", "status", "detail"}
    assert [row["error"]["status"] for row in rows[1:4]] == [415, 422, 422]
    assert rows[1]["error"]["type"] == "urn:finelens:problem:unknown-kind"
    assert "known are JPEG, PNG" in rows[1]["error"]["detail"]
    assert rows[2]["error"]["detail"] == "the file is empty"


def test_the_model_tells_its_classes_decision_preprocessing_and_figures(client, trained):
    content = client.get("/v1/model").json()
    decision = json.loads((trained / "model" / "decision.json").read_text())
    assert [one["name"] for one in content["classes"]] == ["blue", "green", "red"]
    assert [one["threshold"] for one in content["classes"]] == decision["thresholds"]
    assert content["decision"] == decision
    assert content["temperature"] == decision["temperature"]
    stored = json.loads((trained / "model" / "preprocessing.json").read_text())
    assert content["preprocessing"] == stored
    assert (content["run"], content["runs"]) == ("trained", ["trained", "clips"])
    metrics = json.loads((trained / "evaluation" / "val" / "metrics.json").read_text())
    assert content["figures"]["val"]["macro"] == metrics["macro"]
    assert content["figures"]["val"]["mean_average_precision"] == metrics["mean_average_precision"]
    other = client.get("/v1/model", params={"run": "clips"}).json()
    assert (other["medium"], other["figures"]) == ("clips", {})


@pytest.mark.parametrize("split", ["val", "test"])
def test_the_top_of_a_class_is_that_of_finelens_top(client, trained, split):
    content = client.get("/v1/top/green", params={"n": 5, "split": split}).json()
    table = finelens.top(trained, class_name="green", n=5, split=split)
    assert [one["rank"] for one in content["items"]] == table["rank"].to_list()
    assert [one["name"] for one in content["items"]] == table["id"].to_list()
    assert [one["probability"] for one in content["items"]] == table["probability"].to_list()
    assert [one["is_positive"] for one in content["items"]] == table["is_positive"].to_list()
    threshold = client.get("/v1/model").json()["classes"][1]["threshold"]
    for one in content["items"]:
        assert one["is_decided"] == (one["probability"] >= threshold)


def test_an_item_is_the_picture_of_its_rank(client, trained):
    content = client.get("/v1/top/red", params={"n": 2, "split": "val"}).json()
    ranked = finelens.top(trained, class_name="red", n=50, split="val")["path"].to_list()
    originals = np.stack([np.asarray(Image.open(path), dtype=float) for path in ranked])
    for rank, one in enumerate(content["items"]):
        answer = client.get(f"/v1/items/{one['item']}?large=true")
        assert answer.headers["content-type"] == "image/jpeg"
        shown = np.asarray(Image.open(io.BytesIO(answer.content)), dtype=float)
        distances = np.abs(originals - shown).mean(axis=(1, 2, 3))
        assert distances.argmin() == rank
    assert str(trained.parent) not in json.dumps(content)


def test_a_class_with_a_slash_in_its_name_is_found(open_client, clip_run):
    answer = open_client(clip_run).get("/v1/top/Kegel ß/2")
    assert answer.status_code == 404
    assert "no split of this run has been evaluated" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/v1/top/grene", 404, 'did you mean "green"'),
        ("/v1/top/green?split=tset", 404, 'did you mean "test"'),
        ("/v1/top/green?n=0", 422, "query.n"),
        ("/v1/top/green?n=many", 422, "query.n"),
        ("/v1/model?run=traned", 404, 'did you mean "trained"'),
        ("/v1/items/" + "0" * 32, 404, "no item of this run has this id"),
        ("/v1/items/..%2F..%2Fetc%2Fpasswd", 404, "Not Found"),
        ("/v1/items/passwd", 422, "path.item"),
        ("/nowhere", 404, "Not Found"),
        ("/docs", 404, "Not Found"),
        ("/v1/predict", 405, "Method Not Allowed"),
    ],
)
def test_what_is_not_there_is_a_problem(client, path, status, words):
    answer = client.get(path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    content = answer.json()
    assert set(content) == {"type", "title", "status", "detail"}
    assert content["status"] == status
    assert words in content["detail"]


def test_health_and_metrics_tell_what_was_done(open_client, bare_run, picture_bytes):
    client = open_client(bare_run)
    assert client.get("/healthz").json() == {"status": "ok"}
    client.post("/v1/predict", files=form(picture_bytes(0), b"text"))
    client.get("/metrics/../../etc")
    lines = client.get("/metrics").text.splitlines()
    assert 'finelens_inputs_total{outcome="predicted",run="bare"} 1.0' in lines
    assert 'finelens_inputs_total{outcome="unknown-kind",run="bare"} 1.0' in lines
    assert 'finelens_requests_total{route="/v1/predict",status="200"} 1.0' in lines
    assert "finelens_queue_places 0.0" in lines
    assert any(line.startswith("process_resident_memory_bytes ") for line in lines)


def test_a_failure_in_the_server_tells_nothing_of_it(open_client, bare_run, picture_bytes):
    client = open_client(bare_run)
    model = client.site.runs["bare"].predictor.saved.classifier
    model.head.output.weight.data = model.head.output.weight.data[:, :5]
    answer = client.post("/v1/predict", content=picture_bytes(0))
    assert answer.status_code == 500
    assert answer.json()["detail"] == "something went wrong in the server; its log says what"
    # and the model thread lives on
    assert client.get("/healthz").status_code == 200


def test_scores_that_are_not_finite_are_the_rows_problem(open_client, bare_run, picture_bytes):
    client = open_client(bare_run)
    model = client.site.runs["bare"].predictor.saved.classifier
    model.head.output.bias.data[0] = float("nan")
    (row,) = client.post("/v1/predict", content=picture_bytes(0)).json()["rows"]
    assert row["error"]["type"] == "urn:finelens:problem:model-failed"
    assert row["probabilities"] is None


def test_runs_of_one_name_are_told_apart(tmp_path, trained):
    for parent in ("a", "b"):
        shutil.copytree(trained, tmp_path / parent / "run")
    site = Site([tmp_path / "a" / "run", tmp_path / "b" / "run"], limits=Limits())
    try:
        assert list(site.runs) == ["a-run", "b-run"]
    finally:
        site.close()


def test_the_report_is_shown_shut_off_from_the_site(client, open_client, bare_run, trained):
    answer = client.get("/v1/report")
    assert answer.content == (trained / "report.html").read_bytes()
    assert answer.headers["content-security-policy"].startswith("sandbox allow-scripts")
    assert "allow-same-origin" not in answer.headers["content-security-policy"]
    assert answer.headers["x-frame-options"] == "SAMEORIGIN"
    assert open_client(bare_run).get("/v1/report").status_code == 404
