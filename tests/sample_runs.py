"""Records of runs that never were, for tests of what is made of them."""

from __future__ import annotations

import os
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from chainrule.insight.looking import LookWriter
from chainrule.insight.record import LayerEntry, WeightEntry, process
from chainrule.insight.record_file import FIELDS, STATISTIC, RecordWriter
from chainrule.ops.survey import BINS

LAYERS = (
    LayerEntry("convolution", "Conv2D", "relu", 8, 0, (26, 26, 8)),
    LayerEntry("hidden", "Dense", "relu", 64, 1, (64,)),
    LayerEntry("classes", "Dense", "softmax", 10, 2, (10,)),
)
WEIGHTS = (
    WeightEntry("convolution.kernel", "convolution", (3, 3, 1, 8)),
    WeightEntry("convolution.bias", "convolution", (8,)),
    WeightEntry("hidden.kernel", "hidden", (5408, 64)),
    WeightEntry("hidden.bias", "hidden", (64,)),
    WeightEntry("classes.kernel", "classes", (64, 10)),
    WeightEntry("classes.bias", "classes", (10,)),
)
FINDING = {
    "kind": "dead_relu",
    "layer": "hidden",
    "step": 120,
    "evidence": "31 of its 64 units (48 %) put out 0 for every sample of 10 looks",
    "cause": "the learning rate of 0.05 moved the biases below what any input can lift",
    "remedy": "lower the learning rate to 0.005, or use leaky_relu",
    "change": {"optimizer.learning_rate": 0.005},
    "numbers": {"dead": 0.48},
}


def make_run(
    folder: str | os.PathLike[str],
    task: str = "images",
    epochs: int = 6,
    steps: int = 50,
    statistics: bool = True,
    state: str = "finished",
    findings: bool = False,
    seed: int = 0,
) -> Path:
    """Write the record of a run and return its folder.

    `task`: images, sounds, texts, table (classification) or regression; `state`: finished,
    interrupted, failed (which have no evaluation), running or paused (by this process).
    """
    random = np.random.default_rng(seed)
    writer = RecordWriter(folder)
    writer.about(about(task, epochs, steps, time.time() - 60))
    writer.event("begin", 0.0, clock=time.time() - 60, epoch=0, batch=0)
    looks = statistics_of(epochs * steps, steps, random) if statistics else None
    LookWriter(writer).take(looks, 0.1, ending=True)
    for epoch in range(epochs):
        for batch in range(10, steps, 10):
            place = {"epoch": epoch, "batch": batch, "step": epoch * steps + batch}
            logs = _logs(task, epoch + batch / steps, random, validated=False)
            clock = 9.0 * (epoch + batch / steps)
            writer.event("progress", clock, **place, learning_rate=0.05 / (1 + epoch), logs=logs)
        place = {"epoch": epoch, "batch": steps, "step": (epoch + 1) * steps}
        logs = _logs(task, epoch + 1, random)
        clock = 9.0 * (epoch + 1)
        rate = 0.05 / (1 + epoch)
        writer.event("epoch", clock, **place, seconds=9.0, learning_rate=rate, logs=logs)
    if findings:
        writer.event("findings", 9.0 * epochs, findings=[FINDING])
    writer.write()
    writer.status(_status(state, epochs, steps, logs))
    if state in ("finished", "interrupted", "failed"):
        evaluation, arrays = evaluation_of(task, random) if state == "finished" else ({}, {})
        facts: dict[str, Any] = {"state": state, "seconds": 9.0 * epochs, **evaluation}
        facts |= {"message": "the disk is full"} if state == "failed" else {}
        writer.final(facts, arrays)
    return Path(folder)


