"""The memory that training needs, known before it runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from chainrule.data.batches import key
from chainrule.errors import ArgumentError, NotBuiltError
from chainrule.executors import native
from chainrule.graph import Spec, Variable
from chainrule.graph.symbol import shapes_in
from chainrule.losses import Loss
from chainrule.plan import make_plan
from chainrule.training.outputs import Losses
from chainrule.training.step import Layout, limit_of
from chainrule.training.trace import is_sparse, trace
from chainrule.training.trainer import Trainer

if TYPE_CHECKING:
    from chainrule.models.model import Model


@dataclass(frozen=True)
class Memory:
    """Bytes by what they hold; printing it says so in words.

    Attributes
    ----------
    weights : int
        The variables of the layers.
    optimizer : int
        Slots and counters of the optimizer.
    buffers : int
        Activations and gradients that live through a part of the step: the plan's arena.
    scratch : int
        What each thread keeps of the rows it works on, for as many threads as the step takes.
    copy : int
        The state of before `fit`, kept until its first epoch is over, to go back to if it fails.
    batch_size : int
        The samples of a step.
    training : bool
        Whether it is a step of training; of a model that is not compiled, it is one of `predict`.
    """

    weights: int
    optimizer: int
    buffers: int
    scratch: int
    copy: int
    batch_size: int
    training: bool = True

    @property
    def total(self) -> int:
        """All of it; the data themselves are read where they lie."""
        return self.weights + self.optimizer + self.buffers + self.scratch + self.copy

    def __str__(self) -> str:
        what = "train" if self.training else "predict"
        lines = [
            f"{size(self.total)} to {what} with batches of {self.batch_size}:",
            f"  weights                    {size(self.weights)}",
            f"  optimizer                  {size(self.optimizer)}",
            f"  activations and gradients  {size(self.buffers)}",
            f"  scratch of the threads     {size(self.scratch)}",
            f"  copy to undo a failed fit  {size(self.copy)}, until the first epoch is over",
        ]
        return "\n".join(lines if self.training else [*lines[:2], *lines[3:5]])


def size(nbytes: int) -> str:
    """Return a number of bytes in words, e.g. ``"1.2 MiB"``."""
    number = float(nbytes)
    for unit in ("bytes", "KiB", "MiB"):
        if number < 1024:
            return f"{number:.0f} {unit}" if unit == "bytes" else f"{number:.1f} {unit}"
        number /= 1024
    return f"{number:.1f} GiB"


_UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9}
_UNITS |= {"kib": 2**10, "mib": 2**20, "gib": 2**30}


def bytes_of(limit: int | str | None) -> int | None:
    """Return a limit of memory in bytes: a number of them, or in words as ``"1.5 GB"``.

    Raises
    ------
    ArgumentError
        For anything else, and for less than a byte.
    """
    if limit is None:
        return None
    text = str(limit).strip().lower()
    number = text.rstrip("bgikm").strip()
    try:
        value = float(number) * _UNITS[text[len(number) :].strip()]
    except (KeyError, ValueError):
        value = 0.0
    if isinstance(limit, bool) or not 1 <= value < 2**62:
        raise ArgumentError(
            f"memory_limit is {limit!r}; expected a number of bytes, or text like '64MB'"
        )
    return int(value)


def memory(model: Model, trainer: Trainer, batch_size: int) -> Memory:
    """Return what the plan of a training step says, of `predict` for a model not compiled."""
    layout = _layout(model, trainer, batch_size)
    traced = trace(trainer, layout)
    plan = make_plan(traced.outputs, traced.assigns, limit_of(trainer, layout.kind))
    weights, scratch = _bytes(model.variables), native.scratch_bytes(plan)
    if trainer.optimizer is None:
        return Memory(weights, 0, plan.arena_bytes, scratch, 0, batch_size, training=False)
    slots = _bytes(list(trainer.optimizer.variables))
    return Memory(weights, slots, plan.arena_bytes, scratch, weights + slots, batch_size)


def _layout(model: Model, trainer: Trainer, batch_size: int) -> Layout:
    """Return the layout of a shuffled `fit` over floats, with the targets that the loss takes, or
    of `predict`."""
    kind = model.input_dtype or model.dtype
    given = [Spec(_sizes(s), kind) for s in shapes_in(model.step_shape())]
    xs = model.input_specs() or given
    if trainer.optimizer is None:
        more = tuple((key("x", i), spec) for i, spec in enumerate(xs) if i)
        return Layout("predict", batch_size, xs[0], more=more)
    outputs = shapes_in(model.output_shape)
    many = isinstance(trainer.loss, Losses)
    losses = [o.loss for o in trainer.outputs] if many else [trainer.loss]
    ys = [_target(model, *pair) for pair in zip(losses, outputs, strict=True)]
    named = {key("x", i): spec for i, spec in enumerate(xs)}
    named |= {key("y", i): spec for i, spec in enumerate(ys)}
    x, y = named.pop("x"), named.pop("y")
    return Layout("train", batch_size, x, y, rows=batch_size, more=tuple(named.items()))


def _target(model: Model, loss: Loss | Losses | None, output: tuple[int | None, ...]) -> Spec:
    if is_sparse(loss):
        return Spec(_sizes(output[:-1]), "int64")
    return Spec(_sizes(output), model.dtype)


def _sizes(shape: tuple[int | None, ...]) -> tuple[int, ...]:
    if None in shape[1:]:
        raise NotBuiltError(
            f"what a step takes depends on the length of its samples, which is open: {shape}\n"
            "  fix: ask a model that was made for one length, Input((length, ...))"
        )
    return tuple(n or 0 for n in shape[1:])


def _bytes(variables: list[Variable]) -> int:
    return sum(v.value.nbytes for v in variables)
