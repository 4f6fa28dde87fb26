"""The folder that a training run leaves: model, history, configuration, curves."""

from __future__ import annotations

import csv
import io
import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from chainrule.cli.settings import Settings, config_text
from chainrule.errors import ChainruleError, FileError, missing_package

MODEL, HISTORY, CONFIG, CURVES = "model.chainrule", "history.csv", "run.toml", "curves.svg"
# Of images only.
REPORT, CONFUSION = "report.json", "confusion.csv"
CONFUSION_PICTURE, ERRORS_PICTURE = "confusion.png", "errors.png"
FILES = (MODEL, HISTORY, CONFIG, CURVES, REPORT, CONFUSION, CONFUSION_PICTURE, ERRORS_PICTURE)
History = Mapping[str, Sequence[float]]


@contextmanager
def run_folder(name: str, output: str | None) -> Iterator[Path]:
    """Give the folder of a run; one that was made for it and stayed empty goes away again."""
    folder = _make_folder(name, output)
    try:
        yield folder
    finally:
        if output is None and not any(folder.iterdir()):
            folder.rmdir()


def _make_folder(name: str, output: str | None) -> Path:
    """Return the folder of a run, made: the one asked for, else a new one in ``runs/``."""
    stamp = f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
    numbered = itertools.chain([stamp], (f"{stamp}-{count}" for count in itertools.count(2)))
    try:
        if output is not None:
            Path(output).mkdir(parents=True, exist_ok=True)
            return Path(output)
        folder = next(
            path for path in (Path("runs", part) for part in numbered) if not path.exists()
        )
        folder.mkdir(parents=True)
        return folder
    except OSError as error:
        raise FileError(f"cannot make the folder {error.filename!r}: {error.strerror}") from None


def write_text(path: Path, text: str) -> None:
    """Write a file; FileError in one line where that is impossible."""
    try:
        path.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise FileError(f"cannot write {str(path)!r}: {error.strerror or error}") from None


def write_record(folder: Path, settings: Settings, history: History) -> list[str]:
    """Write history, configuration and curves; return notes on what could not be drawn."""
    write_text(folder / CONFIG, config_text(settings))
    write_text(folder / HISTORY, history_text(history))
    try:
        draw_curves(folder / CURVES, history)
    except ChainruleError as error:
        return [str(error)]
    return []


def history_text(history: History) -> str:
    """Return loss and metrics as CSV, a line an epoch."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["epoch", *history])
    epochs = max((len(numbers) for numbers in history.values()), default=0)
    for epoch in range(epochs):
        writer.writerow([epoch + 1, *(_at(numbers, epoch) for numbers in history.values())])
    return text.getvalue()


def _at(numbers: Sequence[float], epoch: int) -> str:
    # A run that was interrupted in a validation lacks its last numbers.
    return repr(float(numbers[epoch])) if epoch < len(numbers) else ""


def draw_curves(path: Path, history: History) -> None:
    """Write a chart of loss and metrics over the epochs, training beside validation."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise missing_package("matplotlib", "drawing the learning curves", "plot") from None
    names = [name for name in history if not name.startswith("val_")]
    figure = Figure(figsize=(5 * max(len(names), 1), 3.6), layout="constrained")
    for place, name in enumerate(names, 1):
        axes = figure.add_subplot(1, len(names), place)
        for key, label in ((name, "training"), (f"val_{name}", "validation")):
            numbers = history.get(key, ())
            if numbers:
                axes.plot(range(1, len(numbers) + 1), numbers, label=label)
        axes.set(title=name, xlabel="epoch")
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(path)
