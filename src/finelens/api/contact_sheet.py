"""The verb that shows what an augmentation does to a picture or clip: contact_sheet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
from PIL import Image

from finelens.config.load import load_recipe
from finelens.config.notation import parse_yaml
from finelens.config.packaged import recipe_names
from finelens.config.schema import InputConfig, Recipe
from finelens.config.training import AugmentStep
from finelens.data.augment.augmentation import Augmentation
from finelens.data.augment.policies import POLICIES
from finelens.data.contact_sheet import SIDE, Panel, draw_sheet
from finelens.data.example import read_example
from finelens.data.images import ImageArray, read_image
from finelens.data.manifest import Manifest
from finelens.data.preprocessing import Preprocessing
from finelens.data.sources.read import read_source
from finelens.errors import ConfigError, DataError, did_you_mean
from finelens.progress import Progress

_SIZE = 224
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's, as most backbones have


def contact_sheet(
    data: str | Path,
    augment: str | Sequence[AugmentStep],
    *,
    size: int | None = None,
    sample: str | int | None = None,
    source: str = "auto",
    task: str = "auto",
    progress: Progress | None = None,
) -> Image.Image:
    """Return one sample under 16 draws, beside what the network sees when scoring.

    Of a clip, four of its frames under four draws, each the same for all frames.

    Args:
        data: As ``check`` takes it.
        augment: A policy's name; a packaged recipe's name or a ``.yaml`` recipe, of which each
            policy gets its panel; or steps, as a sequence or as YAML such as
            ``[{flip: {p: 0.5}}]``.
        size: Side of the views, pixels; None takes the recipe's where it has one, else 224.
        sample: An id, or a row of the data; None takes the first training picture.
        source: The on-disk format; ``auto`` looks at the path.
        task: ``auto``, ``multi-class`` or ``multi-label``.
        progress: Who watches the source being read.

    Raises:
        ConfigError: If the policy, or a value of it, is unknown or does not fit.
        DataError: If the source or the picture cannot be read, or there is no such sample.
    """
    title, panels = _build_panels(augment, InputConfig(), size)
    manifest = read_source(data, source=source, task=task, progress=progress)
    is_clips = manifest.media == "clips"
    if is_clips and panels[0].augmentation.preprocessing.frames is None:
        title, panels = _build_panels(augment, InputConfig(frames=SIDE), size)
    example = _chosen(manifest, sample)
    seen = panels[0].augmentation.preprocessing

    @cache
    def read(least_side: int | None) -> ImageArray:
        if is_clips:
            return _read(example, seen)
        return read_image(example["path"], least_side=least_side)

    image = read(None)
    height, width = image.shape[-3:-1]
    frames = f"{len(image)} frames of " if is_clips else ""
    subtitle = (
        f"{example['id']}  ·  {frames}{width} × {height} pixels, seen at {seen.size} × {seen.size}"
    )
    return draw_sheet(read, panels, title=title, subtitle=subtitle)


def _read(example: Mapping[str, Any], seen: Preprocessing) -> ImageArray:
    return read_example(
        example["path"],
        (example["start_s"], example["end_s"]),
        frames=seen.frames,
        stride=seen.stride,
        start=seen.start,
    )


def _build_panels(
    augment: str | Sequence[AugmentStep], seen: InputConfig, size: int | None
) -> tuple[str, list[Panel]]:
    """Return a sheet's title, and a panel for each policy; a recipe has its own input."""
    if isinstance(augment, str) and augment not in POLICIES:
        if augment in recipe_names() or Path(augment).suffix in {".yaml", ".yml"}:
            recipe = load_recipe(augment)
            if recipe.input.frames is None:
                given = recipe.input.model_copy(update={"frames": seen.frames})
                recipe = recipe.model_copy(update={"input": given})
            return _build_recipe_panels(augment, recipe, size)
        if not augment.lstrip().startswith(("[", "{")):
            known = did_you_mean(augment, [*POLICIES, *recipe_names()])
            raise ConfigError(
                f'augment: "{augment}" is neither a policy, nor a recipe, nor steps such as '
                f"[{{flip: {{p: 0.5}}}}]{known}"
            )
        augment = parse_yaml(augment, origin="augment")
    preprocessing = _build_preprocessing(seen, size)
    title = augment if isinstance(augment, str) else "steps"
    return title, [Panel("", Augmentation(augment, preprocessing))]


def _build_recipe_panels(name: str, recipe: Recipe, size: int | None) -> tuple[str, list[Panel]]:
    preprocessing = _build_preprocessing(recipe.input, size)
    policies: list[Any] = []
    phases: list[list[str]] = []
    for number, phase in enumerate(recipe.phases, start=1):
        if phase.augment not in policies:
            policies.append(phase.augment)
            phases.append([])
        length = "1 epoch" if phase.epochs == 1 else f"{phase.epochs} epochs"
        told = f"{phase.name or f'phase {number}'} ({length})"
        phases[policies.index(phase.augment)].append(told)
    panels = [
        Panel(
            ", ".join(told) + (f": {policy}" if isinstance(policy, str) else ""),
            Augmentation(policy, preprocessing),
        )
        for told, policy in zip(phases, policies, strict=True)
    ]
    return f"recipe {Path(name).stem}", panels


def _build_preprocessing(config: InputConfig, size: int | None) -> Preprocessing:
    own = Preprocessing(_SIZE, _MEAN, _STD).to_json()
    given = config.given
    if size is not None:
        given["size"] = size
    elif given.get("size") == "auto":
        del given["size"]  # it follows the pictures and the backbone
    return Preprocessing.from_json(own | given)


def _chosen(manifest: Manifest, sample: str | int | None) -> dict[str, Any]:
    table = manifest.table
    if sample is None:
        train = table.filter(pl.col("split") == "train")
        return (table if train.is_empty() else train).row(0, named=True)
    named = table.filter(pl.col("id") == str(sample))
    if not named.is_empty():
        return named.row(0, named=True)
    if str(sample).isdecimal() and int(sample) < table.height:
        return table.row(int(sample), named=True)
    raise DataError(
        f'sample "{sample}" is neither an id, such as "{table["id"][0]}", '
        f"nor a row from 0 to {table.height - 1}"
    )
