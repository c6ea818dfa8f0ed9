"""The verb that looks at data before anything is trained: check."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from finelens.api.recipe_choice import RECIPES
from finelens.config.load import load_recipe
from finelens.config.schema import DataConfig
from finelens.data.audit import Audit, audit
from finelens.data.extent import sample_sizes
from finelens.data.frame_cache import build_frame_cache
from finelens.data.media import Medium
from finelens.data.preprocessing import Preprocessing
from finelens.data.seen_share import unseen_note
from finelens.data.sources.read import read_source
from finelens.data.verify import verify
from finelens.models.backbones import create_backbone
from finelens.models.build import build_preprocessing
from finelens.progress import Progress, Silent


def check(
    data: str | Path,
    *,
    source: str = "auto",
    task: str = "auto",
    cache: bool = True,
    progress: Progress | None = None,
) -> Audit:
    """Return what is good and bad about pictures or clips and their labels, without training.

    Args:
        data: Class folders, a table, Pascal VOC, A2D, UCF-11, arrays or folders of frames.
        source: The on-disk format; ``auto`` looks at the path.
        task: ``auto``, ``multi-class`` or ``multi-label``.
        cache: Whether the facts of clips are kept, so that the next time, and training, need not
            decode them for these again.
        progress: Who watches.

    Raises:
        DataError: If the source cannot be read at all.
    """
    progress = progress or Silent()
    manifest = read_source(data, source=source, task=task, progress=progress)
    media = manifest.media
    kept = build_frame_cache(DataConfig(), is_clips=media == "clips") if cache else None
    with progress.stage(f"reading {media}", manifest.num_examples) as advance:
        verification = verify(manifest, cache=kept, progress=lambda num: advance(num, ""))
    with progress.stage("looking for duplicates", manifest.num_examples) as advance:
        found = audit(manifest, verification, progress=lambda num: advance(num, ""))
    sizes = list(found.clips.select("height", "width").iter_rows())
    if media == "pictures":
        sizes = sample_sizes(manifest.paths)
    return replace(found, unseen_note=unseen_note(_default_view(media), sizes, media=media))


def _default_view(media: Medium) -> Preprocessing:
    """Return how the medium's default recipe sees a picture or a frame."""
    recipe = load_recipe(RECIPES[media])
    # there the network is not even given memory: what it takes as input is all that is asked
    with torch.device("meta"):
        spec = create_backbone(recipe.model.backbone, pretrained=False).input_spec
    sized = recipe.input.model_copy(update={"size": spec.size})
    return build_preprocessing(sized, spec)
