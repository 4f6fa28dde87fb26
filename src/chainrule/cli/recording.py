"""What ``chainrule train`` puts into the record of its run."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.callbacks import RunRecorder
from chainrule.cli.mistakes import Error, Mistakes
from chainrule.cli.posed import Array, Part, Problem
from chainrule.cli.settings import Settings
from chainrule.insight.evaluation import evaluated


def recorder(folder: Path, problem: Problem, settings: Settings) -> RunRecorder:
    """Return the callback that records the run; what it answers is added by `conclude`."""
    about = {
        "name": problem.name,
        "settings": asdict(settings),
        "classes": list(problem.target.labels) or None,
        "command": shlex.join(["chainrule", *sys.argv[1:]]),
    }
    return RunRecorder(folder, evaluate=False, about=about)


def conclude(record: RunRecorder, what: str, problem: Problem, part: Part, outputs: Array) -> None:
    """Add what the finished model answered to the samples of a part."""
    nouns = {"sound": problem.sounds, "image": problem.images, "text": problem.text}
    noun = next((name for name, found in nouns.items() if found is not None), "row")
    labels = problem.target.labels or None
    shown = _shown(what, problem, part, outputs)
    found = evaluated(part.y, outputs, what, labels, shown, noun, part.files, part.rows)
    if found is not None:
        facts, arrays = found
        record.conclude({"evaluation": facts}, arrays)


def _shown(what: str, problem: Problem, part: Part, outputs: Array) -> Callable[[int], Any] | None:
    """Return what gives a sample by its row, as it can be shown; ``None`` for rows of a table."""
    mistakes = Mistakes.of(what, problem, part, outputs)
    if mistakes is not None:

        def picture(row: int) -> Array:
            file = None if part.files is None else part.files[row]
            return mistakes.image(Error(row, "", "", 0.0, file))

        return picture
    raw = part.raw
    if problem.text is not None and isinstance(raw, np.ndarray):
        return lambda row: str(raw[row] if raw.ndim == 1 else raw[row].reshape(-1)[0])
    return None
