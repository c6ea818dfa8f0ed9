"""Epochs of head training the usual way: every picture passes the frozen backbone every epoch.

MobileNetV2 with given weights, its batch norms and weights frozen, timm's loader without
augmentation and with its train script's four processes, Adam at 1e-3 on the last layer, a
validation pass an epoch, and the accuracy on test at the end.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from timm.data import create_dataset, create_loader
from timm.models import create_model
from torch import Tensor, nn

HALF = (0.5, 0.5, 0.5)


def build_loader(root: str, split: str, size: int, *, is_training: bool) -> Iterable[list[Tensor]]:
    """Return a loader of a split's pictures."""
    return create_loader(
        create_dataset("", root=root, split=split),
        input_size=(3, size, size),
        batch_size=32,
        is_training=is_training,
        no_aug=True,
        mean=HALF,
        std=HALF,
        crop_pct=0.875,
        num_workers=4,
        device=torch.device("cpu"),
    )


def accuracy(model: nn.Module, loader: Iterable[list[Tensor]]) -> float:
    """Return the share of pictures whose class is the highest."""
    num_right = num_pictures = 0
    with torch.inference_mode():
        for images_BCHW, targets_B in loader:
            num_right += int((model(images_BCHW).argmax(dim=1) == targets_B).sum())
            num_pictures += len(targets_B)
    return num_right / num_pictures


def main() -> None:
    """Train the head, and write its accuracy."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("--weights", required=True)
    parser.add_argument("--size", type=int, required=True)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    root, size = arguments.data, arguments.size
    train = build_loader(root, "train", size, is_training=True)
    val = build_loader(root, "validation", size, is_training=False)
    num_classes = len(train.dataset.reader.class_to_idx)
    model = create_model("mobilenetv2_100", pretrained=False, num_classes=1000, pad_type="same")
    model.load_state_dict(load_file(arguments.weights))
    model.requires_grad_(False)
    model.reset_classifier(num_classes)
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
    test = build_loader(root, "test", size, is_training=False)
    arguments.out.write_text(json.dumps({"quality": accuracy(model, test)}))


if __name__ == "__main__":
    main()
