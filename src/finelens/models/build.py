"""Building: the classifier and the preprocessing that a recipe names."""

from __future__ import annotations

from collections.abc import Callable

from finelens.config.schema import HeadConfig, InputConfig, ModelConfig
from finelens.data.preprocessing import Preprocessing
from finelens.errors import ModelError
from finelens.models.auxiliary import AuxiliaryClassifier
from finelens.models.backbone import Backbone, InputSpec
from finelens.models.backbones import create_backbone
from finelens.models.classifier import Classifier
from finelens.models.heads import Head, create_head
from finelens.models.initialisation import initialise
from finelens.models.pooling import Pooling, create_pooling
from finelens.models.weights import load_weights


def build_classifier(
    model: ModelConfig,
    num_classes: int,
    *,
    size: int | None = None,
    frames: int | None = None,
    auxiliary: bool = False,
    say: Callable[[str], None] | None = None,
) -> Classifier:
    """Return a recipe's classifier with its first weights, in training mode, nothing frozen.

    Args:
        model: ``weights`` names a file; otherwise ``pretrained`` downloads ImageNet's.
        num_classes: K.
        size: Side of the pictures it will see, pixels; None: the backbone's own.
        frames: T of the clips it will see; None: single pictures.
        auxiliary: Whether the backbone's auxiliary nets train with it.
        say: Is told which rows of the file's classifier were dropped.

    Raises:
        ModelError: If the backbone, an option, the size, the frames, the pooling or the weights
            cannot be used, or do not go together.
    """
    if auxiliary and frames is not None:
        raise ModelError("loss.auxiliary_weight: auxiliary nets judge pictures; set it to 0")
    backbone = create_backbone(
        model.backbone,
        pretrained=model.pretrained and model.weights is None,
        options=model.options,
        size=size,
        frames=frames,
        auxiliary=auxiliary,
    )
    _check_time(backbone, model.pooling, frames)
    pooling = build_pooling(model.pooling, backbone, hidden=model.pooling_hidden, frames=frames)
    head = build_head(model.head, pooling.num_features, num_classes)
    if backbone.takes_clips and backbone.options.get("init") == "normal-0.1":
        initialise(head, "normal-0.1")
    nets = (AuxiliaryClassifier(tapped, num_classes) for tapped in backbone.auxiliary)
    classifier = Classifier(backbone, head, pooling=pooling, auxiliary=nets)
    if model.weights is not None:
        dropped = load_weights(classifier, model.weights)
        if dropped and say is not None:
            say(f"{model.weights}: its classifier does not fit and was left out: {_told(dropped)}")
    return classifier


def build_pooling(kind: str, backbone: Backbone, *, hidden: int, frames: int | None) -> Pooling:
    """Return a recipe's temporal pooling of a backbone's features, its weights random."""
    settings = {
        "linear": {"frames": frames},
        "lstm": {"hidden": hidden},
        "attention": {"hidden": hidden},
    }
    return create_pooling(kind, backbone.num_features, **settings.get(kind, {}))


def build_head(head: HeadConfig, num_features: int, num_classes: int) -> Head:
    """Return a recipe's head, its weights random."""
    settings = {"dropout": head.dropout}
    if head.kind == "mlp":
        settings |= {"hidden": head.hidden, "activation": head.activation}
    return create_head(head.kind, num_features, num_classes, **settings)


def build_preprocessing(input: InputConfig, spec: InputSpec) -> Preprocessing:  # noqa: A002
    """Return a recipe's preprocessing; what it leaves open is the backbone's own.

    Raises:
        ConfigError: If a value is out of its range.
    """
    own = Preprocessing(
        size=spec.size,
        mean=spec.mean,
        std=spec.std,
        crop_fraction=spec.crop_fraction,
        interpolation=spec.interpolation,
    )
    return Preprocessing.from_json(own.to_json() | input.given)


def _check_time(backbone: Backbone, pooling: str, frames: int | None) -> None:
    if backbone.takes_clips and frames is None:
        raise ModelError(
            f'backbone "{backbone.name}" takes clips, not pictures; '
            f"set input.frames, such as {backbone.input_spec.frames}, or another model.backbone"
        )
    if pooling == "mean":
        return
    if backbone.takes_clips:
        raise ModelError(
            f"model.pooling: {pooling} pools the features of single frames, and backbone "
            f'"{backbone.name}" takes whole clips; set model.pooling to mean'
        )
    if frames is None:
        raise ModelError(
            f"model.pooling: {pooling} is of clips, and these are pictures; "
            "set input.frames, or model.pooling to mean"
        )


def _told(names: tuple[str, ...]) -> str:
    return ", ".join(names) if len(names) <= 3 else f"{', '.join(names[:3])}, ..."
