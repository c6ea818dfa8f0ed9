"""Why C3D and VGG9 do not learn with the reported settings, measured; docs/convergence.md tells it.

First the scale of every layer's activations and gradients at initialisation, and what one weight
update does, of the full-size networks on real clips. Then training from the reported settings,
with one thing changed at a time, and from the mended recipes. At last, of networks narrow enough
to be trained for longer, whether what they learned holds for other clips:

    python benchmarks/convergence.py --data TABLE --out docs [--work runs/convergence]

TABLE is any data with clips and splits, such as a fold of ``benchmarks/room_clips.py``. Training is
of networks of full width on small clips for few updates (``SHORT``), or of narrow ones for longer
(``NARROW``): a processor core needs a quarter of an hour. ``--work`` keeps what was measured, which
is not measured again.
"""

from __future__ import annotations

import argparse
import math
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib as mpl
import torch
import torch.nn.functional as F
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter
from torch import Tensor, nn

from finelens.config.load import load_recipe
from finelens.data.augment.augmentation import Augmentation
from finelens.data.manifest import Manifest
from finelens.data.sources.read import read_source
from finelens.errors import ModelError
from finelens.models.classifier import Classifier
from finelens.models.freeze import set_training
from finelens.progress import Advance, Silent
from finelens.reporting.chart import CHART_STYLE, INKS
from finelens.runs.directory import create_run, read_json, write_json_atomic
from finelens.runs.log import read_log
from finelens.training.fit import Fit
from finelens.training.optim import build_optimizer
from finelens.training.phases import build_phases
from finelens.training.setting import Setting, build_setting

NAMES = {"c3d": "C3D", "vgg9": "VGG9", "cnn-lstm": "CNN + LSTM"}
REPORTED = {
    "c3d": "ucf11-c3d-reported", "vgg9": "ucf11-vgg9-reported", "cnn-lstm": "ucf11-cnn-lstm-1e-3",
}  # fmt: skip
STARTS = {
    "N(0, 0.1²), as reported": (),
    "N(0, 0.1²), batch norm": ("model.options.batch_norm=true",),
    "N(0, 2 / inputs)": ("model.options.init=default",),
    "N(0, 2 / inputs), batch norm": (
        "model.options.init=default", "model.options.batch_norm=true",
    ),
}  # fmt: skip
"""Ways to begin, as settings over a reported recipe."""

SHORT = (
    "input.size=32", "input.frames=8", "train.batches_per_epoch=20", "phases.0.epochs=2",
)  # fmt: skip
NARROW = (
    "input.size=32", "input.frames=16", "model.options.width=16",
    "train.batches_per_epoch=16", "phases.0.epochs=16",
)  # fmt: skip

CHANGES = {
    "as reported": (),
    "only N(0, 2 / inputs)": ("model.options.init=default",),
    "only batch norm": ("model.options.batch_norm=true",),
    "only rate 1e-4": ("optimizer.lr=1.0e-4",),
    "only warm-up": ("phases.0.schedule.warmup_epochs=1",),
    "only clipping": ("train.clip_norm=1.0",),
    "N(0, 2 / inputs), batch norm": (
        "model.options.init=default", "model.options.batch_norm=true",
    ),
}  # fmt: skip
"""One thing at a time, and two, as settings over a reported recipe."""

MENDED_SHORT = ("phases.0.schedule.warmup_epochs=0.5",)
MENDED_NARROW = ("optimizer.lr=1.0e-3",)
"""Over a mended recipe: a short training warms up sooner, a narrow network takes a higher rate."""

_NUM_CLIPS = 8
_LAST = 8  # updates whose mean loss is the last loss
_INKS = ("orange", "blue", "purple", "yellow", "cyan", "muted", "ink", "green")

Measured = dict[str, Any]


class Curve(Silent):
    """Notes the loss of every weight update of a fit.

    Attributes:
        fit: What it watches.
        losses: The mean loss of each update's clips.
    """

    fit: Fit

    def __init__(self) -> None:
        self.losses: list[float] = []

    @contextmanager
    def stage(self, title: str, total: int) -> Iterator[Advance]:  # noqa: ARG002
        """Note an epoch's updates; other stages are not looked at."""
        sum_before = 0.0

        def advance(num_clips: int, _note: str) -> None:
            nonlocal sum_before
            if title.startswith("epoch"):
                sum_after = self.fit.state.sums.loss
                self.losses.append((sum_after - sum_before) / num_clips)
                sum_before = sum_after

        yield advance


