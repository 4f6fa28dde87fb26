"""What counts beside the step: import, first step, size, memory, and what ``fit`` adds."""

import contextlib
import io
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from . import rows
from .measure import worker
from .peers import PEERS
from .rows import Row, Task

_IMPORTS = 5
_FITS = 5
_EPOCHS = 5


@dataclass(frozen=True)
class Cost:
    """What one peer costs before and around its steps."""

    peer: str
    import_seconds: float
    first_step: float | None
    peak: int | None
    size: int


def costs(peers: list[str], row: Row) -> list[Cost]:
    """The costs of the peers that are packages of their own."""
    return [_cost(peer, row) for peer in peers if PEERS[peer].parts]


def _cost(peer: str, row: Row) -> Cost:
    entry = PEERS[peer]
    with worker(peer) as each:
        first = each.ask("cold", row=row.name)
    size = sum(map(_size, entry.parts))
    return Cost(peer, _import(entry.package), first, peak(peer, row), size)


def peak(peer: str, row: Row, after: Row | None = None) -> int | None:
    """The bytes by which training on ``row`` raises a process's memory, perhaps ``after`` another
    training in it."""
    with worker(peer) as each:
        answer: int | None = each.ask("memory", row=row.name, after=after and after.name)
    return answer


@dataclass(frozen=True)
class Peaks:
    """The memory of training on a row: measured, measured in a process that had trained something
    else before, as the plan says, and in PyTorch's better way."""

    ours: int | None
    later: int | None
    plan: Any
    pytorch: int | None


def peaks(row: Row, peers: list[str]) -> Peaks:
    """The memory of training on ``row``."""
    ways = [p for p in ("torch", "torch-last") if p in peers and PEERS[p].runs(row.network)]
    theirs = [found for way in ways if (found := peak(way, row)) is not None]
    later = peak("chainrule", row, rows.ROWS[0])
    return Peaks(peak("chainrule", row), later, planned_memory(row), min(theirs, default=None))


def _import(package: str) -> float:
    """The seconds of the import alone, best of several processes; NumPy counts for everyone."""
    code = f"import time; t = time.perf_counter(); import {package}; print(time.perf_counter() - t)"
    command = [sys.executable, "-c", code]
    environment = {"KERAS_BACKEND": "jax", **os.environ}
    outputs = [
        subprocess.run(command, capture_output=True, text=True, env=environment, check=True).stdout
        for _ in range(_IMPORTS)
    ]
    return min(float(output.splitlines()[-1]) for output in outputs)


def _size(package: str) -> int:
    """The bytes of an installed package without the data sets that it ships."""
    spec = find_spec(package)
    places = list(spec.submodule_search_locations or []) if spec else []
    # An editable install keeps the compiled module away from the sources.
    native = find_spec(f"{package}._native") if package == "chainrule" else None
    files = {f.resolve() for place in places for f in Path(place).rglob("*") if f.is_file()}
    files |= {Path(native.origin).resolve()} if native and native.origin else set()
    return sum(f.stat().st_size for f in files if _counts(f))


def _counts(file: Path) -> bool:
    """Whether a file belongs to what is installed, not to a run or to a data set."""
    data = file.parent.name == "datasets" and file.suffix not in {".py", ".pyi", ".md"}
    return file.suffix != ".pyc" and not data


def fit_overhead(row: Row) -> float:
    """What shuffling, accuracy, history and progress add to the bare steps, as a share of them."""
    from .peers import ours

    task = rows.task(row)
    bare = ours.Fit(task)
    whole = ours.network(row, metrics=("accuracy",))
    whole.set_weights(list(task.weights))
    bare_times, whole_times = [], []
    for _ in range(_FITS + 1):
        bare_times.append(_seconds(lambda: [bare.epoch() for _ in range(_EPOCHS)]))
        whole_times.append(_seconds(lambda: _whole_fit(whole, task)))
    return min(whole_times[1:]) / min(bare_times[1:]) - 1


def _whole_fit(model, task: Task) -> None:
    """``fit`` as people call it, its progress going to text that no one reads."""
    with contextlib.redirect_stdout(io.StringIO()):
        model.fit(task.x, task.y, batch_size=task.row.batch, epochs=_EPOCHS)


def _seconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def planned_memory(row: Row) -> Any:
    """What ``model.memory`` says beforehand of a fit."""
    from .peers import ours

    return ours.network(row).memory(batch_size=row.batch)
