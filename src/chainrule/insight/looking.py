"""Which of the steps that were looked at go into the record of a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from chainrule.dtypes import Array
from chainrule.insight import record_file as form

_LAYER = ("name", "kind", "activation", "units", "depth", "shape")
_WEIGHT = ("name", "layer", "shape")
# The gap between two looks that are written is this share of the steps so far: the more bytes a
# look has, the larger, so that with each e-fold of steps about a megabyte is added.
_DENSEST, _SPARSEST, _BYTES = 0.02, 0.5, 1e6


class LookWriter:
    """Writes statistics of steps: all of the first, then ever fewer, and the last.

    Parameters
    ----------
    writer : RecordWriter
        Where to.

    Examples
    --------
    >>> import tempfile
    >>> from chainrule.insight.looking import LookWriter
    >>> from chainrule.insight.record_file import RecordWriter
    >>> looks = LookWriter(RecordWriter(tempfile.mkdtemp()))
    >>> looks.take(None, 0.0)  # of a run that nobody looks into
    """

    def __init__(self, writer: form.RecordWriter) -> None:
        self.writer = writer
        self.next = 0
        self.last = -1
        self._share = _DENSEST
        self._known = False

    def take(self, statistics: Any, elapsed: float, ending: bool = False) -> None:
        """Put the looks since the last time that are due into the record; at the end the last."""
        # Whoever asks has what was measured made tables of: not before a look can be due.
        if statistics is None or (statistics.step <= self.next and not ending):
            return
        tables = statistics.after(self.last)
        steps = tables["steps"].tolist() if tables else []
        if not steps or (steps[-1] < self.next and not ending):
            return
        self._layout(statistics, elapsed)
        for i, step in enumerate(steps):
            if step >= self.next or (ending and step == steps[-1]):
                self._write(tables, i, step, elapsed)

    def _layout(self, s: Any, elapsed: float) -> None:
        """Say what the looks are about, once."""
        if not self._known:
            layers = [{name: getattr(one, name) for name in _LAYER} for one in s.layers]
            weights = [{name: getattr(one, name) for name in _WEIGHT} for one in s.weights]
            self.writer.event("layout", elapsed, layers=layers, weights=weights)
            self._known = True

    def _write(self, tables: Mapping[str, Array], i: int, step: int, elapsed: float) -> None:
        groups = (*form.OF_LAYERS, *form.OF_WEIGHTS)
        packed: dict[str, Any] = {name: form.packed(tables[name][i]) for name in groups}
        packed |= {name: form.packed_vector(tables[name][i]) for name in form.PLAIN}
        where = {"step": step, "epoch": int(tables["epochs"][i]), "loss": float(tables["loss"][i])}
        self.writer.event("look", elapsed, **where, **packed)
        length = sum(len(a) + len(b) for a, b in (packed[name] for name in groups))
        self._share = float(np.clip(length / _BYTES, _DENSEST, _SPARSEST))
        self.last, self.next = step, step + max(1, int(step * self._share))