def begin(setting: Setting) -> Measured:
    """Return the layers' figures at a setting's start, and what its first update does."""
    batch = first_clips(setting)
    measured = layer_scales(setting.classifier, *batch)
    phase = build_phases(setting.recipe, setting.preprocessing, round)[0]
    optimizer = build_optimizer(
        setting.recipe.optimizer, setting.classifier, lr=phase.lr, backbone_lr=phase.backbone_lr
    )
    optimizer.step()
    with torch.no_grad():
        loss = F.cross_entropy(setting.classifier(batch[0]), batch[1])
    return measured | {"loss after one update": loss.item()}


def first_clips(setting: Setting) -> tuple[Tensor, Tensor]:
    """Return the first training clips as the network sees them, and their classes."""
    view = Augmentation("none", setting.preprocessing)
    batch = next(iter(setting.loader("train", augmentation=view)))
    clips_BTCHW = setting.preprocessing.normalise(batch.images_BCHW[:_NUM_CLIPS])
    return clips_BTCHW, batch.targets_BK[:_NUM_CLIPS].argmax(dim=1)


def layer_scales(classifier: Classifier, clips_BTCHW: Tensor, targets_B: Tensor) -> Measured:
    """Return the loss of clips and, in order, every layer's figures; gradients are left behind.

    ``inputs`` is the fan-in, ``activation`` the root mean square of what a layer gives (behind
    its batch norm where it has one), ``gradient`` that of the loss's gradient by its weights,
    ``silent`` the share of its channels that are nowhere above 0.
    """
    layers = named_layers(classifier)
    figures: dict[str, Measured] = {name: {} for name in layers}
    hooks = [
        seen.register_forward_hook(partial(_note, figures[name]))
        for name, (_, seen) in layers.items()
    ]
    set_training(classifier)
    classifier.zero_grad(set_to_none=True)
    loss = F.cross_entropy(classifier(clips_BTCHW), targets_B)
    loss.backward()
    for hook in hooks:
        hook.remove()
    for name, (weight, _) in layers.items():
        figures[name] |= {"inputs": weight[0].numel(), "gradient": _scale(weight.grad)}
    return {"loss": loss.item(), "layers": figures}


def named_layers(classifier: Classifier) -> dict[str, tuple[Any, nn.Module]]:
    """Return each layer's weights, and the module behind which it is looked at."""
    network: Any = classifier.backbone.network
    found: dict[str, tuple[Any, nn.Module]] = {}
    for number, block in enumerate(network.convolutions, start=1):
        is_normed = isinstance(block[1], nn.BatchNorm2d | nn.BatchNorm3d)
        found[f"conv {number}"] = (block[0].weight, block[int(is_normed)])
    for number, block in enumerate(getattr(network, "dense", ()), start=1):
        is_last = isinstance(block, nn.Linear)
        layer = block if is_last else block[0]
        found["frame" if is_last else f"dense {number}"] = (layer.weight, layer)
    if hasattr(network, "lstm"):
        found["LSTM"] = (network.lstm.weight_ih_l0, network.lstm)
    found["logits"] = (classifier.head_output.weight, classifier.head_output)
    return found


def _note(figures: Measured, _layer: nn.Module, _inputs: object, output: Any) -> None:
    # an LSTM gives its outputs and its last state; a ReLU behind it may work in place, so: now
    values = output if isinstance(output, Tensor) else output[0]
    figures["activation"] = _scale(values)
    is_silent_C = (values.detach().transpose(0, 1).flatten(1) <= 0).all(dim=1)
    figures["silent"] = is_silent_C.double().mean().item()


def _scale(values: Tensor) -> float:
    return values.detach().double().square().mean().sqrt().item()


def build(name: str, settings: Sequence[str], manifest: Manifest, folder: Path) -> Setting:
    """Return a recipe's setting, its run in a new folder."""
    shutil.rmtree(folder, ignore_errors=True)
    recipe = load_recipe(name, ["train.num_workers=0", *settings])
    return build_setting(recipe, manifest, create_run(folder), bad_files={}, progress=Silent())


