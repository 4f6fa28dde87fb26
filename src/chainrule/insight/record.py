"""Reading what a run has left in its folder, or is leaving while it goes on."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.dtypes import Array
from chainrule.errors import FileError
from chainrule.insight import record_file as form
from chainrule.models import container
from chainrule.paths import path_of


@dataclass(frozen=True)
class LayerEntry:
    """A layer as the statistics know it."""

    name: str
    kind: str = ""
    activation: str = ""
    units: int = 0
    depth: int = 0
    shape: tuple[int | None, ...] = ()


@dataclass(frozen=True)
class WeightEntry:
    """A weight as the statistics know it."""

    name: str
    layer: str = ""
    shape: tuple[int, ...] = ()


@dataclass(frozen=True)
class Looks:
    """What was measured inside the steps that were looked at; as ``run.statistics`` of a `fit`.

    Attributes
    ----------
    layers, weights : tuple of LayerEntry, tuple of WeightEntry
        What the last axes count, in forward order.
    steps, epochs : ndarray of int64 [looks]
        From 0, over all epochs.
    loss : ndarray of float64 [looks]
        Of that batch.
    activation, error : structured ndarray [looks, layers]
        The outputs of each layer, and the gradient of the loss by them.
    weight, gradient, update : structured ndarray [looks, weights]
        Fields: mean, std, norm, min, max, zeros, nonfinite, saturated, histogram.
    ratio, snr : ndarray of float64 [looks, weights]
        Norm of the update by that of the weight; signal to noise of the gradient.
    dead : ndarray of float64 [looks, layers]
        Share of units that put out 0 for every sample of a window of looks.
    """

    layers: tuple[LayerEntry, ...]
    weights: tuple[WeightEntry, ...]
    steps: Array
    epochs: Array
    loss: Array
    activation: Array
    error: Array
    weight: Array
    gradient: Array
    update: Array
    ratio: Array
    dead: Array
    snr: Array

    def __len__(self) -> int:
        return len(self.steps)


@dataclass
class _Read:
    """What the events told so far."""

    epochs: dict[int, dict[str, Any]] = field(default_factory=dict)
    lists: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    findings: list[dict[str, Any]] = field(default_factory=list)
    layers: tuple[LayerEntry, ...] = ()
    weights: tuple[WeightEntry, ...] = ()
    looks: list[dict[str, Any]] = field(default_factory=list)

    def take(self, event: dict[str, Any]) -> None:
        """Take in an event."""
        kind = event["event"]
        if kind == "epoch":
            self.epochs[int(event["epoch"])] = event
        elif kind == "findings":
            self.findings = list(event["findings"])
        elif kind == "layout":
            entries = [{**e, "shape": tuple(e["shape"])} for e in event["layers"]]
            weights = [{**e, "shape": tuple(e["shape"])} for e in event["weights"]]
            before = self.layers, self.weights
            self.layers = tuple(LayerEntry(**e) for e in entries)
            self.weights = tuple(WeightEntry(**e) for e in weights)
            if before != (self.layers, self.weights):  # else a run that was killed goes on
                self.looks = []
        elif kind == "look":
            self.looks.append(self._look(event))
        else:
            self.lists.setdefault(str(kind), []).append(event)

    def _look(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Return the numbers of a look."""
        layers, weights = len(self.layers), len(self.weights)
        found = {name: form.unpacked(event[name], layers) for name in form.OF_LAYERS}
        found |= {name: form.unpacked(event[name], weights) for name in form.OF_WEIGHTS}
        lengths = {"ratio": weights, "dead": layers, "snr": weights}
        found |= {name: form.vector(event[name], n) for name, n in lengths.items()}
        where = {"steps": int(event["step"]), "epochs": int(event["epoch"])}
        return {**where, "loss": float(event["loss"]), **found}


