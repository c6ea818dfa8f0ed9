import re
from html.parser import HTMLParser

import pytest

from finelens.evaluation.example_scores import ClassScore
from finelens.web.ui.parts import bars, hint, refused, table


class Tags(HTMLParser):
    """Takes note of tags and of the words between them."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.words = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words.append(data)


HOSTILE = '<img src=x onerror="alert(1)">\'"&amp;'


@pytest.mark.parametrize(
    "make",
    [
        lambda word: bars([ClassScore(word, 0.5, 0.4, True, True)], is_choice=True),
        lambda word: hint(word),
        lambda word: refused(word, word),
        lambda word: table([word], [], caption=word),
    ],
)
def test_words_of_data_never_become_tags(make):
    found = Tags(make(HOSTILE))
    assert "img" not in {tag for tag, _ in found.tags}
    assert any(HOSTILE in word for word in found.words)
    assert not any("onerror" in attributes for _, attributes in found.tags)


def test_a_chosen_class_keeps_its_very_name():
    (choice,) = [
        attributes["data-choose"]
        for tag, attributes in Tags(
            bars([ClassScore(HOSTILE, 0.5, None, False, None)], is_choice=True)
        ).tags
        if tag == "button"
    ]
    assert choice == HOSTILE


def test_a_bar_tells_probability_threshold_and_decision():
    probability = 0.1 + 0.2
    text = bars(
        [
            ClassScore("bird", probability, 0.25, True, None),
            ClassScore("boat", 0.125, None, False, True),
        ]
    )
    said = [float(number) for number in re.findall(r'data-probability="([^"]+)"', text)]
    assert said == [probability, 0.125]
    bird, boat = text.split("boat")[0], text.split("boat")[1]
    assert "✓&nbsp;bird" in bird
    assert "needs 0.250" in bird
    assert '<b style="--at:0.2500"></b>' in bird
    assert "needs" not in boat
    assert "<b " not in boat
    assert "labelled" in boat
    assert "labelled" not in bird
    assert text.count("is-found") == 1
