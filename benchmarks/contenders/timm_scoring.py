"""Passes of timm's inference loop over a folder, with the documented defaults of its script.

Those are: batches of 256, two loader processes, float32, probabilities of the highest class written
to a CSV file; a GPU is used where there is one. Pictures have the size at which the network trains,
224, as on the other side. ``--best`` takes the flags that are quickest: bfloat16 autocast,
channels-last, a loader process a core, page-locked memory for a GPU.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from gate import Gate, serve
from timm.data import create_dataset, create_loader, resolve_data_config
from timm.models import create_model

NUM_CLASSES = 20
NUM_WORKERS = 2


def main() -> None:
    """Serve rounds over the folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("--best", action="store_true")
    parser.add_argument("--backbone", default="resnet18")
    arguments = parser.parse_args()
    gate = Gate("timm", "torch", "torchvision", "pillow")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = create_model(arguments.backbone, pretrained=False, num_classes=NUM_CLASSES)
    model = model.to(device).eval()
    if arguments.best:
        model = model.to(memory_format=torch.channels_last)
    config = resolve_data_config({}, model=model)

    def score() -> int:
        loader = create_loader(
            create_dataset("", root=arguments.folder, split="validation"),
            batch_size=256,
            num_workers=len(os.sched_getaffinity(0)) if arguments.best else NUM_WORKERS,
            pin_memory=arguments.best and device.type == "cuda",
            device=device,
            **config,
        )
        probabilities, classes = [], []
        with torch.inference_mode():
            for images_BCHW, _ in loader:
                if arguments.best:
                    images_BCHW = images_BCHW.contiguous(memory_format=torch.channels_last)
                with torch.autocast(device.type, torch.bfloat16, enabled=arguments.best):
                    logits_BK = model(images_BCHW)
                highest = logits_BK.float().softmax(-1).topk(1)
                classes.append(highest.indices.cpu().numpy())
                probabilities.append(highest.values.cpu().numpy())
        table = {
            "filename": loader.dataset.filenames(basename=True),
            "index": np.concatenate(classes).squeeze(-1),
            "prob": np.concatenate(probabilities).squeeze(-1),
        }
        with tempfile.TemporaryDirectory() as work:
            pd.DataFrame(table).set_index("filename").to_csv(Path(work) / "scores.csv")
        return len(table["filename"])

    serve(gate, score, "pictures/s")


if __name__ == "__main__":
    main()
