import numpy as np
import torch
from scipy import ndimage


def white(height=200, width=260):
    return torch.full((3, height, width), 255, dtype=torch.uint8)


def test_squares_are_black_whole_and_as_many_as_asked(apply):
    counts = []
    for index in range(250):
        view = apply("coarse_dropout", white(), index, holes=[1, 5], size=8)
        assert torch.equal(view[0], view[1])
        assert set(view.unique().tolist()) == {0, 255}
        black = (view[0] == 0).numpy()
        parts, num_parts = ndimage.label(black)
        # a lone square is 8 x 8; what touches another cannot be told apart
        sides = [part[0].stop - part[0].start for part in ndimage.find_objects(parts)]
        assert min(sides) >= 8
        assert black.sum() <= 64 * 5
        counts.append(black.sum() / 64 if num_parts == black.sum() / 64 else np.nan)
    found = np.bincount(np.array(counts)[~np.isnan(counts)].astype(int), minlength=6)
    assert found[0] == 0
    assert found[1:].min() > 25


def test_squares_reach_every_corner(apply):
    seen = torch.zeros(20, 30, dtype=torch.bool)
    for index in range(400):
        seen |= apply("coarse_dropout", white(20, 30), index, holes=[5, 5], size=8)[0] == 0
    assert seen.all()


def test_small_view_is_covered_no_further_than_it_goes(apply):
    view = apply("coarse_dropout", white(3, 20), holes=[1, 1], size=8)
    assert (view[0] == 0).sum() == 3 * 8


def test_no_hole_leaves_the_view(apply, noise):
    assert torch.equal(apply("coarse_dropout", noise(), holes=[0, 0]), noise())


def test_squares_come_with_their_probability(apply):
    covered = sum(
        (apply("coarse_dropout", white(20, 20), n, p=0.3) == 0).any().item() for n in range(400)
    )
    assert 90 < covered < 150
