"""``python -m benchmarks.digits_cnn``: a convolutional network with augmentation, beside Keras.

The same layers, data, batches and epochs in chainrule and in Keras on JAX, each as a program of its
own: seconds of the whole process, imports and compilation included, of its ``fit`` alone, and the
accuracy on test data. Any other program can be timed with them:

    python -m benchmarks.digits_cnn --program a_program.py
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from rich.console import Console

from .networks import Activation, Conv, Dense, Dropout, Flatten, Network, Norm, Pool, Varied
from .peers import PEERS
from .peers.keras_words import layers
from .report import Sheet

LIBRARIES = ("chainrule", "keras")
NETWORK = Network(
    "digits",
    (28, 28, 1),
    (
        Varied("RandomRotation", (0.03,)),
        Varied("RandomTranslation", (0.08, 0.08)),
        Varied("RandomZoom", (0.1,)),
        Conv(32, 3, activation=None, bias=False), Norm(),
        Conv(32, 3, padding="same"), Pool(),
        Conv(64, 3), Pool(),
        Flatten(), Dense(128, "relu"), Dropout(0.4), Dense(10), Activation("softmax"),
    ),
)  # fmt: skip
_ROOT = Path(__file__).resolve().parents[1]


def train(library: str, epochs: int) -> dict[str, float]:
    """Train in this process; seconds of ``fit``, accuracy on the test data."""
    # Both read the digits through chainrule, whose import is a tenth of a second.
    from chainrule.datasets import digits

    words = import_module(library)
    words.utils.set_random_seed(3)
    (x, y), (x_test, y_test) = digits.load_data()
    x, x_test = x[..., None] / 255.0, x_test[..., None] / 255.0
    model = words.Sequential(layers(words, NETWORK))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    begin = time.perf_counter()
    model.fit(x, y, batch_size=32, epochs=epochs, validation_data=(x_test, y_test), verbose=0)
    seconds = time.perf_counter() - begin
    _, accuracy = model.evaluate(x_test, y_test, verbose=0)
    return {"fit": seconds, "accuracy": float(accuracy)}


def process(*command: str) -> tuple[float, str]:
    """The seconds of a process of Python, and what it printed last."""
    begin = time.perf_counter()
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    done = subprocess.run(
        [sys.executable, *command], cwd=_ROOT, env=environment, stdout=subprocess.PIPE, text=True,
        check=True,
    )  # fmt: skip
    return time.perf_counter() - begin, (done.stdout.strip().splitlines() or [""])[-1]


def measure(rounds: int, epochs: int, program: Path | None) -> dict[str, list[Any]]:
    """Of each the shortest run: seconds of the process, and what it said."""
    ways: dict[str, Callable[[], tuple[float, str]]] = {
        library: lambda library=library: process(
            "-m", "benchmarks.digits_cnn", "--only", library, "--epochs", str(epochs)
        )
        for library in LIBRARIES
        if PEERS[library].installed()
    }
    if program:
        ways[program.name] = lambda: process(str(program.resolve()))
    runs: dict[str, list[tuple[float, str]]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            runs[name].append(way())
    return {name: list(min(found)) for name, found in runs.items()}


def sheet(found: dict[str, list[Any]]) -> Sheet:
    """The table."""
    lines = []
    for name, (seconds, said) in found.items():
        own = json.loads(said) if said.startswith("{") else {}
        fit = f"{own['fit']:.1f}" if own else ""
        accuracy = f"{own['accuracy']:.4f}" if own else said
        share = f"{seconds / found['keras'][0]:.2f}" if "keras" in found else ""
        lines.append([name, f"{seconds:.1f}", fit, share, accuracy])
    header = ["program", "seconds", "of which fit", "of Keras's", "accuracy"]
    return Sheet("4,000 digits with augmentation", header, lines)


def main(arguments: list[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.digits_cnn", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="the best of so many")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--program", type=Path, metavar="FILE", help="time this program too")
    parser.add_argument("--only", choices=LIBRARIES, help="train in this process, print JSON")
    options = parser.parse_args(arguments)
    if options.only:
        print(json.dumps(train(options.only, options.epochs)))
    else:
        sheet(measure(options.rounds, options.epochs, options.program)).show(Console())
    return 0


if __name__ == "__main__":
    sys.exit(main())
