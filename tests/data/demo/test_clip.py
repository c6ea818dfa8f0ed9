import numpy as np
import pytest
import torch
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from finelens.data.demo.clip import draw_clip, draw_stage
from finelens.data.demo.motion import MOTIONS

NUM_SCENES, NUM_LEARNED_SCENES = 40, 24
CHANCE = 1 / len(MOTIONS)
GROUPS_N = np.repeat(np.arange(NUM_SCENES), len(MOTIONS))
LABELS_N = np.tile(np.arange(len(MOTIONS)), NUM_SCENES)
AXES = {
    "moving-left": "level", "moving-right": "level",
    "moving-up": "upright", "moving-down": "upright",
}  # fmt: skip


def clips_of(seed, scene):
    stage = draw_stage(seed, scene)
    return [draw_clip(stage, motion, seed, scene) for motion in MOTIONS]


@pytest.fixture(scope="module")
def clips():
    """Clips (N, 30, 64, 64, 3), by scene and motion."""
    return np.array([clip for scene in range(NUM_SCENES) for clip in clips_of(0, scene)])


@pytest.fixture(scope="module")
def small_clips(clips):
    """Clips (N, 30, 16, 16, 3), each pixel the mean of sixteen."""
    blocks = clips.reshape(-1, 30, 16, 4, 16, 4, 3)
    return np.array([block.mean(axis=(2, 4)) for block in blocks]) / 255


def accuracy(model, features_NF):
    splits = GroupKFold(4)
    return cross_val_score(model, features_NF, LABELS_N, groups=GROUPS_N, cv=splits).mean()


def forest():
    return RandomForestClassifier(60, min_samples_leaf=4, max_features=12, random_state=0)


def frame_pairs(clips, lag):
    """Return frames beside those ``lag`` later, (N, 4, 6, 64, 64): four pairs a clip."""
    first = np.array([1, 9, 17, 25])
    pairs = np.concatenate([clips[:, first], clips[:, first + lag]], axis=-1)
    return torch.from_numpy(pairs).movedim(-1, 2).float() / 127.5 - 1


def pair_network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(6, 8, 5, 2, 2), nn.BatchNorm2d(8), nn.ReLU(),
        nn.Conv2d(8, 16, 3, 2, 1), nn.BatchNorm2d(16), nn.ReLU(),
        nn.Conv2d(16, 32, 3, 2, 1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, len(MOTIONS)),
    ).to(memory_format=torch.channels_last)  # fmt: skip


