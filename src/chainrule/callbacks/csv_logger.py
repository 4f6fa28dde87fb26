"""The history as a table on disk."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping, Sequence
from typing import Any

from chainrule.callbacks.base import Callback, Logs
from chainrule.errors import ArgumentError, FileError
from chainrule.paths import path_of


class CSVLogger(Callback):
    """Writes a line of loss and metrics after each epoch, below one line of names.

    The columns are ``epoch`` (from 0), then the numbers in the order of the history; what an epoch
    does not measure is ``NA``. Each line is on its way to the disk before the next epoch begins.

    Parameters
    ----------
    filename : path-like
        Where to.
    separator : str, default ","
        One character between columns.
    append : bool, default False
        Whether to add to a file that exists, below its lines, instead of replacing it.

    Raises
    ------
    ArgumentError
        For a separator of another length, or numbers for which the file has no column.
    FileError
        When the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> from chainrule.callbacks import CSVLogger
    >>> path = tempfile.mkdtemp() + "/log.csv"
    >>> log = CSVLogger(path)
    >>> log.on_train_begin()
    >>> log.on_epoch_end(0, {"loss": 0.5, "accuracy": 0.75})
    >>> with open(path) as file:
    ...     file.read().splitlines()
    ['epoch,loss,accuracy', '0,0.5,0.75']

    Source
    ------
    As Keras 3's callback of this name, which sorts the columns by name.
    """

    def __init__(
        self, filename: str | os.PathLike[str], separator: str = ",", append: bool = False
    ) -> None:
        if not isinstance(separator, str) or len(separator) != 1:
            raise ArgumentError(f"separator is {separator!r}; expected one character")
        self.filename = path_of("filename", filename)
        self.separator = separator
        self.append = append
        self._position = 0
        self._columns: list[str] = []

    def get_state(self) -> dict[str, Any]:
        """Return where the file ended, and its columns."""
        return {"position": self._position, "columns": self._columns}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on from there: what was written after it is written again."""
        self._position = int(state["position"])
        self._columns = [str(name) for name in state["columns"]]

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Take in what the file holds, where it is to be added to; nothing is written yet.

        A file that could not be written is told of now.
        """
        self._try()
        self._position, self._columns = 0, []
        if self.append and self.filename.exists():
            text = self._read()
            self._position = len(text)
            self._columns = self._names(text)

    def _try(self) -> None:
        new = not self.filename.exists()
        try:
            with open(self.filename, "ab"):
                pass
            if new:
                self.filename.unlink(missing_ok=True)
        except OSError as error:
            raise FileError(f"cannot write {str(self.filename)!r}: {error}") from error

    def _read(self) -> bytes:
        try:
            return self.filename.read_bytes()
        except OSError as error:
            raise FileError(f"cannot read {str(self.filename)!r}: {error}") from error

    def _names(self, text: bytes) -> list[str]:
        first = text.decode(errors="replace").splitlines()[:1]
        return next(csv.reader(first, delimiter=self.separator), [])

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Write the line of an epoch, and the names before the first."""
        logs = logs or {}
        lines: list[list[Any]] = []
        if not self._columns:
            self._columns = ["epoch", *self._measured(logs)]
            lines.append(self._columns)
        if more := [name for name in logs if name not in self._columns]:
            raise ArgumentError(
                f"{str(self.filename)!r} has no column for {', '.join(more)}\n"
                f"  columns: {', '.join(self._columns)}\n  fix: log to another file"
            )
        row = {"epoch": epoch, **{name: float(number) for name, number in logs.items()}}
        lines.append([row.get(name, "NA") for name in self._columns])
        self._write(lines)

    def _measured(self, logs: Logs) -> list[str]:
        """Return the names of the logs, with those of validations that come later."""
        later = self.run is not None and self.run.validation is not None
        if not later or any(name.startswith("val_") for name in logs):
            return list(logs)
        return [*logs, *(f"val_{name}" for name in logs if name != "learning_rate")]

    def _write(self, lines: Sequence[Sequence[Any]]) -> None:
        text = io.StringIO()
        csv.writer(text, delimiter=self.separator, lineterminator="\n").writerows(lines)
        try:
            # Opened for each line: no handle is left open where a run ends with an error.
            exists = self._position and self.filename.exists()
            with open(self.filename, "r+b" if exists else "wb") as file:
                file.truncate(min(self._position, file.seek(0, os.SEEK_END)))
                file.seek(0, os.SEEK_END)
                file.write(text.getvalue().encode())
                self._position = file.tell()
        except OSError as error:
            raise FileError(f"cannot write {str(self.filename)!r}: {error}") from error
