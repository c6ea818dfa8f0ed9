"""Stratification: dividing counted units so that every part gets its share of every class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


# so few groups that are alike for a class are placed by all that they hold
_FEW = 16


def stratify(
    counts_UL: scipy.sparse.csr_array,
    sizes_U: IntArray,
    fractions: Sequence[float],
    generator: np.random.Generator,
) -> IntArray:
    """Return the part of each of U units, integers in [0, S), shape (U,).

    Iterative stratification (Sechidis, Tsoumakas and Vlahavas 2011, algorithm 1): the rarest
    class is divided first, each of its units going to the part that still wants most of it.
    Units that are alike for that class are dealt at once, which gives the same shares as one by
    one. Beyond the paper: what rounding gave a part too much or too little of all pictures
    weighs in the next rounding by at most half a unit; of groups the heavy go first, and where
    at most 16 are alike, each goes where all that it holds is missed most; the first part gets a
    unit of each class before any other part does.

    Args:
        counts_UL: Pictures of each class in each unit (a picture, or a group that stays
            together), not negative. Each unit needs a class: give pictures of no class a column
            of their own.
        sizes_U: Pictures in each unit.
        fractions: S shares that sum to 1; the first is above 0.
        generator: The only randomness: which of the units that are alike goes where.
    """
    order_U = generator.permutation(len(sizes_U))
    division = _Division(
        counts_UL[order_U].astype(np.float64), sizes_U[order_U], np.asarray(fractions, float)
    )
    while (division.remaining_L > 0).any():
        division.divide_rarest()
    part_U = np.empty_like(order_U)
    part_U[order_U] = division.part_U
    return part_U


class _Division:
    """A division under way: which units have a part, and what each part still wants."""

    def __init__(
        self, rows: scipy.sparse.csr_array, sizes_U: IntArray, share_S: FloatArray
    ) -> None:
        self.rows, self.columns = rows, rows.tocsc()
        self.sizes_U, self.share_S = sizes_U, share_S
        self.part_U = np.full(len(sizes_U), -1, dtype=np.int64)
        self.total_L = np.asarray(rows.sum(axis=0), dtype=np.float64).ravel()
        self.remaining_L = self.total_L.copy()
        self.wanted_SL = share_S[:, None] * self.total_L
        self.carry_S = np.zeros(len(share_S))
        self.is_started_L = np.zeros(len(self.total_L), dtype=bool)

    def divide_rarest(self) -> None:
        """Give a part to every open unit that holds the class with the fewest open pictures."""
        open_L = np.where(self.remaining_L > 0, self.remaining_L, np.inf)
        rarest = int(np.argmin(open_L))
        for units, weight in self._alike(rarest):
            is_few = len(units) <= _FEW and (self.sizes_U[units] > 1).any()
            for batch in np.split(units, len(units)) if is_few else [units]:
                must_start = not self.is_started_L[rarest]
                if is_few:
                    self._place(batch, [0 if must_start else self._neediest(int(batch[0]))])
                    continue
                need_S = self.wanted_SL[:, rarest]
                need_S = need_S + np.clip(self.carry_S, -0.5 * weight, 0.5 * weight)
                self._place(batch, _deal(need_S, weight, len(batch), must_start=must_start))

    def _alike(self, label: int) -> list[tuple[IntArray, float]]:
        """Return the open units that hold a class, by how many of it they hold, heavy first."""
        span = slice(self.columns.indptr[label], self.columns.indptr[label + 1])
        units, weights = self.columns.indices[span].astype(np.int64), self.columns.data[span]
        is_open = (self.part_U[units] < 0) & (weights > 0)
        units, weights = units[is_open], weights[is_open]
        return [(units[weights == weight], float(weight)) for weight in np.unique(weights)[::-1]]

    def _neediest(self, unit: int) -> int:
        """Return the part that lags most behind its share of what a unit holds."""
        span = slice(self.rows.indptr[unit], self.rows.indptr[unit + 1])
        labels, weights = self.rows.indices[span], self.rows.data[span]
        lag_SL = self.wanted_SL[:, labels] - np.outer(self.share_S, self.remaining_L[labels])
        lag_S = lag_SL @ (weights / self.total_L[labels])
        lag_S += self.carry_S * self.sizes_U[unit] / self.sizes_U.sum()
        return int(np.argmax(lag_S))

    def _place(self, units: IntArray, parts: Sequence[int] | IntArray) -> None:
        self.part_U[units] = parts
        for part in np.unique(parts):
            placed = units[np.asarray(parts) == part]
            taken_L = np.asarray(self.rows[placed].sum(axis=0)).ravel()
            self.remaining_L -= taken_L
            self.wanted_SL[part] -= taken_L
            self.carry_S[part] -= self.sizes_U[placed].sum()
            if part == 0:
                self.is_started_L |= taken_L > 0
        self.carry_S += self.share_S * self.sizes_U[units].sum()


def _deal(need_S: FloatArray, weight: float, count: int, *, must_start: bool) -> IntArray:
    """Return the parts of ``count`` units of one weight where the neediest is always next."""
    need_SN = need_S[:, None] - weight * np.arange(count)
    if must_start:
        need_SN[0, 0] = np.inf
    neediest = np.argsort(-need_SN, axis=None, kind="stable")[:count]
    # units come in random order, so that parts may go in theirs
    return np.sort(neediest // count)
