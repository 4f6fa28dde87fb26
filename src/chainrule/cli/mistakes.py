"""What a model of images or sounds gets wrong: which classes for which, and where it was surest."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.cli import runs
from chainrule.cli.posed import Part, Problem, Samples
from chainrule.data.folders import SampleFolder
from chainrule.errors import ChainruleError

Array = NDArray[Any]
_PAIRS_PRINTED, _PAIRS, _WORST = 5, 20, 30


@dataclass(frozen=True)
class Pair:
    """So many samples of one class that were taken for another, of so many of it."""

    true: str
    predicted: str
    count: int
    images: int

    def __str__(self) -> str:
        return f"{self.true!r} taken for {self.predicted!r}: {self.count:,} of {self.images:,}"


@dataclass(frozen=True)
class Error:
    """A sample that was taken for another class, and how sure the model was of that.

    `row` is its place in the part, `number` its row in the data.
    """

    row: int
    true: str
    predicted: str
    confidence: float
    file: str | None = None
    number: int | None = None

    def told(self) -> dict[str, Any]:
        """Return it as plain data; the image by its file, or its row."""
        number = self.row if self.number is None else self.number
        place = {"row": number} if self.file is None else {"file": self.file}
        words = {"class": self.true, "predicted": self.predicted}
        return {**place, **words, "confidence": round(self.confidence, 4)}


@dataclass(frozen=True)
class Mistakes:
    """What a model answered to the samples of a part, beside their classes (-1: not known)."""

    part: str
    labels: tuple[str, ...]
    samples: Samples
    y: Array
    outputs: Array
    files: list[str] | None = None
    broken: Mapping[str, str] = field(default_factory=dict)
    rows: Array | None = None

    @classmethod
    def of(cls, part: str, problem: Problem, rows: Part, outputs: Array) -> Mistakes | None:
        """Return the mistakes among images or sounds of classes; of others there are none."""
        found = problem.images or problem.sounds
        if found is None or problem.target.task != "classification":
            return None
        labels, broken = problem.target.labels, found.broken
        return cls(part, labels, rows.raw, rows.y, outputs, rows.files, broken, rows.rows)

    @property
    def noun(self) -> str:
        """What one sample is."""
        return self.samples.form.noun if isinstance(self.samples, SampleFolder) else "image"

    @cached_property
    def predicted(self) -> Array:
        """The class that each sample was taken for."""
        found: Array = self.outputs.argmax(axis=1)
        return found

    @cached_property
    def matrix(self) -> Array:
        """How many samples of each class (a row) were taken for each class (a column)."""
        n, known = len(self.labels), self.y >= 0
        cells = self.y[known] * n + self.predicted[known]
        counts: Array = np.reshape(np.bincount(cells, minlength=n * n), (n, n))
        return counts

    @property
    def accuracy(self) -> float:
        """The share of samples of known classes that are right."""
        return float(np.trace(self.matrix) / max(self.matrix.sum(), 1))

    def pairs(self, most: int = _PAIRS) -> list[Pair]:
        """Return which classes are taken for which, the most frequent first."""
        wrong = self.matrix.copy()
        np.fill_diagonal(wrong, 0)
        totals = self.matrix.sum(axis=1)
        found = []
        for cell in np.argsort(-wrong, axis=None, kind="stable")[:most].tolist():
            true, predicted = divmod(cell, len(self.labels))
            count, images = int(wrong[true, predicted]), int(totals[true])
            if count:
                found.append(Pair(self.labels[true], self.labels[predicted], count, images))
        return found

    def worst(self, most: int = _WORST) -> list[Error]:
        """Return the errors of which the model was surest, the surest first."""
        wrong = np.flatnonzero((self.y >= 0) & (self.predicted != self.y))
        sure = self.outputs[wrong, self.predicted[wrong]]
        return [self._error(row) for row in wrong[np.argsort(-sure, kind="stable")[:most]].tolist()]

    def _error(self, row: int) -> Error:
        true, predicted = int(self.y[row]), int(self.predicted[row])
        confidence = float(self.outputs[row, predicted])
        file = None if self.files is None else self.files[row]
        number = None if self.rows is None else int(self.rows[row])
        return Error(row, self.labels[true], self.labels[predicted], confidence, file, number)

    def image(self, error: Error) -> Array:
        """Return the image of an error, as the network was shown it; of a sound what the frames
        hold, time from left to right and the highest features on top."""
        if isinstance(self.samples, SampleFolder):
            found: Array = self.samples.form.read(str(error.file))
            return found if self.noun == "image" else np.ascontiguousarray(found.T[::-1])
        image: Array = np.asarray(self.samples[error.row])
        return image

    def lines(self) -> list[str]:
        """Return the classes that are confused most, in words."""
        pairs = self.pairs(_PAIRS_PRINTED)
        return ["most confused:", *(f"  {pair}" for pair in pairs)] if pairs else []

    def report(self) -> dict[str, Any]:
        """Return all that is known of the mistakes as plain data."""
        return {
            "measured on": self.part,
            f"{self.noun}s": int(self.matrix.sum()),
            "accuracy": round(self.accuracy, 6),
            "classes": [self._class(number) for number in range(len(self.labels))],
            "most confused": [
                {"class": p.true, "taken for": p.predicted, "times": p.count, "of": p.images}
                for p in self.pairs()
            ],
            "worst errors": [error.told() for error in self.worst()],
            "left out": dict(self.broken),
        }

    def _class(self, number: int) -> dict[str, Any]:
        """Return how well one class is told apart; a share of nothing is null."""
        right = int(self.matrix[number, number])
        images, taken = int(self.matrix[number].sum()), int(self.matrix[:, number].sum())
        return {
            "name": self.labels[number],
            f"{self.noun}s": images,
            "recall": round(right / images, 4) if images else None,
            "precision": round(right / taken, 4) if taken else None,
        }


def write(folder: Path, mistakes: Mistakes) -> list[str]:
    """Write the mistakes into a run folder; return notes on what could not be drawn."""
    text = json.dumps(mistakes.report(), ensure_ascii=False, indent=1)
    runs.write_text(folder / runs.REPORT, text + "\n")
    runs.write_text(folder / runs.CONFUSION, _csv(mistakes))
    try:
        from chainrule.cli import pictures

        pictures.draw_confusion(folder / runs.CONFUSION_PICTURE, mistakes)
        pictures.draw_errors(folder / runs.ERRORS_PICTURE, mistakes)
    except ChainruleError as error:
        return [str(error)]
    return []


def _csv(mistakes: Mistakes) -> str:
    """Return the confusion matrix as CSV, true classes down and predicted ones across."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["class", *mistakes.labels])
    for label, row in zip(mistakes.labels, mistakes.matrix.tolist(), strict=True):
        writer.writerow([label, *row])
    return text.getvalue()
