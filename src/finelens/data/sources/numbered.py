"""Numbered labels: files that say 0, 1, 2 where a person says a class's name."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from finelens.errors import DataError


def as_numbers(labels: pl.Series) -> pl.Series:
    """Return lists of texts as lists of Int64 where every text is a whole number, else as given."""
    is_number = labels.explode().drop_nulls().str.contains(r"^\d+$")
    if is_number.is_empty() or not is_number.all():
        return labels
    return labels.cast(pl.List(pl.Int64))


def name_classes(
    labels: pl.Series,
    *,
    names: Sequence[str] | None,
    classes: Sequence[str] | None,
    num_classes: int = 0,
    where: str,
) -> tuple[pl.Series, Sequence[str] | None]:
    """Return the labels as names, List(String), and all classes in order.

    Numbers count from 0. They are called by ``names``, else by ``classes``, else by themselves:
    class 3 is then "3".

    Args:
        labels: List(Int64), or List(String): these are names already and stay as they are.
        names: The names of all numbers, if the data gives them.
        classes: What ``data.classes`` says; the order of the classes, where it is given.
        num_classes: How many classes there are at least.
        where: What holds the labels, to begin a message with.

    Raises:
        DataError: If a number has no name.
    """
    if labels.dtype == pl.List(pl.String):
        return labels, classes
    numbers = labels.explode().drop_nulls()
    lowest, highest = (numbers.min(), numbers.max()) if len(numbers) else (0, -1)
    count = max(int(str(highest)) + 1, num_classes)
    known = list(names or classes or map(str, range(count)))
    if int(str(lowest)) < 0:
        raise DataError(f"{where}: label {lowest} is below 0; classes are numbered from 0")
    if count > len(known):
        raise DataError(
            f"{where}: label {count - 1} has no name, there are {len(known)} "
            f'("{known[0]}" to "{known[-1]}"); name all {count} classes, from number 0'
        )
    named = labels.list.eval(
        pl.element().replace_strict(dict(enumerate(known)), return_dtype=pl.String)
    )
    return named, classes or known or None