class RunRecord:
    """The record of a run in its folder; `refresh` reads what was written since.

    What is missing (no statistics, no end, a last line half written) is empty or ``None``.

    Parameters
    ----------
    folder : path-like
        With the file ``run.json``.

    Attributes
    ----------
    about : dict
        What ``run.json`` says: ``name``, ``model``, ``training``, ``data``, ``machine``, ...
    epochs : list of dict
        For each epoch that has ended: ``epoch``, ``step``, ``time``, ``seconds``, ``learning_rate``
        and ``logs``.
    progress : list of dict
        Points within epochs: ``epoch``, ``batch``, ``step``, ``time``, ``learning_rate``, ``logs``.
    findings : list of dict
        What a doctor has found, the worst first: ``kind``, ``layer``, ``evidence``, ``remedy``, ...
    commands : list of dict
        What was asked of the run from outside.

    Raises
    ------
    FileError
        Where the folder has no record, or one of another format.

    Examples
    --------
    >>> import tempfile
    >>> from chainrule.callbacks import RunRecorder
    >>> from chainrule.insight import RunRecord
    >>> from chainrule.layers import Dense, Input
    >>> from chainrule.models import Sequential
    >>> model = Sequential([Input((2,)), Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> folder = tempfile.mkdtemp()
    >>> history = model.fit([[0.0, 1.0]], [1.0], epochs=3, verbose=0, callbacks=RunRecorder(folder))
    >>> record = RunRecord(folder)
    >>> record.state, len(record.epochs)
    ('finished', 3)
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = path_of("folder", folder)
        self.about: dict[str, Any] = {}
        self._marks: dict[str, tuple[int, ...] | None] = {}
        self._file = 0
        self._status: dict[str, Any] = {}
        self._final: dict[str, Any] | None = None
        self._forget()
        self.refresh()
        if not self.about:
            raise FileError(
                f"there is no record of a run in {str(self.folder)!r}: it has no {form.ABOUT}\n"
                "  fix: give the folder of a run, e.g. runs/NAME that chainrule train has left"
            )

    def _forget(self) -> None:
        self._offset, self._read = 0, _Read()
        self.__dict__.pop("looks", None)

    def refresh(self) -> bool:
        """Read what was written since the last time; return whether there was anything."""
        changed = self._whole(form.ABOUT, self._set_about)
        changed |= self._more_events()
        changed |= self._whole(form.STATUS, self._set_status)
        changed |= self._whole(form.FINAL, self._set_final)
        return changed

    def _whole(self, name: str, take: Callable[[dict[str, Any] | None], None]) -> bool:
        """Read a file that is replaced as a whole, where it is another than the last time."""
        path = self.folder / name
        try:
            stat = path.stat()
            mark: tuple[int, ...] | None = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
            if mark == self._marks.get(name):
                return False
            content = json.loads(path.read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            mark, content = None, None
        except (OSError, ValueError) as error:
            raise FileError(f"cannot read {str(path)!r}: {error}") from None
        if mark == self._marks.get(name):
            return False
        self._marks[name] = mark
        take(content if isinstance(content, dict) else None)
        return True

    def _set_about(self, content: dict[str, Any] | None) -> None:
        about = content or {}
        if about and (about.get("format") != "chainrule run" or about.get("version") != 1):
            raise FileError(
                f"{str(self.folder / form.ABOUT)!r} is no record that this version of chainrule "
                f"reads: format {about.get('format')!r}, version {about.get('version')!r}"
            )
        self.about = about
        self._forget()  # another run has begun in this folder

    def _set_status(self, content: dict[str, Any] | None) -> None:
        self._status = content or {}

    def _set_final(self, content: dict[str, Any] | None) -> None:
        self._final = content
        self.__dict__.pop("arrays", None)

    def _more_events(self) -> bool:
        path = self.folder / form.EVENTS
        try:
            with open(path, "rb") as file:
                stat = os.fstat(file.fileno())
                if stat.st_ino != self._file or stat.st_size < self._offset:
                    self._forget()  # a run that was killed goes on from before
                    self._file = stat.st_ino
                file.seek(self._offset)
                content = file.read()
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            raise FileError(f"cannot read {str(path)!r}: {error.strerror or error}") from None
        whole = content[: content.rfind(b"\n") + 1]
        self._offset += len(whole)
        for line in whole.splitlines():
            self._take(line)
        return bool(whole)

    def _take(self, line: bytes) -> None:
        """Take in one event; a line that is none, as after a crash, is passed over."""
        try:
            event = json.loads(line)
            if "logs" in event:
                event["logs"] = {k: float(v) for k, v in event["logs"].items()}
            self._read.take(event)
        except (ValueError, TypeError, LookupError, AttributeError):
            return
        if event["event"] in ("layout", "look"):
            self.__dict__.pop("looks", None)

    @property
    def name(self) -> str:
        """The name of the run: that of its folder."""
        return self.folder.resolve().name

    @property
    def epochs(self) -> list[dict[str, Any]]:
        """The epochs that have ended, in order."""
        return [self._read.epochs[n] for n in sorted(self._read.epochs)]

    @property
    def progress(self) -> list[dict[str, Any]]:
        """Points within epochs."""
        return self._read.lists.get("progress", [])

    @property
    def begins(self) -> list[dict[str, Any]]:
        """When the run began, and went on after it had been killed."""
        return self._read.lists.get("begin", [])

    @property
    def commands(self) -> list[dict[str, Any]]:
        """What was asked of the run from outside."""
        return self._read.lists.get("command", [])

    @property
    def findings(self) -> list[dict[str, Any]]:
        """What a doctor has found, the worst first."""
        return self._read.findings

    @property
    def history(self) -> dict[str, list[float]]:
        """Loss and metrics by name, a number an epoch; NaN where one was not measured."""
        epochs = self.epochs
        names = dict.fromkeys(name for epoch in epochs for name in epoch["logs"])
        return {n: [float(e["logs"].get(n, "nan")) for e in epochs] for n in names}

    @property
    def status(self) -> dict[str, Any]:
        """Where the run was when it last said so: ``epoch``, ``batch``, ``steps``, ``logs``, ..."""
        return self._status

    @property
    def state(self) -> str:
        """``"running"``, ``"paused"``, ``"finished"``, ``"interrupted"`` or ``"failed"``."""
        state = str(self._status.get("state", "interrupted"))
        if state in ("running", "paused") and not is_alive(self._status):
            return "interrupted"
        return state

    @property
    def final(self) -> dict[str, Any] | None:
        """What was measured at the end: ``evaluation``, ``layers``, ``memory``; else ``None``."""
        return self._final

    @cached_property
    def arrays(self) -> dict[str, Array]:
        """The arrays of the end by name: ``pictures``, ``filters``, ``histogram/...``."""
        try:
            return container.read(self.folder / form.ARRAYS)[0] if self._final else {}
        except FileError:
            return {}  # there were none to write, or they were damaged since

    @cached_property
    def looks(self) -> Looks | None:
        """The statistics of the steps that were looked at, where there are any."""
        found = self._read.looks
        if not found:
            return None
        named = {name: np.stack([look[name] for look in found]) for name in found[0]}
        return Looks(self._read.layers, self._read.weights, **named)


def process() -> dict[str, Any]:
    """Return what tells this process from all others."""
    return {"pid": os.getpid(), "host": socket.gethostname(), "begun": _begun(os.getpid())}


def is_alive(status: Mapping[str, Any]) -> bool:
    """Return whether the process of a status runs; of one on another machine nobody knows, so it
    is taken to."""
    pid = status.get("pid")
    if status.get("host") != socket.gethostname() or not isinstance(pid, int):
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass  # it is there, and another user's
    return _begun(pid) == str(status.get("begun", ""))


def _begun(pid: int) -> str:
    """Return when a process began, in the system's own count; numbers of processes come again.

    One that has ended, and whose end nobody has asked for yet, is told from one that runs.
    """
    try:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return words[0] if words[0] == "Z" else words[19]


def find_runs(folder: str | os.PathLike[str]) -> list[Path]:
    """Return the folders with a record in a folder and the two levels below, the newest first.

    Examples
    --------
    >>> import tempfile
    >>> from chainrule.insight import find_runs
    >>> find_runs(tempfile.mkdtemp())
    []
    """
    root = path_of("folder", folder)
    patterns = (form.ABOUT, f"*/{form.ABOUT}", f"*/*/{form.ABOUT}")
    found = [path for pattern in patterns for path in root.glob(pattern)]
    return [p.parent for p in sorted(found, key=lambda p: p.stat().st_mtime, reverse=True)]
