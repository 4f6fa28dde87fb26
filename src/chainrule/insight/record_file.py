"""The files that a run leaves in its folder, written as it goes.

=====================  =============================================================================
``run.json``           once, when the run begins: model, optimizer, data, machine, how to repeat it
``events.jsonl``       a line of JSON for each event, added at the end and never changed
``status.json``        where the run is, replaced about twice a second: epoch, batch, loss, process
``final.json``         at the end: what was measured, findings, time and memory by layer
``final.safetensors``  at the end: pictures of the worst errors, filters, histograms of weights
=====================  =============================================================================

Each event has ``event`` (its kind) and ``time`` (seconds of training since the run began):

- ``begin``: ``clock`` (seconds since 1970), ``epoch``; also where a run goes on after a kill;
- ``progress``: ``epoch``, ``batch``, ``step``, ``learning_rate``, ``logs`` (means of the epoch so
  far), ever more rarely as the run goes on;
- ``epoch``: ``epoch``, ``step``, ``seconds``, ``learning_rate``, ``logs`` of training and
  validation;
- ``layout``: ``layers`` and ``weights`` that the looks after it are about, with names and shapes;
- ``look``: ``step``, ``epoch``, ``loss`` and the statistics of that step: for ``activation`` and
  ``error`` (of each layer), ``weight``, ``gradient`` and ``update`` (of each weight) two texts in
  base64, float32 [things, `FIELDS`] and uint16 [things, `BINS`], little-endian; ``ratio``, ``dead``
  and ``snr`` one of float32;
- ``findings``: ``findings``, all that a doctor has found so far, the last such event counting;
  of each the sentences in English, and under ``said`` what they are translated by;
- ``command``: ``command``, what was asked of the run from outside, with its arguments.

Where a number is not finite it is one of the texts ``NaN``, ``Infinity`` and ``-Infinity``. Numbers
of epochs, batches and steps count from 0. A reader skips kinds of events that it does not know, and
a last line that has no end yet.
"""

from __future__ import annotations

import base64
import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.dtypes import Array
from chainrule.errors import FileError
from chainrule.models import container
from chainrule.ops.survey import BINS
from chainrule.paths import path_of

ABOUT, EVENTS, STATUS = "run.json", "events.jsonl", "status.json"
FINAL, ARRAYS = "final.json", "final.safetensors"
VERSION = 1

FIELDS = ("mean", "std", "norm", "min", "max", "zeros", "nonfinite", "saturated")
STATISTIC = np.dtype([*((name, np.float64) for name in FIELDS), ("histogram", np.uint16, BINS)])
OF_LAYERS, OF_WEIGHTS = ("activation", "error"), ("weight", "gradient", "update")
PLAIN = ("ratio", "dead", "snr")


