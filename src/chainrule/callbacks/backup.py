"""Runs that can be killed and go on as if nothing had happened."""

from __future__ import annotations

import contextlib
import json
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chainrule.callbacks.base import Callback, Logs
from chainrule.callbacks.every import Every
from chainrule.dtypes import Array
from chainrule.errors import ArgumentError, FileError
from chainrule.models import container
from chainrule.paths import path_of
from chainrule.training import checkpoint
from chainrule.training.fingerprint import details, fingerprint, first_rates, rates
from chainrule.training.loop import Run

_VERSION = "2"  # 1 knew less of what a run must share
_RATE = (
    "       the rate is part of the backup, as far as it was moved; to move a run under way to\n"
    "       another, begin as before and set model.optimizer.learning_rate in on_epoch_begin\n"
    "       of a callback\n"
)


class BackupAndRestore(Callback):
    """Keeps all the state of `fit` on disk; the same call in a new process goes on from there.

    Weights, optimizer, random numbers, order of the samples, the sums of loss and metrics, the
    history and what the other callbacks remember are kept, so a run that was killed at any moment
    and resumed ends with the same bits as one that was not.

    A backup is written whole or not at all, with a checksum, and the one before is kept: where the
    newest is damaged, the run goes on from the other, with a warning.

    Parameters
    ----------
    backup_dir : path-like
        The folder for the backups of this run, and of no other; made where it is missing.
    save_freq : "epoch" or int, default "epoch"
        When to write: after each epoch, or each time so many batches were trained on. It changes
        nothing about the result.
    delete_checkpoint : bool, default True
        Whether to remove the backups once `fit` has ended normally. If not, the same call returns
        at once, with the weights and the history of the end.

    Raises
    ------
    ArgumentError
        For an unknown `save_freq`.
    FileError
        For a backup of another model, optimizer, loss, data or batch size, or that began with
        another learning rate; where all backups are damaged; or when one cannot be written, as on
        a full disk: those from before stay good.

    Examples
    --------
    >>> import numpy as np, tempfile
    >>> from chainrule.callbacks import BackupAndRestore
    >>> from chainrule.layers import Dense, Input
    >>> from chainrule.models import Sequential
    >>> model = Sequential([Input((2,)), Dense(1)])
    >>> model.compile("adam", "mse")
    >>> backup = BackupAndRestore(tempfile.mkdtemp(), save_freq=2)
    >>> len(model.fit(np.zeros((8, 2)), np.ones(8), 2, 3, 0, backup).epoch)
    3

    Source
    ------
    Arguments as Keras 3's callback of this name, which keeps weights and optimizer.
    """

    # What the other callbacks did at the end of an epoch or batch belongs into the backup, and
    # they are given their state after they have begun: also those that are last themselves.
    last = 2

    def __init__(
        self,
        backup_dir: str | os.PathLike[str],
        save_freq: str | int = "epoch",
        delete_checkpoint: bool = True,
    ) -> None:
        self.folder = path_of("backup_dir", backup_dir)
        self.current = self.folder / "backup.chainrule"
        self.previous = self.folder / "backup.previous.chainrule"
        self.save_freq = save_freq
        self.delete_checkpoint = delete_checkpoint
        self._every = Every(save_freq)
        self._fingerprint: dict[str, str] = {}
        self._asked_first: dict[str, str] = {}  # of backups of version 1
        self._first_rates: list[float] = []
        self._epoch = 0
        self._damaged = False
        self._found: tuple[dict[str, Array], dict[str, Any]] | None = None

    def interval(self) -> float:
        """Return the batches left until the next backup."""
        return self._every.left()

    def get_state(self) -> dict[str, Any]:
        """Return the batches since the last backup."""
        return {"seen": self._every.seen, "batch": self._every.batch}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on from such a state."""
        self._every.seen, self._every.batch = int(state["seen"]), int(state["batch"])

    def set_run(self, run: Run | None) -> None:
        """Take the run; at its end note whether its rates are those of one that may go on."""
        if run is None and self.run is not None:
            trainer = self.run.trainer
            goes_on = self.current.exists() or self.previous.exists()
            trainer.left = (self._first_rates, rates(trainer)) if goes_on else None
        super().set_run(run)

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Go on from the newest backup that is good, if there is one."""
        run = self._running()
        self._every.reset()
        self._first_rates = first_rates(run.trainer)
        self._asked_first = fingerprint(run)
        self._fingerprint = self._asked_first | details(run)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for path in self.folder.glob(f".{self.current.name}.*"):
                path.unlink()  # what a kill in the middle of writing left
        except OSError as error:
            raise FileError(f"cannot use the folder {str(self.folder)!r}: {error}") from error
        self._found = self._newest()
        self._restore(run)
        if not run.batch:
            self._found = None

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Within an epoch: undo what callbacks did at its beginning, which was done before."""
        self._epoch = epoch
        self._restore(self._running())
        self._found = None

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Write a backup where it is time, going by batches."""
        if self._every.due(batch):
            self._save(self._epoch, batch + 1)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Write a backup where it is time, going by epochs."""
        if self._every.epochs:
            self._save(epoch + 1, 0)

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Remove the backups where asked for."""
        if self.delete_checkpoint:
            # The older one first: whatever is left after a kill here is the newest.
            for path in (self.previous, self.current):
                path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # other files in it are not ours to remove
                self.folder.rmdir()

    def _running(self) -> Run:
        if self.run is None:
            raise ArgumentError("BackupAndRestore works within fit only: pass it as a callback")
        return self.run

    def _save(self, epoch: int, batch: int) -> None:
        arrays, words = checkpoint.capture(self._running(), epoch, batch)
        about = {
            "format": "chainrule",
            "version": _VERSION,
            "content": "backup",
            "fingerprint": json.dumps(self._fingerprint),
            "run": json.dumps(words),
        }
        keep = None if self._damaged else self.previous
        try:
            container.write(self.current, arrays, about, keep=keep)
        except FileError as error:
            raise FileError(f"{error}\n  the backups from before are still there") from error
        self._damaged = False

    def _newest(self) -> tuple[dict[str, Array], dict[str, Any]] | None:
        """Return the newest backup that is good; ``None`` where there never was one."""
        faults = []
        for path in (self.current, self.previous):
            # After a kill between two renamings there is only the previous one.
            if path.exists():
                try:
                    arrays, about = container.read(path)
                except FileError as error:
                    faults.append(str(error))
                    # A damaged one must not take the place of the good one at the next backup.
                    self._damaged = True
                    continue
                if faults:
                    text = f"{faults[0]}\n  training goes on from the backup before it"
                    warnings.warn(text, stacklevel=2)
                return arrays, self._checked(path, about)
        if faults:
            raise FileError(
                "no backup is good:\n  " + "\n  ".join(faults) + "\n"
                f"  fix: remove the folder {str(self.folder)!r} to begin anew"
            )
        return None

    def _checked(self, path: Path, about: Mapping[str, str]) -> dict[str, Any]:
        """Return the words about a run, which must be the one that is under way."""
        version = about.get("version")
        if about.get("content") != "backup" or version not in ("1", _VERSION):
            raise FileError(f"{str(path)!r} is not a backup that this version can read")
        mine = self._asked_first if version == "1" else self._fingerprint
        try:
            theirs, words = json.loads(about["fingerprint"]), json.loads(about["run"])
            asked = mine if version == "1" else {**mine, **theirs}
            changed = [k for k in asked if theirs.get(k) != mine.get(k)]
        except (KeyError, ValueError, AttributeError, TypeError, RecursionError) as error:
            raise FileError(f"{str(path)!r} does not hold the state of a run") from error
        if changed:
            raise _other(path, {k: (theirs.get(k), mine.get(k)) for k in changed})
        if not isinstance(words, dict):
            raise FileError(f"{str(path)!r} does not hold the state of a run")
        return words

    def _restore(self, run: Run) -> None:
        if self._found is not None:
            try:
                checkpoint.restore(run, *self._found)
            except FileError as error:
                raise FileError(f"the backup in {str(self.folder)!r} {error}") from error


def _other(path: Path, changed: Mapping[str, tuple[Any, Any]]) -> FileError:
    """Return the error for a backup of a run with other options than the one under way."""
    told = "".join(
        f"  {name}: {'none' if theirs is None else theirs} in it, "
        f"now {'none' if mine is None else mine}\n"
        for name, (theirs, mine) in changed.items()
    )
    fix = "  fix: go on with what it was made with, give another backup_dir, or remove it\n"
    moved = _RATE if any("learning rate" in name for name in changed) else ""
    return FileError(f"{str(path)!r} is of another run.\n{told}{fix}{moved}".rstrip())
