"""Epochs of head training the usual way: every picture passes the frozen backbone every epoch.

MobileNetV2 with given weights, its batch norms and weights frozen, timm's loader with its train
script's four processes, training pictures shuffled and else as those of validation and test, Adam
at 1e-3 on the last layer, a validation pass an epoch, and the scores of test at the end.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from timm.data import create_dataset, create_loader, create_transform
from timm.data.loader import PrefetchLoader
from timm.models import create_model
from torch import Tensor, nn

HALF = (0.5, 0.5, 0.5)
CROP_PCT = 0.875


def build_loader(
    root: str, split: str, classes: list[str], size: int, *, is_training: bool
) -> PrefetchLoader:
    """Return a loader of a split's pictures, all seen as in evaluation; of training shuffled."""
    class_map = {name: number for number, name in enumerate(classes)}
    loader = create_loader(
        create_dataset("", root=root, split=split, class_map=class_map),
        input_size=(3, size, size),
        batch_size=32,
        is_training=is_training,
        no_aug=True,
        mean=HALF,
        std=HALF,
        crop_pct=CROP_PCT,
        num_workers=4,
        device=torch.device("cpu"),
    )
    if is_training:  # without augmentation timm would squash the whole picture, not crop it
        loader.dataset.transform = create_transform(
            (3, size, size), crop_pct=CROP_PCT, use_prefetcher=True
        )
    return loader


def accuracy(model: nn.Module, loader: Iterable[list[Tensor]]) -> float:
    """Return the share of pictures whose class is the highest."""
    num_right = num_pictures = 0
    with torch.inference_mode():
        for images_BCHW, targets_B in loader:
            num_right += int((model(images_BCHW).argmax(dim=1) == targets_B).sum())
            num_pictures += len(targets_B)
    return num_right / num_pictures


def score(model: nn.Module, loader: Iterable[list[Tensor]]) -> Tensor:
    """Return the probabilities of a loader's pictures in order, shape (N, K)."""
    with torch.inference_mode():
        return torch.cat([model(images_BCHW).softmax(dim=1) for images_BCHW, _ in loader])


def main() -> None:
    """Train the head, score test, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("--classes", type=Path, required=True, help="a JSON list")
    parser.add_argument("--weights", required=True)
    parser.add_argument("--size", type=int, required=True)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    root, size = arguments.data, arguments.size
    classes: list[str] = json.loads(arguments.classes.read_text())
    train = build_loader(root, "train", classes, size, is_training=True)
    val = build_loader(root, "validation", classes, size, is_training=False)
    model = create_model("mobilenetv2_100", pretrained=False, num_classes=1000, pad_type="same")
    model.load_state_dict(load_file(arguments.weights))
    model.requires_grad_(False)
    model.reset_classifier(len(classes))
    model.eval()
    head = model.get_classifier()
    optimizer = torch.optim.Adam(head.parameters(), lr=1e-3)
    for _ in range(arguments.epochs):
        for images_BCHW, targets_B in train:
            loss = F.cross_entropy(model(images_BCHW), targets_B)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        accuracy(model, val)
    test = build_loader(root, "test", classes, size, is_training=False)
    scores_NK = score(model, test).numpy()
    np.savez(arguments.out, paths=test.dataset.filenames(absolute=True), scores_NK=scores_NK)


if __name__ == "__main__":
    main()
