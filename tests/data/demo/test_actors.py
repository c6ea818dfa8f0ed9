import pytest

from finelens.data.demo.actors import ACTORS, Look
from finelens.data.demo.pen import Pen
from finelens.data.demo.scene import CLASSES

LOOK = Look((200, 90, 40), (30, 60, 200), (224, 172, 125))


def shapes(actor: str, action: str, phase: float) -> list:
    pen = Pen(50)
    ACTORS[actor](pen, action, phase, LOOK)
    return [(shape.points, shape.colour) for shape in pen._shapes]


@pytest.mark.parametrize("label", CLASSES)
def test_a_pose_changes_with_its_phase_and_comes_back_after_a_cycle(label):
    actor, action = label.split("-")
    start, middle, end = (shapes(actor, action, phase) for phase in (0.25, 0.6, 1.25))
    assert start != middle
    for (points, colour), (again, same) in zip(start, end, strict=True):
        assert colour == same
        for point, other in zip(points, again, strict=True):
            # a jumping ball turns a sixth of a turn a cycle
            assert label == "ball-jumping" or point == pytest.approx(other)


@pytest.mark.parametrize("actor", ["bird", "cat", "person"])
def test_an_action_is_told_by_the_pose(actor):
    actions = [label.split("-")[1] for label in CLASSES if label.startswith(actor)]
    poses = [str(shapes(actor, action, 0.25)) for action in actions]
    assert len(set(poses)) == len(actions) > 1


@pytest.mark.parametrize("label", CLASSES)
def test_an_actor_stands_on_its_feet_and_is_about_one_unit_large(label):
    actor, action = label.split("-")
    pen = Pen(100)
    ACTORS[actor](pen, action, 0.25, LOOK)
    box = pen.box()
    assert action in {"flying", "jumping"} or -10 < box.bottom < 12
    assert 60 < max(box.right - box.left, box.bottom - box.top) < 170
