"""The rows: everything that is measured, with what is asked of it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from suite import inputs, quality
from suite.figures import Target
from suite.row import Bench, Contender, Row

_CONTENDERS = Path(__file__).parents[1] / "contenders"
_EPOCHS = {"voc": 6, "plants": 4}
_FROZEN_SIZE, _FROZEN_EPOCHS = 160, 15
_WEIGHTS = "mobilenetv2_100.imagenet.safetensors"

MOBILENET = (
    "model.backbone=mobilenetv2_100", "model.options.pad_type=same",
    "input.mean=[0.5,0.5,0.5]", "input.std=[0.5,0.5,0.5]",
)  # fmt: skip
FROZEN = (f"input.size={_FROZEN_SIZE}", "phases=[]")
"""The probe alone: one pass of features, then the head to its optimum."""
FROZEN_LOOP = (
    f"input.size={_FROZEN_SIZE}", "model.probe=false", "model.head.dropout=0.0",
    "optimizer.name=adam", "optimizer.weight_decay=0", "train.ema_decay=null",
    f"phases=[{{epochs: {_FROZEN_EPOCHS}, augment: none, freeze: backbone, lr: 1.0e-3}}]",
)  # fmt: skip
"""The peer's own epochs: its optimiser and rate, without probe and average."""
QUICK = {
    "voc": ("input.size=128", "phases=[]"),
    "plants": ("phases.0.epochs=3", "phases.1.epochs=3"),
}
"""What gets to fastai's quality soonest. VOC: the probe of small pictures. Plants: three quarters
of the default recipe's epochs."""


def _loader_pictures(bench: Bench) -> Path:
    return inputs.photographs(bench, 256 if bench.is_smoke else 3200)


def _training_pictures(bench: Bench) -> Path:
    # enough for fastai's first epoch to outlast all rounds
    return inputs.photograph_classes(bench, 640 if bench.is_smoke else 6400)


def _gpu_pictures(bench: Bench) -> Path:
    # an epoch of timm's is long enough that its beginning does not count
    return inputs.photograph_classes(bench, 640 if bench.is_smoke else 32_000)


def _resident(is_peer: bool, script: str, *options: str, data: str) -> Contender:
    folders = {
        "loader": _loader_pictures,
        "classes": _training_pictures,
        "gpu": _gpu_pictures,
        "scored": lambda bench: inputs.photographs(bench, 64 if bench.is_smoke else 800),
        "scored on a GPU": lambda bench: inputs.photographs(bench, 64 if bench.is_smoke else 6400),
        "clips": lambda bench: bench.data["clips"],
    }

    def command(bench: Bench, _out: Path) -> list[str]:
        python = bench.peers if is_peer else bench.python
        return [str(python), str(_CONTENDERS / script), str(folders[data](bench)), *options,
                *(_short(bench) if data in {"classes", "gpu"} else ())]  # fmt: skip

    return Contender(command, is_peer=is_peer)


def _short(bench: Bench) -> tuple[str, ...]:
    return ("--drain", "1", "--counted", "2") if bench.is_smoke else ()


_ours = partial(_resident, False)
_peers = partial(_resident, True)


def _finelens(bench: Bench) -> str:
    return str(bench.python.parent / "finelens")


def _train(name: str, settings: tuple[str, ...], metric: str) -> Contender:
    """Return ``finelens train`` as a user starts it, to the end with evaluation and report."""

    def command(bench: Bench, out: Path) -> list[str]:
        data = inputs.plants(bench) if name == "plants" else inputs.voc(bench)
        weights = f"model.weights={bench.data['weights'] / _WEIGHTS}"
        few = ("phases.0.epochs=1",) if bench.is_smoke and "phases=[]" not in settings else ()
        wanted = (*MOBILENET, weights, *settings, *few)
        chosen = [part for one in wanted for part in ("--set", one)]
        return [_finelens(bench), "train", "--data", str(data), "--run", str(out), *chosen]

    return Contender(command, is_whole=True, quality=lambda _, out: quality.of_run(metric, out))


def _fastai(name: str, metric: str) -> Contender:
    def command(bench: Bench, out: Path) -> list[str]:
        table, classes = inputs.tables(bench, name)
        return [
            str(bench.peers), str(_CONTENDERS / "fastai_finetune.py"), str(table),
            "--classes", str(classes), "--weights", str(bench.data["weights"] / _WEIGHTS),
            "--epochs", str(2 if bench.is_smoke else _EPOCHS[name]),
            "--out", str(out.with_suffix(".npz")), *(["--multi-label"] if name == "voc" else []),
        ]  # fmt: skip

    return Contender(command, is_whole=True, quality=_of_scores(name, metric), is_peer=True)


def _of_scores(name: str, metric: str) -> Callable[[Bench, Path], float]:
    return lambda bench, out: quality.of_scores(bench, name, metric, out)


