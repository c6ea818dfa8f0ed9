"""Updates of timm's training loop with the documented defaults of its train script.

Those are: SGD with momentum 0.9 and weight decay 2e-5, cosine schedule, label smoothing 0.1, crops
of 8 % to all of the picture, flips, colour jitter 0.4, random interpolation, four loader processes,
float32. The loss is fetched every update for its running mean, as there. ``--best`` takes the flags
that are quickest here: bfloat16 autocast, channels-last, a loader process a core. It runs on a GPU
where there is one.
"""

from __future__ import annotations

import argparse
import os
from contextlib import nullcontext

import torch
from gate import Gate, UpdateRounds
from timm.data import create_dataset, create_loader, resolve_data_config
from timm.loss import LabelSmoothingCrossEntropy
from timm.models import create_model
from timm.optim import create_optimizer_v2
from timm.scheduler import create_scheduler_v2
from timm.utils import AverageMeter

NUM_WORKERS = 4


def main() -> None:
    """Train until no further round is wanted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("--best", action="store_true")
    parser.add_argument("--backbone", default="resnet18")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--drain", type=int, default=10)
    parser.add_argument("--counted", type=int, default=10)
    arguments = parser.parse_args()
    gate = Gate("timm", "torch", "torchvision", "pillow")
    dataset = create_dataset("", root=arguments.data, split="train", is_training=True)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    num_classes = len(dataset.reader.class_to_idx)
    model = create_model(arguments.backbone, pretrained=False, num_classes=num_classes).to(device)
    if arguments.best:
        model = model.to(memory_format=torch.channels_last)
    config = resolve_data_config({"img_size": 224}, model=model)
    loader = create_loader(
        dataset,
        input_size=config["input_size"],
        batch_size=arguments.batch_size,
        is_training=True,
        scale=(0.08, 1.0),
        ratio=(3 / 4, 4 / 3),
        hflip=0.5,
        color_jitter=0.4,
        interpolation="random",
        mean=config["mean"],
        std=config["std"],
        num_workers=len(os.sched_getaffinity(0)) if arguments.best else NUM_WORKERS,
        device=device,
    )
    optimizer = create_optimizer_v2(model, opt="sgd", lr=0.05, momentum=0.9, weight_decay=2e-5)
    scheduler, num_epochs = create_scheduler_v2(
        optimizer, sched="cosine", num_epochs=300, warmup_epochs=5, warmup_lr=1e-5,
        updates_per_epoch=len(loader),
    )  # fmt: skip
    loss_function = LabelSmoothingCrossEntropy(0.1)
    settle = torch.cuda.synchronize if torch.cuda.is_available() else None
    rounds = UpdateRounds(gate, drain=arguments.drain, counted=arguments.counted, settle=settle)
    losses, num_updates = AverageMeter(), 0
    model.train()
    for epoch in range(num_epochs):
        for images_BCHW, targets_B in loader:
            if arguments.best:
                images_BCHW = images_BCHW.contiguous(memory_format=torch.channels_last)
            with torch.autocast(device.type, torch.bfloat16) if arguments.best else nullcontext():
                loss = loss_function(model(images_BCHW), targets_B)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            losses.update(loss.item(), len(targets_B))
            num_updates += 1
            scheduler.step_update(num_updates=num_updates, metric=losses.avg)
            rounds.after_update(len(targets_B))
        scheduler.step(epoch + 1)


if __name__ == "__main__":
    main()
