import asyncio

import pytest

from finelens.models.folder import read_decision
from finelens.web.limits import Limits
from finelens.web.page import check_components
from finelens.web.site import Site
from finelens.web.ui import build_page


@pytest.fixture(scope="module")
def site(trained, clip_run):
    site = Site([trained, clip_run], limits=Limits())
    yield site
    site.close()


@pytest.fixture(scope="module")
def page(site):
    return build_page(site)


def test_no_component_of_the_page_moves_files(page):
    check_components(page)


def test_a_site_of_pictures_and_clips_names_both(page):
    labels = [block.label for block in page.blocks.values() if type(block).__name__ == "Tab"]
    assert labels == ["Predict image or clip", "View Top50 result", "Thresholds", "Report",
                      "Compare"]  # fmt: skip


def test_the_server_saves_nothing_whatever_a_browser_asks_unless_it_may(page, site, trained):
    before = read_decision(trained / "model")
    files = sorted((trained / "model").iterdir())
    (save,) = [one.fn for one in page.fns.values() if one.name == "save"]
    words, *_ = asyncio.run(save("trained", "all classes together", [1.0, 1.0, 1.0]))
    assert "--allow-edit" in words
    assert read_decision(trained / "model") == before == site.run("trained").decision
    assert sorted((trained / "model").iterdir()) == files


def test_the_page_asks_for_nothing_from_elsewhere(page):
    fonts = {str(font) for font in (*page.theme._font, *page.theme._font_mono)}
    assert not any("http" in font or "Local" in font for font in fonts)
    assert "url(" not in page.head
    assert "@import" not in page.head
