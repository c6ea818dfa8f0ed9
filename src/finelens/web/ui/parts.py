"""Parts of the page's HTML: bars, pictures, messages. Every word of data is escaped here."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape
from importlib import resources

from finelens.evaluation.example_scores import ClassScore
from finelens.web.thumbnail import media_type

SPLIT_WORDS = {"val": "validation", "test": "test", "train": "training"}
"""What splits are called before "pictures" and "clips"."""

_FOLDER = resources.files("finelens.web.ui")


def asset(name: str) -> str:
    """Return the text of a script or style beside this file."""
    return (_FOLDER / name).read_text(encoding="utf-8")


def bars(shown: Iterable[ClassScore], *, is_choice: bool = False) -> str:
    """Return bars below one another, each with its threshold as a mark.

    Args:
        shown: In their order.
        is_choice: Whether a bar may be chosen, which triggers ``choose`` with its class.
    """
    return f'<div class="fl-bars">{"".join(_bar(one, is_choice) for one in shown)}</div>'


def picture(encoded: bytes, words: str) -> str:
    """Return an encoded picture, in the page itself."""
    data = base64.b64encode(encoded).decode()
    return f'<img src="data:{media_type(encoded)};base64,{data}" alt="{escape(words)}">'


def hint(words: str) -> str:
    """Return words that say what may be done here."""
    return f'<p class="fl-hint">{escape(words)}</p>'


def refused(title: str, detail: str) -> str:
    """Return why something was not done."""
    said = escape(detail[:1].upper() + detail[1:])
    return f'<div class="fl-refused" role="alert"><strong>{escape(title)}</strong>{said}.</div>'


def table(
    headings: Sequence[str], rows: Iterable[Sequence[str]], *, caption: str = "", kind: str = ""
) -> str:
    """Return a table; its cells are HTML, its headings words, and the first column is a heading."""
    head = "".join(f'<th scope="col">{escape(words)}</th>' for words in headings)
    body = "".join(
        f'<tr><th scope="row">{row[0]}</th>{"".join(f"<td>{cell}</td>" for cell in row[1:])}</tr>'
        for row in rows
    )
    words = f"<caption>{escape(caption)}</caption>" if caption else ""
    return (
        f'<div class="fl-scroll" tabindex="0"><table class="fl-table {kind}">{words}'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _bar(one: ClassScore, is_choice: bool) -> str:
    name = escape(one.class_name)
    mark = "" if one.threshold is None else f'<b style="--at:{one.threshold:.4f}"></b>'
    needs = "" if one.threshold is None else f"<small>needs {one.threshold:.3f}</small>"
    labelled = '<em title="the label says so">labelled</em>' if one.is_positive else ""
    chosen = f' type="button" data-choose="{name}" title="Where did the model look for it?"'
    tag, more = ("button", chosen) if is_choice else ("div", "")
    found = " is-found" if one.is_decided else ""
    return (
        f'<{tag} class="fl-bar{found}" data-probability="{one.probability!r}"{more}>'
        f'<span class="fl-name">{"✓&nbsp;" if one.is_decided else ""}{name}{labelled}</span>'
        f'<span class="fl-track"><i style="--to:{one.probability:.4f}"></i>{mark}</span>'
        f'<span class="fl-figures"><strong>{one.probability:.3f}</strong>{needs}</span></{tag}>'
    )
