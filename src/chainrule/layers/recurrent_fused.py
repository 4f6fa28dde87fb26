"""Recurrent layers that run over whole sequences in one operation."""

from __future__ import annotations

from typing import Any, ClassVar

from chainrule import ops
from chainrule.errors import ArgumentError
from chainrule.graph import Value
from chainrule.layers.base import Layer, automatic
from chainrule.layers.recurrent import RNN
from chainrule.layers.recurrent_cell import RATES, RULES, _Cell
from chainrule.ops.recurrent import at_step, before

_OF_CELLS = frozenset((*RULES, *RATES))


class _Fused(RNN):
    """A layer of one of the cells whose operation over sequences is known."""

    kind: ClassVar[type[_Cell]]
    cell: _Cell

    def __init__(self, arguments: dict[str, Any], flags: dict[str, Any], options: Any) -> None:
        own = {name: options.pop(name) for name in list(options) if name in _OF_CELLS}
        options.pop("implementation", None)
        if (cudnn := options.pop("use_cudnn", "auto")) not in ("auto", True, False):
            raise ArgumentError(f"use_cudnn is {cudnn!r}; expected 'auto', True or False")
        options["name"] = options.get("name") or automatic(type(self))
        common = {k: options[k] for k in ("name", "dtype", "trainable") if k in options}
        super().__init__(self.kind(**arguments, **own, **common), **flags, **options)

    def detail(self) -> str:
        """Return the number of units."""
        return self.cell.detail()

    def __getattr__(self, name: str) -> Any:
        """Return an argument of the cell: units, activation, kernel_initializer, ..."""
        cell = self.__dict__.get("cell")
        if cell is None or name.startswith("_") or name not in cell.__dict__:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(cell, name)

    def _run(
        self, x: Value, states: list[Any], counts: Value | None, training: bool
    ) -> tuple[Value, list[Any]]:
        """Return the outputs in the order of time, or the last one, and the last states."""
        if not self.cell.fusible:
            return super()._run(x, states, counts, training)
        n, t, _ = x.shape
        mask = ops.zeros((n, 0), "bool") if counts is None else counts
        with self.cell.steps():
            x = self.cell.dropped(x, training)
            keep = self.cell.factor("state", states[0], training)
        keep = ops.zeros((n, 0), self.dtype) if keep is None else keep
        found = self._through(x, states, mask, keep)
        last = [at_step(s, 0 if self.go_backwards else t) for s in found]
        y = before(found[0], not self.go_backwards) if self.return_sequences else last[0]
        return y, last

    def _through(self, x: Value, states: list[Any], mask: Value, keep: Value) -> list[Value]:
        """Return each state [n, t + 1, m] before the first step and after each."""
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {**self.cell.get_config(), **Layer.get_config(self), **self._flags()}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        """Return the layer that `get_config` described."""
        return cls(**config)
