"""fastai's ``fine_tune`` from given MobileNetV2 weights, and its scores of the test pictures.

One epoch of the head, then the rest of the whole network, with fastai's defaults for batch norms,
rates and head; pictures by ``RandomResizedCrop(224, min_scale=0.35)``, as its documentation does,
in batches of 32.
"""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path

import numpy as np
import timm
from fastai.callback.schedule import Learner
from fastai.data.block import CategoryBlock, DataBlock, MultiCategoryBlock
from fastai.data.transforms import IndexSplitter, Normalize
from fastai.torch_core import set_seed
from fastai.vision.augment import RandomResizedCrop
from fastai.vision.data import ImageBlock
from fastai.vision.learner import TimmBody, add_head, default_split
from safetensors.torch import load_file
from torch import nn

HALF = (0.5, 0.5, 0.5)
Row = dict[str, str]


def build_network(weights: str, num_classes: int) -> nn.Module:
    """Return what ``vision_learner`` makes of a timm name, with the weights of a file."""
    network = timm.create_model("mobilenetv2_100", pretrained=False, num_classes=0, pad_type="same")
    given = load_file(weights)
    missing = network.load_state_dict(given, strict=False).missing_keys
    if missing:
        raise SystemExit(f"{weights} lacks {missing[0]}")
    body = TimmBody(network, pretrained=True)
    return add_head(body, network.num_features, num_classes, pool=body.needs_pool)


def main() -> None:
    """Fine-tune, score test, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", type=Path, help="columns path, split, labels")
    parser.add_argument("--classes", type=Path, required=True, help="a JSON list")
    parser.add_argument("--weights", required=True)
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--multi-label", action="store_true")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    set_seed(0)
    classes: list[str] = json.loads(arguments.classes.read_text())
    with arguments.table.open(newline="") as file:
        rows: list[Row] = list(csv.DictReader(file))
    trained = [row for row in rows if row["split"] != "test"]
    is_multi = arguments.multi_label

    block = DataBlock(
        blocks=(ImageBlock, (MultiCategoryBlock if is_multi else CategoryBlock)(vocab=classes)),
        get_x=lambda row: row["path"],
        # no annotated function: fastai would take its list[str] for a class
        get_y=(lambda row: list(filter(None, row["labels"].split("|"))))
        if is_multi
        else (lambda row: row["labels"]),
        splitter=IndexSplitter([n for n, row in enumerate(trained) if row["split"] == "val"]),
        item_tfms=RandomResizedCrop(224, min_scale=0.35),
        batch_tfms=Normalize.from_stats(HALF, HALF),
    )
    loaders = block.dataloaders(trained, bs=32)
    if list(loaders.vocab) != classes:
        raise SystemExit("fastai orders the classes otherwise: its scores could not be read")
    network = build_network(arguments.weights, len(classes))
    learner = Learner(loaders, network, splitter=default_split)
    with learner.no_bar():
        learner.fine_tune(arguments.epochs - 1)
        tests = [row for row in rows if row["split"] == "test"]
        scores_NK, _ = learner.get_preds(dl=loaders.test_dl(tests))
    np.savez(arguments.out, paths=[row["path"] for row in tests], scores_NK=scores_NK.numpy())


if __name__ == "__main__":
    main()
