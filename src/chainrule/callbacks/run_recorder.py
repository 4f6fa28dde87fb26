"""The record of a run, for reports and the dashboard."""

from __future__ import annotations

import contextlib
import os
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from chainrule.callbacks.base import Callback, Logs
from chainrule.dtypes import Array
from chainrule.errors import ArgumentError, ChainruleWarning, FileError
from chainrule.graph import Variable
from chainrule.insight.control import Control, rate_now
from chainrule.insight.description import described
from chainrule.insight.ending import about_model, answers, rates_of, restored_by
from chainrule.insight.evaluation import Facts
from chainrule.insight.looking import LookWriter
from chainrule.insight.record import process
from chainrule.insight.record_file import RecordWriter
from chainrule.training.said import templates_of

if TYPE_CHECKING:
    from chainrule.training.loop import Run

PACE = 0.5  # seconds between two replacements of the status
SPACING = 1e-3  # points within epochs are this share of the time so far apart, once that is more


class RunRecorder(Callback):
    """Writes what `fit` does into a folder, as it does it, for ``chainrule report`` and dashboard.

    The record takes less than 1 % of the time of training, statistics, which are collected for
    whoever asks, aside. Another process reads it while it is written (`RunRecord`); from there the
    run can be paused, ended, or its learning rate lowered. Where the disk is full the run goes on
    without a record, and says so.

    Parameters
    ----------
    folder : path-like
        Of this run, and of no other; made where it is missing. What an earlier run has left of its
        record there is replaced.
    statistics : "auto", int or None, default "auto"
        How often to look inside a step: so that it takes 3 % of the time at most, each so many
        steps, or not at all.
    evaluate : bool, default True
        Whether to predict up to 2,000 samples from all over the validation at the end, for the
        confusion matrix and the worst errors.
    about : mapping, optional
        More to say about the run: ``classes`` (their names), ``settings``, ``command``.

    Raises
    ------
    ArgumentError
        For `statistics` that are none of these, and a `folder` that is no path.
    FileError
        When the folder cannot be written as the run begins.

    Examples
    --------
    >>> import numpy as np, os, tempfile
    >>> from chainrule.callbacks import RunRecorder
    >>> from chainrule.layers import Dense, Input
    >>> from chainrule.models import Sequential
    >>> model = Sequential([Input((2,)), Dense(1)])
    >>> model.compile("adam", "mse")
    >>> folder = tempfile.mkdtemp()
    >>> history = model.fit(np.zeros((8, 2)), np.ones(8), verbose=0, callbacks=RunRecorder(folder))
    >>> {"run.json", "events.jsonl", "status.json", "final.json"} <= {*os.listdir(folder)}
    True
    """

    # What the other callbacks did at the end of an epoch belongs into the record.
    last = True

    def __init__(
        self,
        folder: str | os.PathLike[str],
        statistics: str | int | None = "auto",
        evaluate: bool = True,
        about: Mapping[str, Any] | None = None,
    ) -> None:
        whole = isinstance(statistics, int) and not isinstance(statistics, bool) and statistics > 0
        if statistics not in ("auto", None) and not whole:
            raise ArgumentError(
                f"statistics is {statistics!r}; expected 'auto', a number of steps or None"
            )
        self.statistics = statistics
        self.evaluate = evaluate
        self.about = dict(about or {})
        self.writer = RecordWriter(folder)
        self._control = Control(folder, self._told)
        self._reset()

    def _reset(self) -> None:
        self._looks = LookWriter(self.writer)
        self._begun = time.monotonic()
        self._opened = self._resumed = self._over = self._broken = False
        self._between = False  # two epochs
        self._next_status = self._next_progress = self._next_rate = self._epoch_begun = 0.0
        self._known_rate: float | None = None
        self._epoch = self._batch = self._steps = 0  # steps: those before the epoch
        self._logs: Logs = {}
        self._findings: list[Any] = []
        self._final: dict[str, Any] = {}
        self._arrays: dict[str, Array] = {}

    @property
    def elapsed(self) -> float:
        """Seconds since the run began, without those between a kill and where it went on."""
        return time.monotonic() - self._begun

    def interval(self) -> None:
        """Look about ten times a second."""
        return None

    def get_state(self) -> dict[str, Any]:
        """Return where the record ended, and when that was."""
        self._safely(self.writer.write)  # else what was said until now would be cut off
        return {
            "position": self.writer.position,
            "elapsed": self.elapsed,
            "place": [self._epoch, self._steps, self._batch, self._between],
            "looks": [self._looks.next, self._looks.last],
            "control": self._control.get_state(),
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on from there: what was written after it is written again."""
        self.writer.position = int(state["position"])
        self._begun = time.monotonic() - float(state["elapsed"])
        self._epoch, self._steps, self._batch, self._between = state["place"]
        self._looks.next, self._looks.last = map(int, state["looks"])
        self._control.set_state(state["control"], self.model)
        self._resumed = True
        if self._opened and self.run is not None:  # within an epoch, at its beginning
            self._begin(self.run)

    def set_run(self, run: Run | None) -> None:
        """Take the run that begins; where it is over before its end, say why."""
        if run is None and self._opened and not self._over:
            error = sys.exc_info()[1]
            ended = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
            with contextlib.suppress(Exception):  # the user is to see what ended the run
                self._end(ended, "" if error is None else str(error))
        if run is None:
            self._control.end()
        self.run = run

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Begin a new record, of which nothing is written yet, and listen."""
        self._reset()
        try:
            self.writer.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FileError(f"cannot make the folder of the run: {error}") from error
        self._control.begin()

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Say what the run is, before its first epoch."""
        if self._between:
            self._steps, self._between = self._step, False
        self._epoch, self._epoch_begun = epoch, self.elapsed
        self._batch = 0 if self.run is None else self.run.batch
        if not self._opened and self.run is not None:
            self._open(self.run)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Heed what was asked for from outside; write where it is time."""
        self._batch, self._logs = batch + 1, dict(logs or {})
        self._control.look(self.model)
        if (now := self.elapsed) >= self._next_status:
            self._next_status = now + PACE
            self._safely(self._pass)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Write the numbers of an epoch."""
        self._epoch, self._logs = epoch, dict(logs or {})
        self._control.look(self.model)
        self._safely(self._epoch_over)

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Write what there is to say at the end."""
        if self._resumed and self.run is not None and not self._opened and not self.writer.ended():
            self._open(self.run)  # it was killed after its last epoch
        self._final |= restored_by(self._others())
        if self._opened:
            self._end("finished")

    def conclude(self, facts: Mapping[str, Any], arrays: Mapping[str, Array] | None = None) -> None:
        """Add to what the record says at the end, e.g. what a test has measured.

        Parameters
        ----------
        facts : mapping
            Plain data: ``evaluation`` and others that `RunRecord.final` holds.
        arrays : mapping of str to ndarray, optional
            For `RunRecord.arrays`.
        """
        self._final |= facts
        self._arrays |= arrays or {}
        self._safely(self._write_final)

    def _add(self, name: str, find: Callable[..., Facts | None], *arguments: Any) -> None:
        found = find(*arguments)
        if found is not None:
            facts, arrays = found
            self._final |= {name: facts} if name else facts
            self._arrays |= arrays

    def _safely(self, write: Callable[..., None], *arguments: Any) -> None:
        """Write; where that is impossible, say so once and go on without.

        Whatever else goes wrong costs the record what was to be written, never the run.
        """
        if not self._opened or self._broken:
            return
        try:
            write(*arguments)
        except FileError as error:
            self._broken = True
            told = f"the run goes on, but no longer into its record: {error}"
            warnings.warn(ChainruleWarning(told), stacklevel=2)
        except Exception as error:
            _lacking(error)

    def _open(self, run: Run) -> None:
        if not self._resumed or not self.writer.exists():
            self.writer.about(self._described(run))
        self._opened = True
        if self._resumed and run.statistics is not None:
            run.statistics.step = self._step  # looks count on from before
        self._begin(run)
        self.writer.write()
        self._status("running")

    def _described(self, run: Run) -> dict[str, Any]:
        try:
            return described(run, self.about)
        except Exception as error:
            _lacking(error)
            return {"name": run.trainer.model.name, "clock": time.time(), **self.about}

    def _begin(self, run: Run) -> None:
        place = {"epoch": run.epoch, "batch": run.batch}
        self.writer.event("begin", self.elapsed, clock=time.time(), **place)

    def _told(self, command: str, **facts: Any) -> None:
        """Write down what was asked for from outside and done."""
        self._safely(self._write_command, command, facts)

    def _write_command(self, command: str, facts: Mapping[str, Any]) -> None:
        self.writer.event("command", self.elapsed, command=command, **facts)
        self.writer.write()
        self._status("paused" if command == "pause" else "running")

    @property
    def _step(self) -> int:
        """The steps done so far, over all epochs; between two, the first has its batches still."""
        return self._steps + self._batch

    def _pass(self) -> None:
        """Write where the run is within an epoch."""
        now = self.elapsed
        if now >= self._next_progress:
            self._next_progress = now + SPACING * now
            self.writer.event("progress", now, **self._place(), logs=self._logs)
        self._look(now)
        self.writer.write()
        self._status("running")

    def _place(self) -> dict[str, Any]:
        place = {"epoch": self._epoch, "batch": self._batch, "step": self._step}
        return {**place, "learning_rate": self._rate()}

    def _rate(self) -> float | None:
        """Return the learning rate; of a schedule, which takes a millisecond, not every time."""
        optimizer = self.model.optimizer
        if optimizer is None or isinstance(optimizer.learning_rate, Variable):
            return None if optimizer is None else float(optimizer.learning_rate)
        if self.elapsed < self._next_rate:
            return None
        self._next_rate = self.elapsed + PACE
        self._known_rate = rate_now(self.model)
        return self._known_rate

    def _look(self, now: float, ending: bool = False) -> None:
        self._looks.take(getattr(self.run, "statistics", None), now, ending)
        found = [f for c in self._others() for f in getattr(c, "findings", ())]
        if found != self._findings:
            self._findings = found
            self.writer.event("findings", now, findings=[*map(as_data, found)])

    def _others(self) -> list[Callback]:
        return [] if self.run is None else [c for c in self.run.hooks.callbacks if c is not self]

    def _epoch_over(self) -> None:
        now = self.elapsed
        if self.run is not None:
            given = self.run.training.steps(self.run.schedule.batch_size)
            self._batch = max(self._batch, 0 if self.run.stopping else given or 0)
        seconds = round(now - self._epoch_begun, 3)
        self.writer.event("epoch", now, **self._place(), seconds=seconds, logs=self._logs)
        self._between = True
        if now >= self._next_status:
            self._next_status = now + PACE
            self._look(now)
            self.writer.write()
            self._status("running")

    def _status(self, state: str) -> None:
        run, place = self.run, self._place()
        if place["learning_rate"] is not None:
            self._known_rate = place["learning_rate"]
        steps = None if run is None else run.training.steps(run.schedule.batch_size)
        self.writer.status(
            {
                "state": state,
                **process(),
                "updated": time.time(),
                "elapsed": round(self.elapsed, 3),
                **place,
                "learning_rate": self._known_rate,
                "steps": steps,
                "epochs": None if run is None else run.schedule.epochs,
                "logs": self._logs,
            }
        )

    def _end(self, state: str, message: str = "") -> None:
        """Write the end of the run, which happens once; what fails leaves the rest."""
        self._next_rate = 0.0
        self._final |= {"state": state, "seconds": round(self.elapsed, 3)}
        self._final |= {"message": message} if message else {}
        self._safely(self._look, self.elapsed, True)
        self._safely(self.writer.write)
        if state != "failed" and self.run is not None:
            self._measure(self.run, state)
        self._safely(self._write_final)
        self._safely(self._status, state)
        self._over = True

    def _measure(self, run: Run, state: str) -> None:
        """Add what there is to say about the model."""
        self._safely(self._add, "", about_model, run, self.elapsed)
        if self._control.factor == 1.0:
            self._safely(self._add, "", rates_of, run, self._step)
        if self.evaluate and state == "finished":
            self._safely(self._add, "evaluation", answers, run, self.about.get("classes"))

    def _write_final(self) -> None:
        self.writer.final(self._final, self._arrays)


def _lacking(error: Exception) -> None:
    told = f"the run goes on, but its record lacks something: {type(error).__name__}: {error}"
    warnings.warn(ChainruleWarning(told), stacklevel=3)


def as_data(finding: Any) -> dict[str, Any]:
    """Return a finding of a doctor as plain data."""
    names = ("kind", "layer", "step", "evidence", "cause", "remedy", "change", "numbers")
    words = {name: getattr(finding, name, None) for name in names}
    return words | templates_of(words)
