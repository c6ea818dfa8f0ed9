"""The audit as lines for the terminal."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from finelens.cli.display import CONSOLE
from finelens.cli.tables import print_table
from finelens.data.audit import Audit
from finelens.errors import typed

_SHOWN = 3


def print_audit(audit: Audit, data: Path) -> None:
    """Print the classes, what was found wrong, and what to type next."""
    print_table(audit.counts)
    for line in audit_lines(audit):
        CONSOLE.print(line, markup=False, soft_wrap=True)
    verdict = "nothing stands against training" if audit.is_clean else "mend the above first"
    CONSOLE.print(
        f"{verdict}; next: finelens train --data {typed(data)}", markup=False, soft_wrap=True
    )


def audit_lines(audit: Audit) -> Iterator[str]:
    """Return the findings, one a line, each with its first examples."""
    splits = ", ".join(f"{count} {name}" for name, count in audit.splits.items())
    yield f"{audit.num_examples} pictures ({splits or 'no splits given: train makes them'})"
    if math.isfinite(audit.imbalance):
        yield f"balance: the most frequent class has {audit.imbalance:.1f} x the rarest's pictures"
    yield from _found("class without training pictures", audit.empty_classes)
    if audit.num_unlabelled:
        yield f"without labels: {audit.num_unlabelled}"
    if audit.num_ignored:
        yield f"with a difficult class, which counts neither way: {audit.num_ignored}"
    yield from _found("unreadable", _told(audit.unreadable))
    yield from _found("same file twice", _joined(audit.duplicates))
    yield from _found("look alike", _joined(audit.near_duplicates))
    yield from _found("the same picture in two splits (leakage)", _joined(audit.leaks))
    groups = {group: " and ".join(splits) for group, splits in audit.group_leaks.items()}
    yield from _found("group in two splits (leakage)", _told(groups))
    yield from _found("same picture, other labels", _joined(audit.contradictions))
    if audit.group_note is not None:
        yield f"groups: {audit.group_note}"


def _found(title: str, findings: Sequence[str]) -> Iterator[str]:
    if findings:
        yield f"{title}: {len(findings)}"
        yield from (f"  {finding}" for finding in findings[:_SHOWN])
        if len(findings) > _SHOWN:
            yield f"  and {len(findings) - _SHOWN} more"


def _joined(sets: Iterable[Sequence[str]]) -> list[str]:
    return [" = ".join(ids) for ids in sets]


def _told(reasons: Mapping[str, str]) -> list[str]:
    return [f"{name}: {reason}" for name, reason in reasons.items()]
