"""The loader: batches that depend on (seed, epoch) alone, however many processes read."""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from finelens.data.augment.generator import sample_generator
from finelens.data.dataset import Batch, PictureDataset, SampleKey
from finelens.data.feature_dataset import FeatureDataset
from finelens.data.readers import Readers
from finelens.errors import DataError

_ORDER = 2**64 - 1  # the generator of an index that no sample has shuffles the epoch


class Loader:
    """Batches of a dataset, epoch by epoch, one epoch at a time.

    An epoch is a pass over the dataset, or a number of batches out of an endless row of passes:
    it begins where the one before it ended. The same batches come with any number of workers and
    whatever the global random state, which is neither read nor changed. Workers start with the
    first epoch and stay for the next ones. A pass's last batch may be smaller; no sample is
    dropped. Shuffled batches are for training, where a batch norm needs two: a rest that gives a
    shard fewer joins the batch before it.

    Args:
        dataset: Gives the samples; its ``on_error`` is obeyed.
        batch_size: B, 1 or more.
        shuffle: Whether an epoch has its own order, or all keep the dataset's.
        seed: Of the orders and the augmentation, 0 or more.
        num_workers: Processes that read; 0 reads in this one.
        num_views: After so many passes the samples' draws come again, in another order; None:
            each pass has its own.
        batches_per_epoch: Length of an epoch; None: one pass.
        shard: Which training process of how many this is; each takes its part of every batch,
            or the batch's first sample where there is none for it.
        shares_cores: Whether batches are used on the processors that read them, and on all of
            them: nothing is then read meanwhile, unless reading waits for storage.
        pin_memory: Whether batches come in page-locked memory, for a CUDA device.

    Attributes:
        dataset: As given.
        batch_size: As given.
    """

    def __init__(
        self,
        dataset: PictureDataset | FeatureDataset,
        *,
        batch_size: int,
        shuffle: bool,
        seed: int,
        num_workers: int = 0,
        num_views: int | None = None,
        batches_per_epoch: int | None = None,
        shard: tuple[int, int] = (0, 1),
        shares_cores: bool = False,
        pin_memory: bool = False,
    ) -> None:
        self.dataset = dataset
        self.batch_size = batch_size
        self._keys = _EpochKeys(
            len(dataset), batch_size, shuffle, seed, shard, batches_per_epoch, num_views
        )
        self._num_workers = num_workers
        self._shares_cores = shares_cores
        self._pin_memory = pin_memory
        self._readers: Readers | None = None

    def __len__(self) -> int:
        """Return the batches of an epoch."""
        return len(self._keys)

    def batch_sizes(self, number: int) -> tuple[int, int]:
        """Return how many samples of the epoch's batch are this shard's, and of all shards.

        The epoch is the one that was asked for last, 0 at first.
        """
        return self._keys.batch_sizes(number)

    def num_samples(self, epoch: int) -> int:
        """Return how many samples an epoch has, in all shards."""
        return self._keys.num_samples(epoch)

    def __iter__(self) -> Iterator[Batch]:
        """Return epoch 0."""
        return self.epoch(0)

    def epoch(self, epoch: int, *, skip: int = 0) -> Iterator[Batch]:
        """Return an epoch's batches but the first ``skip``, whose pictures are not read.

        Raises:
            DataError: While iterating, if a picture is unreadable and the dataset says so.
            RunError: While iterating, if a worker died.
        """
        self._keys.epoch = epoch
        # drawn now: another epoch may be asked for before the first batch is taken
        return self._checked(self._keys.batches(epoch, skip))

    def close(self) -> None:
        """End the workers now; a later epoch starts new ones.

        Without it they end with the loader.
        """
        readers, self._readers = self._readers, None
        if readers is not None:
            readers.close()

    def _checked(self, keys: Iterator[list[SampleKey]]) -> Iterator[Batch]:
        try:
            for batch in self._batches(keys):
                if self.dataset.on_error == "raise":
                    _raise_first(batch.errors)
                yield batch
        except GeneratorExit:
            raise  # an epoch left early: workers stay for the next
        except BaseException:
            self.close()
            raise

    def _batches(self, keys: Iterator[list[SampleKey]]) -> Iterator[Batch]:
        if self._num_workers and isinstance(self.dataset, PictureDataset):
            if self._readers is None:
                self._readers = Readers(
                    self.dataset, self._num_workers, self._keys.most_samples,
                    shares_cores=self._shares_cores, pin_memory=self._pin_memory,
                )  # fmt: skip
            yield from self._readers.batches(keys)
            return
        for of_batch in keys:
            yield self.dataset.read_batch(of_batch, pin_memory=self._pin_memory)


class _EpochKeys:
    """The keys of each batch, drawn in the parent: workers hold no state."""

    def __init__(
        self,
        num_examples: int,
        batch_size: int,
        shuffle: bool,
        seed: int,
        shard: tuple[int, int],
        batches_per_epoch: int | None,
        num_views: int | None,
    ) -> None:
        self._num_views = num_views
        self._num_examples = num_examples
        self._shard = shard
        self._batch_size = batch_size
        num_full, rest = divmod(num_examples, batch_size)
        joins = shuffle and num_full > 0 and rest < 2 * shard[1] and batch_size > 1
        most = min(num_examples, batch_size + rest * joins)
        self.most_samples = max(1, math.ceil(most / shard[1]))
        self._pass_batches = num_full if joins else math.ceil(num_examples / batch_size)
        self._num_batches = batches_per_epoch or self._pass_batches
        self._shuffle = shuffle
        self._seed = seed
        self.epoch = 0

    def __len__(self) -> int:
        return self._num_batches

    def batch_sizes(self, number: int) -> tuple[int, int]:
        _, start, end = self._place(self.epoch, number)
        first, step = self._shard
        return len(range(first, end - start, step)), end - start

    def num_samples(self, epoch: int) -> int:
        places = (self._place(epoch, number) for number in range(self._num_batches))
        return sum(end - start for _, start, end in places)

    def _place(self, epoch: int, number: int) -> tuple[int, int, int]:
        """Return the pass of an epoch's batch, and where in its order the batch starts and ends."""
        turn, number = divmod(epoch * self._num_batches + number, self._pass_batches)
        is_last = number == self._pass_batches - 1
        start = number * self._batch_size
        return turn, start, self._num_examples if is_last else start + self._batch_size

    def batches(self, epoch: int, skip: int) -> Iterator[list[SampleKey]]:
        """Return the keys of an epoch's batches but the first ``skip``."""
        first, step = self._shard
        places = (self._place(epoch, number) for number in range(skip, self._num_batches))
        for turn, of_pass in itertools.groupby(places, key=operator.itemgetter(0)):
            order = epoch_order(self._num_examples, self._seed, turn, shuffle=self._shuffle)
            for _, start, end in of_pass:
                batch = order[start:end].tolist()
                # a pass is to its samples what an epoch of one pass is: no draw comes twice,
                # unless it is to come again
                view = turn % self._num_views if self._num_views else turn
                yield [(self._seed, view, index) for index in batch[first::step] or batch[:1]]


def epoch_order(num_examples: int, seed: int, epoch: int, *, shuffle: bool) -> NDArray[np.int64]:
    """Return the order of N samples in a pass: 0..N-1, permuted if ``shuffle``, shape (N,)."""
    if not shuffle:
        return np.arange(num_examples)
    return sample_generator(seed, epoch, _ORDER).permutation(num_examples)


def _raise_first(errors: Sequence[str | None]) -> None:
    for error in errors:
        if error is not None:
            raise DataError(f"{error}; mend or remove the file, or set data.bad_files=skip")
