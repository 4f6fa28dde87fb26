"""Says why a network does not learn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from chainrule.callbacks.base import Callback, Logs
from chainrule.errors import ArgumentError
from chainrule.training.finding import Finding
from chainrule.training.statistics import checked_every

if TYPE_CHECKING:
    from chainrule.insight.doctor import Doctor
    from chainrule.training.loop import Run


class GradientDoctor(Callback):
    """Watches a run from within and from without, and names what keeps the network from learning.

    Before the first step it looks at the data, the output layer and what the layers do with some
    samples; while training goes on, at statistics of activations, errors, gradients and updates
    taken within the steps, and at the learning curves. What it suspects it tries out, in a few
    steps on the side from the weights that the run began with. Training is not changed by a bit.

    Parameters
    ----------
    statistics : "auto" or int, default "auto"
        How often a step is looked into: so that it takes 3 % of the time at most, or every so many
        steps.
    verbose : {0, 1}, default 0
        Whether to print each finding when it is first made.

    Attributes
    ----------
    findings : list of Finding
        What was found, as it is judged at the end of the last epoch: the worst first, each kind and
        layer once, without what follows from another. Empty for a healthy run.

    Raises
    ------
    ArgumentError
        For other values of `statistics`.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.callbacks import GradientDoctor
    >>> from chainrule.layers import Dense, Input
    >>> from chainrule.models import Sequential
    >>> from chainrule.optimizers import SGD
    >>> x = np.random.default_rng(0).standard_normal((200, 4))
    >>> model = Sequential([Input((4,)), Dense(8, "tanh"), Dense(1)])
    >>> model.compile(SGD(1e-7), "mse")
    >>> doctor = GradientDoctor()
    >>> history = model.fit(x, np.tanh(x).sum(axis=1), epochs=3, verbose=0, callbacks=doctor)
    >>> [finding.kind for finding in doctor.findings]
    ['learning_rate_too_low']
    """

    judges_start = True

    def __init__(self, statistics: str | int = "auto", verbose: int = 0) -> None:
        self.statistics = checked_every("statistics", statistics)
        self.verbose = verbose
        self.findings: list[Finding] = []
        self._doctor: Doctor | None = None
        self._epoch = 0

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Look at the data and the first weights."""
        from chainrule.insight.doctor import Doctor

        if self.run is None:
            raise ArgumentError("GradientDoctor works within fit only: pass it as a callback")
        self.findings = []
        self._doctor = Doctor(self.run)
        self._tell(self._doctor.begun)

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Keep a copy of the state."""
        self._epoch = epoch
        if self._doctor is not None and self.run is not None:
            self._doctor.stand(epoch, self.run.batch)

    def interval(self) -> None:
        """Return that a look at the loss from time to time will do."""

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """See that the loss is finite."""
        if self._doctor is not None:
            self._doctor.look_out(self._epoch, batch, (logs or {}).get("loss", 0.0))

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Take in the numbers of the epoch; judge after the 1st, 2nd, 4th, 8th and so on."""
        if self._doctor is not None and self.run is not None:
            self._doctor.look_out(epoch, self._doctor.last, (logs or {}).get("loss", 0.0))
            self._doctor.note(logs or {})
            done = epoch + 1
            if done & (done - 1) == 0:
                self._tell(self._doctor.judge())

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Judge the whole run."""
        if self._doctor is not None:
            self._tell(self._doctor.judge(ending=True))

    def set_run(self, run: Run | None) -> None:
        """Take the run that begins; let go of its data and copies of weights when it is over."""
        super().set_run(run)
        if run is None:
            self._doctor = None

    def _tell(self, findings: list[Finding]) -> None:
        """Take over what was found, and print what is new."""
        known = {(finding.kind, finding.layer) for finding in self.findings}
        if self.verbose:
            for finding in findings:
                if (finding.kind, finding.layer) not in known:
                    print(finding)
        self.findings = findings

    def get_state(self) -> dict[str, Any]:
        """Return the findings and what they go by."""
        known = {} if self._doctor is None else self._doctor.get_state()
        return {"findings": [found.to_dict() for found in self.findings], "known": known}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on from the findings of before and what they went by."""
        self.findings = [Finding.from_dict(words) for words in state["findings"]]
        if self._doctor is not None and state["known"]:
            self._doctor.set_state(state["known"])
