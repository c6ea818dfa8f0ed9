"""Epochs of timm's ``create_loader`` with its defaults for training."""

from __future__ import annotations

import argparse

import torch
from gate import Gate, serve
from timm.data import create_dataset, create_loader


def main() -> None:
    """Serve rounds of one epoch."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--same-work", action="store_true", help="no colour jitter")
    arguments = parser.parse_args()
    gate = Gate("timm", "torch", "torchvision", "pillow")
    settings = {"color_jitter": 0.0} if arguments.same_work else {}
    loader = create_loader(
        create_dataset("", root=arguments.folder, split="train"),
        input_size=(3, 224, 224),
        batch_size=32,
        is_training=True,
        num_workers=arguments.workers,
        device=torch.device("cpu"),
        **settings,
    )

    def epoch() -> int:
        return sum(len(images_BCHW) for images_BCHW, _ in loader)

    serve(gate, epoch, "pictures/s")


if __name__ == "__main__":
    main()
