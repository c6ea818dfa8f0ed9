import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.kernel_approximation import RBFSampler
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from finelens.data.demo.clip import draw_clip, draw_stage
from finelens.data.demo.motion import MOTIONS

NUM_SCENES = 32
CHANCE = 1 / len(MOTIONS)
GROUPS_N = np.repeat(np.arange(NUM_SCENES), len(MOTIONS))
LABELS_N = np.tile(np.arange(len(MOTIONS)), NUM_SCENES)


def clips_of(seed, scene):
    stage = draw_stage(seed, scene)
    return [draw_clip(stage, motion, seed, scene) for motion in MOTIONS]


@pytest.fixture(scope="module")
def small_clips():
    """Clips (N, 30, 16, 16, 3), each pixel the mean of sixteen."""
    clips = np.array([clip for scene in range(NUM_SCENES) for clip in clips_of(0, scene)])
    blocks = clips.reshape(-1, 30, 16, 4, 16, 4, 3)
    return np.array([block.mean(axis=(2, 4)) for block in blocks]) / 255


def accuracy(model, features_NF):
    splits = GroupKFold(4)
    return cross_val_score(model, features_NF, LABELS_N, groups=GROUPS_N, cv=splits).mean()


MODELS = {
    "linear": lambda: make_pipeline(StandardScaler(), LogisticRegression(C=1e-3, max_iter=100)),
    "random features": lambda: make_pipeline(
        StandardScaler(),
        RBFSampler(gamma=1e-3, n_components=400, random_state=0),
        LogisticRegression(max_iter=100),
    ),
}


def forest():
    return RandomForestClassifier(60, min_samples_leaf=4, max_features=12, random_state=0)


@pytest.mark.parametrize("name", MODELS)
def test_no_single_frame_tells_the_motion(small_clips, name):
    frames = [small_clips[:, index].reshape(len(LABELS_N), -1) for index in (0, 11, 29)]
    scores = [accuracy(MODELS[name](), features_NF) for features_NF in frames]
    assert np.mean(scores) < CHANCE + 0.06
    assert max(scores) < CHANCE + 0.1


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