def learn_pairs(network, pairs_MCHW, labels_M, *, epochs=5, batch_size=16, lr=0.01):
    num_batches = len(labels_M) // batch_size
    optimizer = torch.optim.AdamW(network.parameters(), lr=lr)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=epochs * num_batches)
    for _ in range(epochs):
        for rows in torch.randperm(len(labels_M)).split(batch_size)[:num_batches]:
            loss = nn.functional.cross_entropy(network(pairs_MCHW[rows]), labels_M[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            rate.step()
    return network.eval()


def accuracy_by_clip(clips, lag):
    """Return, for each clip of the scenes not learned, the share of its pairs told right."""
    num_learned = NUM_LEARNED_SCENES * len(MOTIONS)
    pairs = frame_pairs(clips, lag)
    labels = torch.from_numpy(LABELS_N)[:, None].expand(pairs.shape[:2])
    network = learn_pairs(
        pair_network(), pairs[:num_learned].flatten(0, 1), labels[:num_learned].flatten()
    )
    with torch.no_grad():
        told = network(pairs[num_learned:].flatten(0, 1)).argmax(dim=1)
    return (told.view(-1, 4) == labels[num_learned:]).float().mean(dim=1).numpy()


def test_a_network_learns_the_motion_from_two_frames(clips):
    assert accuracy_by_clip(clips, lag=3).mean() > CHANCE + 0.4


def test_the_same_network_learns_nothing_from_one_frame_twice(clips):
    right_N = accuracy_by_clip(clips, lag=0)
    assert right_N.mean() < CHANCE + 3 * right_N.std() / len(right_N) ** 0.5


def test_no_pixels_of_a_frame_tell_the_motion(small_clips):
    model = make_pipeline(StandardScaler(), LogisticRegression(C=1e-3, max_iter=100))
    frames = [small_clips[:, index].reshape(len(LABELS_N), -1) for index in (0, 11, 29)]
    scores = [accuracy(model, features_NF) for features_NF in frames]
    assert np.mean(scores) < CHANCE + 0.06
    assert max(scores) < CHANCE + 0.1


def test_frames_without_their_order_tell_the_axis_of_a_motion_and_not_its_way(small_clips):
    grey = small_clips.mean(axis=-1)
    change, furthest = grey.std(axis=1), np.ptp(grey, axis=1)
    by_line = [change.mean(axis=1), change.mean(axis=2), furthest.mean(axis=1)]
    features_NF = np.sort(np.stack(by_line, axis=1)).reshape(len(LABELS_N), -1)
    told_N = cross_val_predict(forest(), features_NF, LABELS_N, groups=GROUPS_N, cv=GroupKFold(4))
    axes = np.array([AXES.get(motion, motion) for motion in MOTIONS])
    is_axis_right_N = axes[told_N] == axes[LABELS_N]
    assert is_axis_right_N.mean() > 0.9
    has_way_N = np.isin(axes, list(AXES.values()))[LABELS_N]
    is_way_right = (told_N == LABELS_N)[has_way_N & is_axis_right_N]
    assert is_way_right.mean() < 0.5 + 3 * 0.5 / len(is_way_right) ** 0.5


def test_a_frame_beside_its_scene_tells_nothing_either(small_clips):
    by_scene = small_clips.reshape(NUM_SCENES, len(MOTIONS), 30, -1)
    features = np.abs(by_scene - np.median(by_scene, axis=(1, 2), keepdims=True))
    for index in (0, 29):
        seen_NF = features[:, :, index].reshape(len(LABELS_N), -1)
        assert accuracy(forest(), seen_NF) < CHANCE + 0.1


def test_how_frames_follow_each_other_tells_the_motion(small_clips):
    grey = small_clips.mean(axis=-1)
    features = []
    for right, down in [(0, 0), (2, 0), (-2, 0), (0, 2), (0, -2)]:
        shifted = np.roll(grey[:, :-4], (down, right), axis=(2, 3))
        misfit = np.abs(grey[:, 4:] - shifted).mean(axis=(2, 3))
        features += [misfit.mean(axis=1), misfit.std(axis=1)]
    assert accuracy(forest(), np.stack(features, axis=1)) > CHANCE + 0.4


def test_a_clip_is_the_same_each_time_and_another_for_another_seed_scene_or_motion():
    clips = {(seed, scene): clips_of(seed, scene) for seed, scene in [(3, 5), (3, 6), (4, 5)]}
    np.testing.assert_array_equal(clips[3, 5], clips_of(3, 5))
    every = [clip.tobytes() for scene in clips.values() for clip in scene]
    assert len(set(every)) == len(every)


def test_a_clip_is_thirty_frames_of_eight_bit_colour():
    clip = clips_of(0, 0)[0]
    assert clip.shape == (30, 64, 64, 3)
    assert clip.dtype == np.uint8


def test_a_still_actor_stays_while_every_other_motion_changes_the_picture():
    for scene in range(4):
        for motion, clip in zip(MOTIONS, clips_of(1, scene), strict=True):
            change = np.abs(clip.astype(float) - clip[0]).mean(axis=(1, 2, 3)).max()
            # the grain of two frames differs by 4.5 at most, on average
            assert (change < 4.6) == (motion == "still"), (scene, motion, change)


def test_what_leaves_at_one_side_comes_in_at_the_other():
    stage = draw_stage(0, 0)
    quiet = type(stage)(np.zeros_like(stage.backdrop), np.zeros_like(stage.grain), stage.sprite)
    for motion in ("moving-left", "moving-up"):
        light = draw_clip(quiet, motion, 0, 0).astype(float).sum(axis=(1, 2, 3))
        assert light.std() < 0.02 * light.mean()