class RecordWriter:
    """Writes the files of one run; each call is on its way to the disk when it returns.

    Parameters
    ----------
    folder : path-like
        Made where it is missing.
    position : int, default 0
        Bytes of ``events.jsonl`` to keep: 0 for a new run, where a run goes on what it had written
        when its state was saved.

    Raises
    ------
    FileError
        When a file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> from chainrule.insight import RunRecord
    >>> from chainrule.insight.record_file import RecordWriter
    >>> writer = RecordWriter(tempfile.mkdtemp())
    >>> writer.about({"name": "digits"})
    >>> writer.event("epoch", 1.5, epoch=0, logs={"loss": 0.5})
    >>> writer.write()
    >>> RunRecord(writer.folder).history
    {'loss': [0.5]}
    """

    def __init__(self, folder: str | os.PathLike[str], position: int = 0) -> None:
        self.folder = path_of("folder", folder)
        self.position = position
        self._lines: list[str] = []

    def exists(self) -> bool:
        """Return whether the folder has the record of a run."""
        return (self.folder / ABOUT).exists()

    def ended(self) -> bool:
        """Return whether the record in the folder has an end."""
        return (self.folder / FINAL).exists()

    def about(self, what: Mapping[str, Any]) -> None:
        """Write what the run is, and take away what an earlier run in this folder has left."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for name in (FINAL, ARRAYS, STATUS, EVENTS):
                (self.folder / name).unlink(missing_ok=True)
        except OSError as error:
            raise _unwritable(self.folder, error) from error
        self.position = 0
        self._replace(ABOUT, {"format": "chainrule run", "version": VERSION, **what})

    def event(self, kind: str, time: float, **what: Any) -> None:
        """Put an event into the next `write`."""
        self._lines.append(text_of({"event": kind, "time": round(time, 3), **what}))

    def write(self) -> None:
        """Write the events since the last time."""
        if not self._lines:
            return
        path, text = self.folder / EVENTS, "".join(f"{line}\n" for line in self._lines)
        try:
            self._cut(path)
            # Opened each time: no handle is left open where a run ends with an error.
            with open(path, "ab") as file:
                file.write(text.encode())
                self.position = file.tell()
        except OSError as error:
            raise _unwritable(path, error) from error
        self._lines.clear()

    def _cut(self, path: Path) -> None:
        """Take away what a run that was killed wrote after its backup.

        The file becomes another one, so that who reads it sees that it must begin anew.
        """
        if not path.exists() or path.stat().st_size == self.position:
            return
        new = path.with_name(f".{path.name}.new")
        with open(path, "rb") as file:
            new.write_bytes(file.read(self.position))
        os.replace(new, path)

    def status(self, what: Mapping[str, Any]) -> None:
        """Replace the file that says where the run is."""
        self._replace(STATUS, what)

    def final(self, what: Mapping[str, Any], arrays: Mapping[str, Array]) -> None:
        """Write what there is to say at the end, with its arrays."""
        if arrays:
            container.write(self.folder / ARRAYS, arrays, {"content": "end of a run"})
        self._replace(FINAL, what)

    def _replace(self, name: str, what: Mapping[str, Any]) -> None:
        """Put a file in the place of another; a reader sees the one or the other, never a half."""
        path = self.folder / name
        try:
            # Not flushed to the disk: after a power cut, a status is of no use, and the rest can be
            # made again.
            new = path.with_name(f".{name}.new")
            new.write_text(text_of(what), encoding="utf-8")
            os.replace(new, path)
        except OSError as error:
            raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> FileError:
    return FileError(f"cannot write {str(path)!r}: {error.strerror or error}")


def text_of(value: Any) -> str:
    """Return plain data as strict JSON in one line; numbers that are not finite become texts."""
    return json.dumps(plain(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def plain(value: Any) -> Any:
    """Return the value as JSON can hold it; what it cannot hold, by the name of its class."""
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if value is None or isinstance(value, int | float):
        return value
    if isinstance(value, str):
        # The names of files may hold bytes that are no characters.
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, Mapping):
        return {plain(str(k)): plain(v) for k, v in value.items()}
    if isinstance(value, Sequence | set | frozenset):
        return [plain(v) for v in value]
    return type(value).__name__


def packed(statistics: Array) -> list[str]:
    """Return a structured array of statistics [things] as two texts."""
    numbers = np.stack([statistics[name] for name in FIELDS], axis=-1)
    return [_text(numbers, "<f4"), _text(statistics["histogram"], "<u2")]


def unpacked(texts: Sequence[str], count: int) -> Array:
    """Return the structured array of so many things that `packed` made texts of."""
    out = np.zeros(count, STATISTIC)
    numbers = vector(texts[0], count * len(FIELDS)).reshape(count, len(FIELDS))
    for i, name in enumerate(FIELDS):
        out[name] = numbers[:, i]
    counts = np.frombuffer(base64.b64decode(texts[1], validate=True), "<u2")
    out["histogram"] = counts.reshape(count, BINS)
    return out


def packed_vector(numbers: Array) -> str:
    """Return numbers [things] as one text."""
    return _text(numbers, "<f4")


def vector(text: str, count: int) -> Array:
    """Return the `count` numbers that `packed_vector` made a text of."""
    return np.frombuffer(base64.b64decode(text, validate=True), "<f4", count).astype(np.float64)


def _text(numbers: Array, dtype: str) -> str:
    with np.errstate(over="ignore", invalid="ignore"):
        return base64.b64encode(np.ascontiguousarray(numbers).astype(dtype).tobytes()).decode()
