"""The doctor: what is gathered in a run, and all rules asked in turn."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.data.iterables import Iterated, Sequenced
from chainrule.data.source import Endless, First
from chainrule.errors import ChainruleError
from chainrule.graph import Variable
from chainrule.insight.case import Case
from chainrule.insight.evidence import Evidence
from chainrule.insight.finding import explains, ranked
from chainrule.insight.layer_look import LayerLook, Look, look_at
from chainrule.insight.outside import after_epoch, before_training
from chainrule.insight.replay import Place, non_finite, place_of, spoilt
from chainrule.insight.rules_flat import on_flat
from chainrule.insight.rules_later import on_steps
from chainrule.insight.rules_layers import on_layers
from chainrule.insight.rules_loss import on_loss
from chainrule.insight.rules_signals import on_signals
from chainrule.insight.trials import Trials, rate_of
from chainrule.training.finding import Finding
from chainrule.training.own_step import overridden
from chainrule.training.said import Said, said
from chainrule.training.trainer import Snapshot, Trainer

if TYPE_CHECKING:
    from chainrule.training.loop import Run

_ROOM = 2**27  # bytes of state of which copies are kept, for trials and for a replay
_RATE = Finding("learning_rate_too_high")
_KEPT = 2**24  # bytes of the first weights that a backup takes in
_SHARE = 0.01  # of the time, for copies


class Doctor:
    """What is known of one run from its beginning on."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.case = Case.of_run(run)
        self.statistics = run.statistics
        self.before = before_training(self.case)
        self.history: dict[str, list[float]] = {}
        self.first = self._look()
        self.small = sum(v.value.nbytes for v in run.trainer.state()) <= _ROOM
        self.trials = self._trials()
        optimizer = run.trainer.optimizer
        self.fresh = optimizer is None or not int(optimizer.iterations)
        self.lost = _spoilt(run.trainer)
        self._place: Place | None = None
        self._due = 0.0

    def _look(self) -> Look | None:
        if self.case.own:
            return None
        try:
            return look_at(self.case.trainer, self.case.sample)
        except ChainruleError:
            return None  # what is wrong with data or shapes, the first step says

    def _trials(self) -> Trials | None:
        trainer = self.case.trainer
        if trainer.optimizer is None or overridden(trainer.model, "train"):
            return None
        if not self.small:
            return None
        size = min(self.case.batch_size, len(self.case.sample))
        rate = rate_of(trainer.optimizer)
        first = int(trainer.optimizer.iterations)
        return Trials(trainer, self.case.sample, size, Snapshot(trainer), rate, first)

    def stand(self, epoch: int, batch: int) -> None:
        """Keep a copy of the state before this batch, if one is due or the epoch begins."""
        now = time.perf_counter()
        if self.lost is None and self.small and (not batch or now >= self._due):
            self._check(epoch, batch - 1)
            if self.lost is None:
                self._place = place_of(self.run, epoch, batch)
            done = time.perf_counter()
            self._due = done + (done - now) / _SHARE

    def look_out(self, epoch: int, batch: int, loss: float) -> None:
        """See after a batch that the loss is finite; where it is not any more, find out why."""
        if math.isfinite(loss):
            self.stand(epoch, batch + 1)
        elif self.lost is None:
            what = said(
                "the loss is {loss} by batch {batch} of epoch {epoch}",
                loss=loss,
                batch=batch,
                epoch=epoch,
            )
            self._find_out(what, epoch, batch)

    def _check(self, epoch: int, batch: int) -> None:
        """See that what was learnt up to this batch is finite: a step with a finite loss may spoil
        it, and so may the last one."""
        bad = spoilt(self.run.trainer)
        if bad is not None:
            what = said(
                "{weight!r} is not finite after batch {batch} of epoch {epoch}",
                weight=bad.name,
                batch=batch if batch >= 0 else self.last,
                epoch=epoch if batch >= 0 else epoch - 1,
            )
            self._find_out(what, epoch, max(batch, 0))

    def _find_out(self, what: Said, epoch: int, batch: int) -> None:
        """Run again from the last copy of the state; say only what is seen where that tells
        nothing."""
        found = None if self._place is None else non_finite(self.run, self._place)
        self.lost = found or Finding(
            "non_finite",
            None,
            what,
            said("lower the learning rate, or clip gradients (the optimizer's clipnorm)"),
            epoch * (self.steps or 0) + batch,
            _unknown(self.run, self.small),
        )

    @property
    def steps(self) -> int | None:
        """The number of batches of an epoch: of a generator it is known after the first."""
        return self.run.training.steps(self.case.batch_size)

    @property
    def last(self) -> int:
        """The number of the last batch of an epoch."""
        return (self.steps or 1) - 1

    def note(self, logs: Mapping[str, float]) -> None:
        """Take in the numbers of an epoch."""
        for name, number in logs.items():
            self.history.setdefault(name, []).append(float(number))
        self._note_rate()

    def _note_rate(self) -> None:
        """Take in the rate of an epoch, which callbacks may have set."""
        optimizer = self.run.trainer.optimizer
        if self.trials is None or optimizer is None:
            return
        if isinstance(optimizer.learning_rate, Variable):
            rate, known = float(optimizer.learning_rate), len(self.history.get("loss", ())) > 1
            self.trials.rate = max(rate, self.trials.rate) if known else rate

    @property
    def begun(self) -> list[Finding]:
        """What could be told before the first step."""
        return [*([] if self.lost is None else [self.lost]), *self.before]

    def judge(self, ending: bool = False) -> list[Finding]:
        """Return what is wrong as far as can be told now, the worst first."""
        if ending and self.lost is None:
            self._check(self._place.epoch + 1 if self._place else 1, -1)
        e = self.evidence()
        found = [*self.begun, *on_layers(e), *on_signals(e), *on_steps(e), *after_epoch(e.case)]
        # Trials cost steps: only where nothing else explains the curve; and while the run goes on,
        # only of a network that has learnt nothing.
        if (ending or e.stuck) and not any(explains(cause, _RATE) for cause in found):
            flat = list(on_flat(e))
            found += flat or on_loss(e)
        return ranked(found)

    def evidence(self) -> Evidence:
        """Return what the rules go by."""
        case = self.case.after(self.history, self.steps)
        losses = self.history.get("loss", [])
        known = (self.statistics, self.trials, self.fresh)
        return Evidence(case, self.first, losses, case.steps or 0, *known)

    def get_state(self) -> dict[str, Any]:
        """Return what a run that is resumed in another process must know."""
        start = [] if self.trials is None else [value for _, value in self.trials.start.held]
        kept = sum(value.nbytes for value in start) <= _KEPT
        return {
            "history": self.history,
            "before": [finding.to_dict() for finding in self.before],
            "lost": None if self.lost is None else self.lost.to_dict(),
            "first": None if self.first is None else asdict(self.first),
            "fresh": self.fresh,
            "rate": 0.0 if self.trials is None else self.trials.rate,
            "start": start if kept else [],
            "statistics": None if self.statistics is None else self.statistics.get_state(),
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what `get_state` returned."""
        self.history = {k: [float(v) for v in values] for k, values in state["history"].items()}
        self.before = [Finding.from_dict(words) for words in state["before"]]
        self.fresh = bool(state.get("fresh", self.fresh))
        self.lost = None if state["lost"] is None else Finding.from_dict(state["lost"])
        self.first = None if state["first"] is None else _look_of(state["first"])
        if self.trials is not None and state["start"]:
            held = self.trials.start.held
            self.trials.start.held = [
                (v, value) for (v, _), value in zip(held, state["start"], strict=True)
            ]
            self.trials.rate = float(state["rate"])
        if self.statistics is not None and state["statistics"] is not None:
            self.statistics.set_state(state["statistics"])


def _spoilt(trainer: Trainer) -> Finding | None:
    """Return that a weight is not finite, before any step."""
    for variable in trainer.model.variables:
        if variable.value.dtype.kind == "f" and not np.isfinite(variable.value).all():
            return Finding(
                "non_finite",
                variable.name.rpartition(".")[0] or None,
                said("weight {weight!r} is not finite before the first step", weight=variable.name),
                said("make the model anew, or load weights that are finite"),
                0,
                said("an earlier run spoilt it, or what it was loaded from"),
            )
    return None


def _unknown(run: Run, small: bool) -> Said:
    """Return why it is not known where a number that is not finite came from."""
    source = run.training
    while isinstance(source, Endless | First):
        source = source.source
    if isinstance(source, Iterated | Sequenced):
        return said("where it arose is not known: batches of a generator cannot be drawn again")
    if overridden(run.trainer.model, "train"):
        return said("where it arose is not known: steps of one's own cannot be run again")
    if not small:
        return said(
            "where it arose is not known: of weights and slots of more than {megabytes} MB no copy "
            "is kept to run steps again from",
            megabytes=_ROOM // 2**20,
        )
    return said("the step in which it arose could not be run again")


def _look_of(words: Mapping[str, Any]) -> Look:
    layers = tuple(LayerLook(**layer) for layer in words["layers"])
    return Look(layers, float(words["loss"]), int(words["rows"]))