def _timm_frozen(bench: Bench, out: Path) -> list[str]:
    _, classes = inputs.tables(bench, "plants")
    return [
        str(bench.peers), str(_CONTENDERS / "timm_frozen.py"), str(inputs.plants(bench)),
        "--classes", str(classes), "--weights", str(bench.data["weights"] / _WEIGHTS),
        "--size", str(_FROZEN_SIZE), "--epochs", str(1 if bench.is_smoke else _FROZEN_EPOCHS),
        "--out", str(out.with_suffix(".npz")),
    ]  # fmt: skip


def _cli(*arguments: str) -> Contender:
    return Contender(lambda bench, _: [_finelens(bench), *arguments], is_whole=True)


def _no_torch(argument: str, bench: Bench) -> None:
    program = (
        "import sys\nfrom finelens.cli.main import main\ntry:\n    main()\n"
        "except SystemExit as ended:\n    assert not ended.code, ended.code\n"
        "sys.exit('torch' in sys.modules and 'torch was imported')"
    )
    done = subprocess.run(
        [bench.python, "-c", program, argument], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"finelens {argument}: {done.stderr.strip()}")


def _manifest(bench: Bench, out: Path) -> list[str]:
    table = str(inputs.million_rows(bench))
    return [str(bench.python), str(_CONTENDERS / "finelens_manifest.py"), table, "--out", str(out)]


def _training_on_gpu(batch_size: int) -> Iterator[Row]:
    """Return the rows of training on a GPU in batches of a size."""
    what = (
        f"training updates on a GPU, ResNet50 at 224, compiled, batches of {batch_size}, from files"
    )
    compiled = ("--set", "train.compile=true")
    options = ("--backbone", "resnet50", "--batch-size", str(batch_size),
               "--drain", "40", "--counted", "60")  # fmt: skip
    row = partial(
        Row, target=Target(), data=("photos",), on_gpu=True,
        ours=_ours("finelens_train.py", *options, *compiled, data="gpu"),
    )  # fmt: skip
    yield row(
        f"gpu-{batch_size}-timm", what, "timm's train loop, defaults",
        theirs=_peers("timm_train.py", *options, data="gpu"),
    )  # fmt: skip
    yield row(
        f"gpu-{batch_size}-best", what, "timm's train loop in bf16, channels-last",
        theirs=_peers("timm_train.py", "--best", *options, data="gpu"),
    )  # fmt: skip
    yield row(
        f"gpu-{batch_size}-memory", what, "the same fed from the GPU's memory (limit)",
        theirs=_ours("finelens_train.py", "--from-memory", *options, *compiled, data="gpu"),
    )  # fmt: skip


def _scoring_on_gpu() -> Iterator[Row]:
    """Return the rows of scoring on a GPU."""
    options = ("--backbone", "resnet50")
    row = partial(
        Row, what="scoring a folder of photographs on a GPU, ResNet50 at 224", target=Target(),
        data=("photos",), on_gpu=True,
        ours=_ours("finelens_scoring.py", *options, data="scored on a GPU"),
    )  # fmt: skip
    yield row(
        "gpu-score-timm", peer="timm's inference loop",
        theirs=_peers("timm_scoring.py", *options, data="scored on a GPU"),
    )  # fmt: skip
    yield row(
        "gpu-score-best", peer="timm's inference loop in bf16, channels-last",
        theirs=_peers("timm_scoring.py", "--best", *options, data="scored on a GPU"),
    )  # fmt: skip


def _training_by_the_recipe() -> Iterator[Row]:
    """Return the rows of pictures as small as the default recipe's phases see."""
    row = partial(
        Row, target=Target(), data=("photos",),
        ours=_ours("finelens_train.py", "--phases", data="classes"),
        what="training updates, ResNet18 for pictures of 224, batches of 32, from files, of both "
        "phases of the default recipe, whose pictures have 160 and 192 pixels",
    )  # fmt: skip
    yield row(
        "recipe-timm", peer="timm's train loop, at 224",
        theirs=_peers("timm_train.py", data="classes"),
    )  # fmt: skip
    yield row(
        "recipe-fastai", peer="fastai `fit_one_cycle`, at 224",
        theirs=_peers("fastai_train.py", data="classes"),
    )  # fmt: skip
    yield row(
        "recipe-best", peer="timm's train loop in bf16, channels-last, at 224",
        theirs=_peers("timm_train.py", "--best", data="classes"),
    )  # fmt: skip


_LOADER = (
    "loader, one loader process and the process that takes its batches: decode, random resized "
    "crop, flip, normalise, batches of 32 at 224"
)
_STEP = "training updates, ResNet18 at 224, batches of 32, from files"