def about(task: str, epochs: int, steps: int, clock: float) -> dict[str, Any]:
    """Return what such a run says of itself."""
    classes = task != "regression"
    layers = [
        {
            "name": layer.name,
            "kind": layer.kind,
            "detail": f"{layer.units} units",
            "activation": layer.activation,
            "shape": str((None, *layer.shape)),
            "parameters": 1000 * (layer.depth + 1),
            "trainable": True,
        }
        for layer in LAYERS
    ]
    picture = (
        '<svg xmlns="http://www.w3.org/2000/svg" width="120" height="40" viewBox="0 0 120 40">'
        '<rect width="100%" height="100%" fill="white"/><text x="8" y="24">network</text></svg>'
    )
    return {
        "name": f"sample-{task}",
        "clock": clock,
        "model": {
            "name": f"sample-{task}",
            "kind": "Sequential",
            "parameters": 6000,
            "trainable": 6000,
            "layers": layers,
            "svg": picture,
        },
        "training": {
            "optimizer": {"class": "SGD", "name": "sgd", "learning_rate": 0.05, "momentum": 0.9},
            "loss": {"name": "sparse_categorical_crossentropy" if classes else "mse"},
            "metrics": ["accuracy" if classes else "r2_score"],
            "batch_size": 32,
            "epochs": epochs,
            "initial_epoch": 0,
            "shuffle": True,
            "steps": steps,
            "seed": 1234,
        },
        "data": {
            "training": {"samples": 32 * steps, "arrays": {"x": "float32[28, 28, 1]", "y": "i"}},
            "validation": {"samples": 400, "arrays": {"x": "float32[28, 28, 1]", "y": "i"}},
        },
        "machine": {"chainrule": "0.1.0", "python": "3.12", "numpy": "2.0", "threads": 2},
        "command": "chainrule train digits --seed 0",
        "settings": {"data": "digits", "seed": 0},
    }


