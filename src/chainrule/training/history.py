"""What a `fit` measured, epoch by epoch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chainrule.training.hooks import Callback, Logs


class History(Callback):
    """The loss and metrics after each epoch; `fit` returns one.

    Attributes
    ----------
    epoch : list of int
        The epochs that were run, from 0.
    history : dict of str to list of float
        ``"loss"``, each metric, and with validation their ``"val_..."``; one number an epoch.
    params : dict
        What the run was asked for: ``epochs``, ``steps`` (batches in an epoch), ``verbose``.

    Examples
    --------
    >>> from chainrule.training import History
    >>> record = History()
    >>> record.on_epoch_end(0, {"loss": 0.5})
    >>> record.history
    {'loss': [0.5]}
    """

    def __init__(self) -> None:
        self.epoch: list[int] = []
        self.history: dict[str, list[float]] = {}
        self.params: Mapping[str, Any] = {}

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Append the numbers of an epoch."""
        self.epoch.append(epoch)
        for name, number in (logs or {}).items():
            self.history.setdefault(name, []).append(number)

    def get_state(self) -> dict[str, Any]:
        """Return the epochs and their numbers."""
        return {"epoch": self.epoch, "history": self.history}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on from the epochs and numbers of another history."""
        self.epoch = [int(n) for n in state["epoch"]]
        self.history = {name: list(numbers) for name, numbers in state["history"].items()}

    def __repr__(self) -> str:
        return f"<History of {len(self.epoch)} epochs: {', '.join(self.history)}>"