ROWS = (
    Row("loader-timm", _LOADER, "timm `create_loader`, defaults (with colour jitter)",
        Target(times=2.5), ("photos",),
        _ours("finelens_loader.py", data="loader"), _peers("timm_loader.py", data="loader")),
    Row("loader-same", f"{_LOADER}; the same work a picture, for which finelens uses both "
        "processes, on two cores", "timm `create_loader` without colour jitter",
        Target(times=2.5), ("photos",), _ours("finelens_loader.py", data="loader"),
        _peers("timm_loader.py", "--same-work", data="loader")),
    Row("loader-cores", f"{_LOADER}; the same work a picture, two cores at it on both sides",
        "timm `create_loader` without colour jitter, two loader processes", Target(), ("photos",),
        _ours("finelens_loader.py", data="loader"),
        _peers("timm_loader.py", "--same-work", "--workers", "2", data="loader")),
    Row("loader-limit", _LOADER, "simplejpeg alone, one core (limit)",
        Target(times=0.6), ("photos",), _ours("finelens_loader.py", data="loader"),
        _ours("simplejpeg_decoding.py", data="loader")),
    Row("loader-limit-2", _LOADER, "simplejpeg alone, two processes on two cores (limit)",
        Target(), ("photos",), _ours("finelens_loader.py", data="loader"),
        _ours("simplejpeg_decoding.py", "--processes", "2", data="loader")),
    Row("train-timm", f"{_STEP}, defaults of both", "timm's train loop", Target(times=2.5),
        ("photos",), _ours("finelens_train.py", data="classes"),
        _peers("timm_train.py", data="classes")),
    Row("train-fastai", f"{_STEP}, defaults of both", "fastai `fit_one_cycle`", Target(times=2.5),
        ("photos",), _ours("finelens_train.py", data="classes"),
        _peers("fastai_train.py", data="classes")),
    Row("train-best", f"{_STEP}", "timm's train loop in bf16, channels-last", Target(times=1.2),
        ("photos",), _ours("finelens_train.py", data="classes"),
        _peers("timm_train.py", "--best", data="classes")),
    *_training_by_the_recipe(),
    Row("train-memory", f"{_STEP}", "the same fed from memory (limit)", Target(times=0.95),
        ("photos",), _ours("finelens_train.py", data="classes"),
        _ours("finelens_train.py", "--from-memory", data="classes")),
    Row("frozen", f"a head on frozen MobileNetV2 at {_FROZEN_SIZE}, on the seedlings, whole job; "
        "test accuracy", f"frozen loop with timm, {_FROZEN_EPOCHS} epochs",
        Target(times=10, quality_gap=0.005), ("plants", "weights"),
        _train("plants", FROZEN, "accuracy"),
        Contender(_timm_frozen, is_whole=True, quality=_of_scores("plants", "accuracy"),
                  is_peer=True),
        most_rounds=1),
    Row("frozen-loop", f"{_FROZEN_EPOCHS} epochs of a head on frozen MobileNetV2 at "
        f"{_FROZEN_SIZE}, on the seedlings, whole job; test accuracy",
        f"frozen loop with timm, {_FROZEN_EPOCHS} epochs",
        Target(times=10, quality_gap=0.005), ("plants", "weights"),
        _train("plants", FROZEN_LOOP, "accuracy"),
        Contender(_timm_frozen, is_whole=True, quality=_of_scores("plants", "accuracy"),
                  is_peer=True),
        most_rounds=1),
    Row("quality-voc", "whole job to test mean AP 0.708 on VOC, MobileNetV2", "fastai, 6 epochs",
        Target(times=20, quality=0.708), ("voc", "weights"),
        _train("voc", QUICK["voc"], "mean_average_precision"),
        _fastai("voc", "mean_average_precision"), most_rounds=1),
    Row("quality-plants", "whole job to test accuracy 0.925 on the seedlings, MobileNetV2",
        "fastai, 4 epochs", Target(times=4, quality=0.925), ("plants", "weights"),
        _train("plants", QUICK["plants"], "accuracy"), _fastai("plants", "accuracy"),
        most_rounds=1),
    Row("score", "scoring a folder of photographs, ResNet18 at 224", "timm's inference loop",
        Target(times=3), ("photos",), _ours("finelens_scoring.py", data="scored"),
        _peers("timm_scoring.py", data="scored")),
    Row("score-best", "scoring a folder of photographs, ResNet18 at 224",
        "timm's inference loop in bf16, channels-last", Target(), ("photos",),
        _ours("finelens_scoring.py", data="scored"),
        _peers("timm_scoring.py", "--best", data="scored")),
    Row("clips", "second epoch on clips, 30 frames at 64, one core", "first epoch",
        Target(times=10), ("clips",), _ours("finelens_clips.py", data="clips")),
    Row("start-help", "`finelens --help`, torch not imported", "", Target(seconds=0.3), (),
        _cli("--help"), check=partial(_no_torch, "--help")),
    Row("start-recipes", "`finelens recipes`, torch not imported", "", Target(seconds=0.3), (),
        _cli("recipes"), check=partial(_no_torch, "recipes")),
    Row("manifest", "a table of 1,000,000 rows: read, validate, split", "",
        Target(seconds=5, peak_mb=1000), (),
        Contender(_manifest, is_whole=True)),
    *_training_on_gpu(32),
    *_training_on_gpu(128),
    *_scoring_on_gpu(),
)  # fmt: skip