def train(name: str, settings: Sequence[str], manifest: Manifest, folder: Path) -> Measured:
    """Train a recipe to its end; return its figures by update, and its layers' then."""
    curve = Curve()
    setting = build(name, settings, manifest, folder).watched_by(curve)
    curve.fit = Fit(setting)
    scales: Measured = {}
    try:
        curve.fit.run()
        scales = layer_scales(setting.classifier, *first_clips(setting))
    except ModelError as error:
        print(f"{folder.name}: {error}", flush=True)
    of_val = [row for row in read_log(setting.run.metrics_log) if row["split"] == "val"]
    return {
        "train loss": [loss for loss in curve.losses if math.isfinite(loss)],
        "val loss": [row["value"] for row in of_val if row["name"] == "loss"],
        "val accuracy": [row["value"] for row in of_val if row["name"] == "accuracy"],
        "val updates": [row["step"] for row in of_val if row["name"] == "loss"],
        **scales,
    }


def kept(path: Path, measure: Callable[[], Measured]) -> Measured:
    """Return what a file holds, measured and written where it is not there."""
    if not path.exists():
        write_json_atomic(path, measure())
        print(f"measured {path.stem}", flush=True)
    return read_json(path)


def measure_starts(manifest: Manifest, work: Path) -> dict[str, dict[str, Measured]]:
    """Return the scales of every full-size network from every start."""

    def measure(network: str, number: int, settings: Sequence[str]) -> Measured:
        folder = work / f"start-{network}-{number}"
        return kept(
            folder.with_suffix(".json"),
            lambda: begin(build(REPORTED[network], settings, manifest, folder)),
        )

    return {
        network: {
            start: measure(network, number, settings)
            for number, (start, settings) in enumerate(STARTS.items())
        }
        for network in NAMES
    }


def measure_changes(network: str, manifest: Manifest, work: Path) -> dict[str, Measured]:
    """Return what every change made of the first updates of a network of full width."""
    recipes = {change: (REPORTED[network], settings) for change, settings in CHANGES.items()}
    recipes["mended recipe"] = (f"ucf11-{network}", MENDED_SHORT)
    return _measure_recipes(recipes, SHORT, manifest, work / f"train-{network}")


def measure_narrow(network: str, manifest: Manifest, work: Path) -> dict[str, Measured]:
    """Return what a narrow network learned in hundreds of updates, as reported and mended."""
    recipes = {
        "as reported": (REPORTED[network], ()),
        "mended recipe": (f"ucf11-{network}", MENDED_NARROW),
    }
    return _measure_recipes(recipes, NARROW, manifest, work / f"narrow-{network}")


def _measure_recipes(
    recipes: Mapping[str, tuple[str, Sequence[str]]],
    common: Sequence[str],
    manifest: Manifest,
    stem: Path,
) -> dict[str, Measured]:
    measured = {}
    for number, (change, (name, settings)) in enumerate(recipes.items()):
        folder = stem.with_name(f"{stem.name}-{number}")
        measured[change] = kept(
            folder.with_suffix(".json"),
            partial(train, name, (*common, *settings), manifest, folder),
        )
    return measured


def draw(panels: Mapping[str, Callable[[Axes], None]], path: Path, *, width_in: float) -> None:
    """Draw a panel a title side by side, one legend below them, and save the picture."""
    with mpl.rc_context({**CHART_STYLE, "figure.facecolor": "white"}):
        figure = Figure(figsize=(width_in, 4.6), layout="constrained")
        row = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
        for axes, (title, draw_panel) in zip(row, panels.items(), strict=True):
            axes.set_title(title, loc="left")
            axes.set_yscale("log")
            draw_panel(axes)
            axes.label_outer()
            # the style has no mathematical text, in which powers of ten would be set
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _place: f"{value:,.10g}"))
            axes.yaxis.set_minor_formatter(NullFormatter())
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
        figure.savefig(path, dpi=110)


def draw_scales(starts: Mapping[str, Measured], axes: Axes) -> None:
    """Draw the layers' activations of every start, on a logarithmic axis."""
    for ink, (start, measured) in zip(_INKS, starts.items(), strict=False):
        names = list(measured["layers"])
        values = [layer["activation"] for layer in measured["layers"].values()]
        axes.plot(names, values, color=INKS[ink], marker="o", markersize=4, label=start)
    axes.set_ylabel("scale of activations (root mean square)")
    axes.tick_params(axis="x", rotation=60)