def statistics_of(steps: int, of_epoch: int, random: np.random.Generator) -> SimpleNamespace:
    """Return statistics of each third step, as ``run.statistics`` has them."""
    at = np.arange(0, steps, 3)
    shares = at / steps
    s = SimpleNamespace(layers=LAYERS, weights=WEIGHTS, steps=at, epochs=at // of_epoch, step=steps)
    s.loss = 2.3 * np.exp(-3 * shares) + random.uniform(0, 0.2, len(at))
    for name, things, size in (
        ("activation", 3, 0.8),
        ("error", 3, 0.02),
        ("weight", 6, 0.3),
        ("gradient", 6, 0.01),
        ("update", 6, 0.0005),
    ):
        setattr(s, name, _statistics(len(at), things, size, random))
    s.ratio = s.update["norm"] / s.weight["norm"]
    s.dead = np.stack([shares / 3, shares / 2, np.full(len(at), np.nan)], axis=1)
    s.snr = random.uniform(0.05, 2, (len(at), 6))
    s.snr[:5] = np.nan
    tables = {name: table for name, table in vars(s).items() if isinstance(table, np.ndarray)}
    s.after = lambda step: {name: table[at > step] for name, table in tables.items()}
    return s


def _statistics(looks: int, things: int, size: float, random: np.random.Generator) -> np.ndarray:
    out = np.zeros((looks, things), STATISTIC)
    for name in FIELDS:
        out[name] = size * random.uniform(0.8, 1.2, (looks, things))
    out["mean"] *= 0.1
    out["min"] *= -3
    out["max"] *= 3
    out["norm"] *= 10 ** np.linspace(0, 1.5, things)
    out["zeros"], out["nonfinite"] = random.uniform(0, 0.5, (looks, things)), 0
    out["saturated"] = random.uniform(0, 0.1, (looks, things))
    middle = 18 + np.log(size) / np.log(4)
    shape = np.exp(-0.5 * ((np.arange(BINS) - middle) / 1.5) ** 2)
    out["histogram"] = random.poisson(500 * shape, (looks, things, BINS))
    return out


def _logs(
    task: str, at: float, random: np.random.Generator, validated: bool = True
) -> dict[str, float]:
    measured = "r2_score" if task == "regression" else "accuracy"
    loss, noise = 2.3 * float(np.exp(-0.6 * at)), float(random.uniform(0, 0.05))
    logs = {"loss": loss + noise, measured: 1 - 0.9 * float(np.exp(-0.8 * at))}
    if validated:
        logs |= {"val_loss": 1.1 * loss + 0.1 + noise, f"val_{measured}": 0.95 * logs[measured]}
    return logs


def _status(state: str, epochs: int, steps: int, logs: dict[str, float]) -> dict[str, Any]:
    return {
        "state": state,
        **process(),
        "updated": time.time(),
        "elapsed": 9.0 * epochs,
        "epoch": epochs - 1,
        "batch": 0,
        "step": epochs * steps,
        "learning_rate": 0.05,
        "steps": steps,
        "epochs": epochs,
        "logs": logs,
    }


def evaluation_of(task: str, random: np.random.Generator) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what a record says at the end: facts and arrays."""
    costs = [
        {"name": n, "forward": f, "backward": 2 * f, "weights": 4000, "activations": 9000}
        for n, f in (("convolution", 0.003), ("hidden", 0.002), ("classes", 0.0001))
    ]
    memory = {"weights": 24000, "optimizer": 24000, "buffers": 90000, "scratch": 4096}
    memory |= {"copy": 48000, "total": 190096, "batch_size": 32}
    facts: dict[str, Any] = {"layers": costs, "memory": memory}
    arrays: dict[str, np.ndarray] = {
        "filters/convolution": random.normal(size=(3, 3, 1, 8)).astype("float32"),
        "histogram/hidden.kernel/counts": random.integers(0, 500, 30),
        "histogram/hidden.kernel/edges": np.linspace(-0.4, 0.4, 31),
    }
    if task == "regression":
        true = random.normal(20, 5, 300).astype("float32")
        predicted = (true + random.normal(0, 2, 300)).astype("float32")
        arrays |= {"regression/true": true, "regression/predicted": predicted}
        worst = [{"row": 7, "true": 31.5, "predicted": 24.0}]
        facts["evaluation"] = {"part": "test", "task": "regression", "samples": 300, "noun": "row"}
        facts["evaluation"] |= {"r2": 0.84, "rmse": 2.0, "mae": 1.6, "worst": worst}
        return facts, arrays
    facts["evaluation"], more = _classified(task, random)
    return facts, {**arrays, **more}


def _classified(task: str, random: np.random.Generator) -> tuple[dict[str, Any], dict[str, Any]]:
    names = {"texts": ["negative", "positive"], "table": ["setosa", "versicolor", "virginica"]}
    classes = names.get(task, [str(n) for n in range(10)])
    matrix = random.integers(0, 4, (len(classes), len(classes)))
    np.fill_diagonal(matrix, random.integers(30, 45, len(classes)))
    worst = [
        {"row": 10 * i, "true": classes[0], "predicted": classes[1], "confidence": 0.99 - 0.02 * i}
        for i in range(8)
    ]
    arrays: dict[str, np.ndarray] = {}
    for i, error in enumerate(worst):
        if task in ("images", "sounds"):
            error["picture"] = f"picture/{i}"
            shape = (28, 28) if task == "images" else (40, 60)
            arrays[f"picture/{i}"] = random.integers(0, 256, shape).astype("uint8")
        if task == "sounds":
            error["file"] = f"zero/{i}.wav"
        if task == "texts":
            error["text"] = "not <b>bad</b> at all, " * 4
    noun = {"images": "image", "sounds": "sound", "texts": "text"}.get(task, "row")
    evaluation = {"part": "test", "task": "classification", "noun": noun, "classes": classes}
    right, total = int(np.trace(matrix)), int(matrix.sum())
    evaluation |= {"samples": total, "accuracy": right / total, "matrix": matrix.tolist()}
    return {**evaluation, "worst": worst}, arrays
