"""Passes of ``Predictor.predict`` over a folder, with a network from its model folder."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import polars as pl
from gate import Gate, serve

from finelens.config.schema import InputConfig, ModelConfig
from finelens.decision import Decision
from finelens.models.build import build_classifier, build_preprocessing
from finelens.models.folder import SavedModel, save_model
from finelens.predictor import Predictor
from finelens.task import Task, TaskKind

NUM_CLASSES = 20


def write_model(folder: Path, backbone: str) -> None:
    """Write a network of random weights: the time does not depend on them."""
    config = ModelConfig(backbone=backbone, pretrained=False)
    classifier = build_classifier(config, NUM_CLASSES, size=224)
    preprocessing = build_preprocessing(InputConfig(size=224), classifier.backbone.input_spec)
    names = tuple(f"class {number:02d}" for number in range(NUM_CLASSES))
    task = Task(TaskKind.MULTI_CLASS, names)
    save_model(folder, SavedModel(classifier, task, preprocessing, Decision()))


def main() -> None:
    """Serve rounds over the folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--backbone", default="resnet18")
    arguments = parser.parse_args()
    gate = Gate("finelens", "torch", "torchvision", "simplejpeg")
    with tempfile.TemporaryDirectory() as work:
        write_model(Path(work) / "model", arguments.backbone)
        predictor = Predictor.load(Path(work) / "model")

        def score() -> int:
            table = predictor.predict(arguments.folder)
            table = table.with_columns(pl.col("labels").list.join("|"))
            table.write_csv(Path(work) / "scores.csv")
            return table.height

        serve(gate, score, "pictures/s")


if __name__ == "__main__":
    main()