def draw_losses(trained: Mapping[str, Measured], num_classes: int, axes: Axes) -> None:
    """Draw the training losses by weight update, and the loss of one guess for all classes."""
    for ink, (change, measured) in zip(_INKS, trained.items(), strict=True):
        is_end = change in {"as reported", "mended recipe"}
        axes.plot(
            range(1, len(measured["train loss"]) + 1), measured["train loss"],
            color=INKS[ink], label=change, linewidth=2.4 if is_end else 1.1,
        )  # fmt: skip
    axes.axhline(math.log(num_classes), color=INKS["muted"], linewidth=0.8, linestyle=":")
    axes.set_xlabel("weight updates")
    axes.set_ylabel("training loss (dotted: of guessing)")


def draw_narrow(trained: Mapping[str, Measured], num_classes: int, axes: Axes) -> None:
    """Draw training and validation losses by weight update."""
    for ink, (change, measured) in zip(("orange", "green"), trained.items(), strict=True):
        losses = measured["train loss"]
        updates = range(1, len(losses) + 1)
        smooth = [sum(losses[max(0, n - _LAST) : n]) / min(n, _LAST) for n in updates]
        axes.plot(updates, smooth, color=INKS[ink], linewidth=1.1, label=f"{change}, training")
        axes.plot(
            measured["val updates"], measured["val loss"], color=INKS[ink], linewidth=2.4,
            marker="o", markersize=4, label=f"{change}, validation",
        )  # fmt: skip
    axes.axhline(math.log(num_classes), color=INKS["muted"], linewidth=0.8, linestyle=":")
    axes.set_xlabel("weight updates")
    axes.set_ylabel("loss (dotted: of guessing)")


def print_starts(starts: Mapping[str, Mapping[str, Measured]]) -> None:
    """Print a table of every network's layers."""
    for network, of_network in starts.items():
        first = " | ".join(of_network)
        print(f"\n| {NAMES[network]} | inputs | {first} |\n|{'---|' * (len(of_network) + 2)}")
        layers = next(iter(of_network.values()))["layers"]
        for name, layer in layers.items():
            cells = [
                f"{of['layers'][name]['activation']:.3g} ({of['layers'][name]['gradient']:.2g})"
                for of in of_network.values()
            ]
            print(f"| {name} | {layer['inputs']} | {' | '.join(cells)} |")
        for key in ("loss", "loss after one update"):
            cells = [f"{of[key]:.3g}" for of in of_network.values()]
            print(f"| {key} | | {' | '.join(cells)} |")


def print_training(network: str, trained: Mapping[str, Measured]) -> None:
    """Print a table of what every change made of training."""
    print(f"\n| {NAMES[network]} | first loss | last loss | val loss | val accuracy | silent |")
    print("|---|---|---|---|---|---|")
    for change, measured in trained.items():
        losses = measured["train loss"]
        if "layers" not in measured:
            print(f"| {change} | {losses[0]:.3g} | not finite after {len(losses)} updates | | | |")
            continue
        last, layers = sum(losses[-_LAST:]) / _LAST, measured["layers"]
        name = max(list(layers)[:-1], key=lambda name: layers[name]["silent"])
        print(
            f"| {change} | {losses[0]:.3g} | {last:.3g} | {measured['val loss'][-1]:.3g} | "
            f"{measured['val accuracy'][-1]:.2f} | {layers[name]['silent']:.0%} ({name}) |"
        )


def main() -> None:
    """Measure, draw and print."""
    parser = argparse.ArgumentParser(description="Why C3D and VGG9 do not converge, measured")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("docs"))
    parser.add_argument("--work", type=Path, default=Path("runs/convergence"))
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    manifest = read_source(arguments.data)
    starts = measure_starts(manifest, arguments.work)
    print_starts(starts)
    scales = {NAMES[key]: partial(draw_scales, of_network) for key, of_network in starts.items()}
    draw(scales, arguments.out / "convergence-scales.png", width_in=11.5)
    of_changes, of_narrow = {}, {}
    num_classes = manifest.task.num_classes
    for network in ("c3d", "vgg9"):
        trained = measure_changes(network, manifest, arguments.work)
        print_training(network, trained)
        of_changes[NAMES[network]] = partial(draw_losses, trained, num_classes)
        trained = measure_narrow(network, manifest, arguments.work)
        print_training(network, trained)
        of_narrow[NAMES[network]] = partial(draw_narrow, trained, num_classes)
    draw(of_changes, arguments.out / "convergence-loss.png", width_in=11.5)
    draw(of_narrow, arguments.out / "convergence-narrow.png", width_in=11.5)


if __name__ == "__main__":
    main()
