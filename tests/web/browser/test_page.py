import json

import numpy as np
import pytest
from PIL import Image

import finelens
from finelens.models.folder import read_decision


@pytest.fixture(scope="module")
def predictor(trained):
    return finelens.load(trained)


@pytest.fixture(scope="module")
def red(tmp_path_factory):
    """Return a picture that the trained run knows: a JPEG."""
    noise = np.random.default_rng(5).normal(0, 12, (60, 48, 3))
    path = tmp_path_factory.mktemp("red") / "red.jpg"
    pixels = np.clip(np.array([200, 40, 40]) + noise, 0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(path, quality=90)
    return path


def probabilities_on(page, place="#fl-result"):
    """Return what bars say, by class."""
    bars = page.locator(f"{place} .fl-bar").all()
    return {
        bar.get_attribute("data-choose"): float(bar.get_attribute("data-probability"))
        for bar in bars
    }


def predicted(predictor, path):
    row = predictor.predict(path).to_dicts()[0]
    return {
        name.removeprefix("probability."): value
        for name, value in row.items()
        if name.startswith("probability.")
    }, row["labels"]


def give(page, kind, path):
    """Drop a file on the page, or paste it."""
    page.evaluate(
        """async ([kind, bytes]) => {
            const held = new DataTransfer();
            held.items.add(new File([new Uint8Array(bytes)], 'given.jpg', { type: 'image/jpeg' }));
            const event = kind === 'paste'
                ? new ClipboardEvent('paste', { clipboardData: held, bubbles: true })
                : new DragEvent('drop', { dataTransfer: held, bubbles: true, cancelable: true });
            document.querySelector('.fl-picker').dispatchEvent(event);
        }""",
        [kind, list(path.read_bytes())],
    )


def test_a_chosen_picture_has_the_bars_of_predict_to_the_last_bit_and_a_heat_map(
    open_page, closed, predictor, red
):
    page = open_page(closed[1])
    page.set_input_files("#fl-picker input", red)
    page.locator("#fl-result .fl-picture img").wait_for()
    expected, labels = predicted(predictor, red)
    assert probabilities_on(page) == expected
    found = page.locator("#fl-result > div .fl-bar.is-found").all()
    assert [bar.get_attribute("data-choose") for bar in found] == sorted(
        labels, key=lambda name: -expected[name]
    )
    # the others are folded away
    others = page.locator("#fl-result details")
    assert not others.evaluate("one => one.open")
    others.locator("summary").click()
    for name in expected:
        page.locator(f'#fl-result [data-choose="{name}"]').click()
        page.locator("#fl-heat").get_by_text(name).wait_for()
        is_cold = predictor.explain(red, name).heat.is_cold
        assert page.locator("#fl-heat img").count() == (0 if is_cold else 1)
    warm = [name for name in expected if not predictor.explain(red, name).heat.is_cold]
    assert warm


def test_a_picture_may_be_dropped_pasted_photographed_or_be_an_example(
    open_page, closed, predictor, red
):
    page = open_page(closed[1])
    expected, _ = predicted(predictor, red)
    for kind in ("drop", "paste"):
        give(page, kind, red)
        page.locator("#fl-result .fl-picture img").wait_for()
        assert probabilities_on(page) == expected
        page.reload()
        page.locator("#fl-examples button").first.wait_for()
    page.get_by_role("button", name="Take a photo").click()
    page.wait_for_function("document.querySelector('.fl-camera video').videoWidth > 0")
    page.get_by_role("button", name="Take it").click()
    page.locator("#fl-result .fl-picture img").wait_for()
    photo = probabilities_on(page)
    assert photo.keys() == expected.keys()
    assert photo != expected
    page.locator("#fl-examples button").first.click()
    page.wait_for_function(
        "said => document.querySelector('#fl-result .fl-bar').dataset.probability !== said",
        arg=repr(max(photo.values())),
    )
    chosen = page.locator("#fl-examples button").first.get_attribute("data-choose")
    place = closed[0].run(None).items.place(chosen)
    assert probabilities_on(page) == predicted(predictor, place.path)[0]


def test_what_cannot_be_predicted_says_why(open_page, closed, tmp_path):
    site, address = closed
    page = open_page(address)
    (tmp_path / "words.jpg").write_text("no picture")
    page.set_input_files("#fl-picker input", tmp_path / "words.jpg")
    page.get_by_role("alert").wait_for()
    assert "kind of file is not known" in page.get_by_role("alert").inner_text()
    with site.batching.places(site.limits.queue):
        page.locator("#fl-examples button").first.click()
        page.get_by_text("too much to do").wait_for()
    assert "come again in" in page.get_by_role("alert").inner_text()
    (tmp_path / "large.jpg").write_bytes(bytes(site.limits.file_bytes + 1))
    page.set_input_files("#fl-picker input", tmp_path / "large.jpg")
    page.get_by_text("the limit is 32.0 MiB").wait_for()


def test_the_top_50_and_the_mistakes_are_browsed(open_page, closed):
    site, address = closed
    run = site.run(None)
    page = open_page(address)
    page.get_by_role("tab", name="View Top50 result").click()
    page.locator("#fl-top-class input").click()
    page.get_by_role("option", name="green").click()
    page.get_by_text("confidence in green").wait_for()
    expected = run.top("green", split="val").items
    tiles = page.locator("#fl-gallery button")
    assert [tile.get_attribute("data-choose") for tile in tiles.all()] == [
        one.item for one in expected
    ]
    words = [tile.inner_text() for tile in tiles.all()]
    assert all(f"{one.probability:.3f}" in said for one, said in zip(expected, words, strict=True))
    assert ["disagrees" not in said for said in words] == [one.is_positive for one in expected]
    tiles.nth(2).click()
    large = page.locator("#fl-large img")
    large.wait_for()
    assert large.evaluate("one => one.decode().then(() => one.naturalWidth)") > 0
    assert len(page.locator("#fl-large .fl-bar").all()) == 3
    page.get_by_label("Missed").click()
    page.get_by_text("which was not said").or_(page.get_by_text("There are none")).first.wait_for()


def test_thresholds_are_moved_but_not_saved_where_nothing_may_be_edited(open_page, closed):
    page = open_page(closed[1])
    page.get_by_role("tab", name="Thresholds").click()
    rows = page.locator("#fl-rows tbody tr")
    rows.first.wait_for()
    before = rows.all_inner_texts()
    page.locator("#fl-rows button").first.click()
    page.wait_for_function("document.querySelector('#fl-threshold-class input').value === 'blue'")
    number = page.locator("#fl-threshold input[type=number]")
    number.fill("1")
    number.press("Enter")
    page.wait_for_function(
        "said => document.querySelector('#fl-rows tbody tr').innerText !== said", arg=before[0]
    )
    after = rows.all_inner_texts()
    assert "1.000" in after[0]
    assert after[1:] == before[1:]
    assert page.locator("#fl-figures small").first.inner_text().startswith("▼")
    assert "0 right" in page.locator("#fl-figures .fl-confusion").inner_text()
    page.get_by_role("button", name="Reset", exact=True).click()
    page.wait_for_function(
        "said => document.querySelector('#fl-rows tbody tr').innerText === said", arg=before[0]
    )
    assert page.get_by_role("button", name="Save").is_disabled()
    assert page.get_by_text("--allow-edit").is_visible()


def test_saved_thresholds_of_1_leave_a_picture_not_identified(open_page, editable, red):
    site, address = editable
    run = site.runs["pictures"]
    page = open_page(address)
    page.get_by_role("tab", name="Thresholds").click()
    page.locator("#fl-rows tbody tr").first.wait_for()
    number = page.locator("#fl-threshold input[type=number]")
    number.fill("1")
    number.press("Enter")
    page.wait_for_function(
        "[...document.querySelectorAll('#fl-rows tr td:nth-child(2)')]"
        ".every(cell => cell.innerText.includes('1.000'))"
    )
    page.get_by_role("button", name="Save").click()
    page.locator("#fl-saved").get_by_text("Saved").wait_for()
    assert read_decision(run.directory.model).thresholds == (1.0, 1.0, 1.0)
    assert run.decision.thresholds == (1.0, 1.0, 1.0)
    kept = json.loads((run.directory.model / "decision-0001.json").read_text())
    assert kept["thresholds"] != [1.0, 1.0, 1.0]
    page.get_by_role("tab", name="Predict").click()
    page.set_input_files("#fl-picker input", red)
    page.get_by_text("Not identified").wait_for()
    assert page.locator("#fl-result .is-found").count() == 0


def test_a_run_of_clips_predicts_a_clip_and_shows_a_strip_of_frames(
    open_page, editable, clip_run, ucf11_data
):
    clip = next(ucf11_data.rglob("*.avi"))
    page = open_page(editable[1])
    camera = page.get_by_role("button", name="Take a photo")
    camera.wait_for()
    page.locator("#fl-run input").click()
    page.get_by_role("option", name="clips").click()
    page.wait_for_function("!document.querySelector('#fl-examples button')")
    camera.wait_for(state="hidden")
    page.set_input_files("#fl-picker input", clip)
    shown = page.locator("#fl-result .fl-picture img")
    shown.wait_for()
    assert shown.get_attribute("src").startswith("data:image/webp")
    assert probabilities_on(page) == predicted(finelens.load(clip_run), clip)[0]
    page.locator("#fl-result details summary").click()
    page.locator("#fl-result .fl-bar").last.click()
    page.locator("#fl-heat").get_by_text("Grad-CAM").or_(
        page.locator("#fl-heat").get_by_text("No place speaks")
    ).first.wait_for()
    assert page.locator("#fl-heat figure").count() in {0, 4}
    assert not camera.is_visible()
    page.locator("#fl-run input").click()
    page.get_by_role("option", name="pictures").click()
    camera.wait_for()


def test_report_and_comparison_are_shown_in_frames_of_their_own(open_page, closed):
    page = open_page(closed[1], viewport={"width": 390, "height": 800}, color_scheme="dark")
    for name, frame, words in (
        ("Report", "#fl-report iframe", "finelens report"),
        ("Compare", "#fl-compare iframe", "Paired tests"),
    ):
        tab = page.get_by_role("tab", name=name)
        if not tab.is_visible():
            page.locator(".overflow-menu > button").click()
            page.locator(".overflow-dropdown").get_by_role("button", name=name).click()
        else:
            tab.click()
        page.frame_locator(frame).get_by_text(words).first.wait_for()
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= 390
