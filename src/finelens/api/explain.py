"""The verb that shows where a model looked: explain."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from finelens.api.results import load
from finelens.data.heat_drawing import draw_heat_sheet
from finelens.evaluation.explanation import Explanation


def explain(
    run: str | Path, path: str | Path, class_name: str | None = None, *, device: str | None = None
) -> Explanation:
    """Return where a run's model looked in a picture or clip for a class: Grad-CAM.

    ``explanation.heat`` holds what the network saw and how much each place of it spoke for the
    class; ``draw_explanation`` makes a picture of it. For many pictures, load the run once and
    use ``Predictor.explain``.

    Args:
        run: A complete run, or a model folder copied out of one.
        path: A picture, or a clip's place.
        class_name: None takes the class of the highest probability.
        device: A torch device; None takes CUDA where there is one.

    Raises:
        DataError: If it cannot be read, or there is no such class.
        ModelError: If no heat map can be drawn for the model's backbone.
    """
    return load(run, device=device).explain(path, class_name)


def draw_explanation(explanation: Explanation, *, name: str) -> Image.Image:
    """Return a picture beside its heat, or a clip's frames above theirs, with what is said.

    Args:
        explanation: As ``explain`` gives it.
        name: What a reader is to call the picture.
    """
    title = f"{explanation.class_name} {explanation.probability:.2f}"
    return draw_heat_sheet(
        explanation.heat, title=title, subtitle=f"{name}  ·  {tell(explanation)}"
    )


def tell(explanation: Explanation) -> str:
    """Return in words what is said of the class, and whether anything speaks for it."""
    threshold = explanation.threshold
    if threshold is None:
        words = "the most probable class"
        words = words if explanation.is_decided else f"not {words}"
    else:
        said = "said" if explanation.is_decided else "not said"
        words = f"{said} to be there: its threshold is {threshold:.2f}"
    return f"{words}; nothing speaks for it" if explanation.heat.is_cold else words
