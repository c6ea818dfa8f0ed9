import numpy as np

from finelens.data.augment.generator import sample_generator


def test_draws_depend_on_seed_epoch_and_index_alone():
    first = sample_generator(1, 2, 3).random(4)
    assert np.array_equal(first, sample_generator(1, 2, 3).random(4))
    keys = [(1, 2, 3), (0, 2, 3), (1, 3, 3), (1, 2, 4), (2, 1, 3), (3, 2, 1)]
    assert len({tuple(sample_generator(*key).random(4)) for key in keys}) == len(keys)


def test_draws_of_neighbouring_samples_are_unrelated():
    draws = np.array([sample_generator(0, 0, index).random(2) for index in range(2000)])
    assert abs(draws.mean() - 0.5) < 0.02
    assert abs(np.corrcoef(draws[:-1, 0], draws[1:, 0])[0, 1]) < 0.08
