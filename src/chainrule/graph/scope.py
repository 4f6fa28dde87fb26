"""Where in a model a node is made, and what random operations draw from while a step is traced."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.errors import DTypeError, ShapeError

if TYPE_CHECKING:
    from chainrule.graph.value import Value, Variable


@dataclass(slots=True)
class _Trace:
    key: Value | None
    streams: int = 0
    recorded: dict[Variable, Value] = field(default_factory=dict)
    penalties: list[Value] = field(default_factory=list)
    notes: dict[str, Any] = field(default_factory=dict)
    probe: bool = False


class Label(str):
    """What a layer is called in a path; one label stands for one call.

    `again` says whether what is made inside is computed again for the backward pass.
    """

    __slots__ = ("again",)
    again: bool

    def __new__(cls, text: str, again: bool = False) -> Label:
        label = super().__new__(cls, text)
        label.again = again
        return label


# In a path: what follows is the place of the node that is being differentiated.
BACKWARD = Label("the gradient")

_path: ContextVar[tuple[str, ...]] = ContextVar("path", default=())
_trace: ContextVar[_Trace | None] = ContextVar("trace", default=None)
_training: ContextVar[bool] = ContextVar("training", default=False)


def path() -> tuple[str, ...]:
    """Return the labels of the layers that are being traced, outermost first."""
    return _path.get()


@contextmanager
def enter(label: str, again: bool = False) -> Iterator[None]:
    """Give the nodes made inside this label; `again` has them computed again for the backward pass
    instead of kept."""
    token = _path.set((*_path.get(), Label(label, again)))
    try:
        yield
    finally:
        _path.reset(token)


@contextmanager
def backward(path: tuple[str, ...]) -> Iterator[None]:
    """Let the nodes made inside be of the gradient of what stands at `path`."""
    token = _path.set((*_path.get(), BACKWARD, *path))
    try:
        yield
    finally:
        _path.reset(token)


@contextmanager
def at(path: tuple[str, ...]) -> Iterator[None]:
    """Let the nodes made inside stand at `path`: what is another form of something made there."""
    token = _path.set(path)
    try:
        yield
    finally:
        _path.reset(token)


@contextmanager
def blame(label: str) -> Iterator[None]:
    """Prefix a shape or dtype error raised inside with ``in <label>: ``, once."""
    try:
        yield
    except (ShapeError, DTypeError) as error:
        text = str(error)
        if text.startswith("in "):
            raise
        raise type(error)(f"in {label}: {text}") from None


@contextmanager
def tracing(
    key: Value | None = None, training: bool = False, probe: bool = False
) -> Iterator[None]:
    """Trace a step: random nodes draw from `key`, numbered from 0 in the order they are made.

    A `probe` only asks for shapes, with batches of any size.
    """
    token = _trace.set(_Trace(key, probe=probe))
    try:
        with mode(training):
            yield
    finally:
        _trace.reset(token)


@contextmanager
def mode(training: bool) -> Iterator[None]:
    """Have layers that are called inside, and not told, train or not."""
    token = _training.set(training)
    try:
        yield
    finally:
        _training.reset(token)


def apart() -> AbstractContextManager[None]:
    """What is assigned inside is assigned at once: weights that a layer makes when first called."""
    return at(())


@contextmanager
def storing(label: str) -> Iterator[dict[Variable, Value]]:
    """Gather what is assigned to variables inside, which the step is not told of."""
    trace = _Trace(None if (around := _trace.get()) is None else around.key)
    token = _trace.set(trace)
    try:
        with enter(label):
            yield trace.recorded
    finally:
        _trace.reset(token)


def within() -> bool:
    """Return whether what runs is the call of a layer, or the update of a metric, in a trace."""
    return _trace.get() is not None and bool(_path.get())


def idle() -> bool:
    """Return whether no step is being traced."""
    return _trace.get() is None


def probing() -> bool:
    """Return whether what is traced will never run, and only its shapes are asked for."""
    trace = _trace.get()
    return trace is not None and trace.probe


def training() -> bool:
    """Return whether layers train: what the call around was told, else what the step is."""
    return _training.get()


def record(variable: Variable, value: Value) -> None:
    """Have the step being traced store `value` in the variable: a running mean, say, that a layer
    moves while it trains. Outside of a trace nothing is stored."""
    trace = _trace.get()
    if trace is not None:
        trace.recorded[variable] = value


def recorded() -> list[tuple[Variable, Value]]:
    """Return what the step being traced is to store."""
    trace = _trace.get()
    return [] if trace is None else list(trace.recorded.items())


def current(variable: Variable) -> Value:
    """Return the variable's value at this place of the trace: what was recorded last, if anything,
    so that a layer used twice moves its means twice."""
    trace = _trace.get()
    return variable.leaf if trace is None else trace.recorded.get(variable, variable.leaf)


def penalize(penalty: Value) -> None:
    """Add a scalar to the loss of the step being traced."""
    trace = _trace.get()
    if trace is not None:
        trace.penalties.append(penalty)


def penalties() -> list[Value]:
    """Return what layers have added to the loss of the step being traced."""
    trace = _trace.get()
    return [] if trace is None else list(trace.penalties)


def note(name: str, what: Any) -> None:
    """Leave word for what comes later in the step being traced."""
    trace = _trace.get()
    if trace is not None:
        trace.notes[name] = what


def noted(name: str) -> Any:
    """Return what was left under this name in the step being traced, or ``None``."""
    trace = _trace.get()
    return None if trace is None else trace.notes.get(name)


def random_key() -> Value:
    """Return the value {seed, step} of the trace; outside of one, a constant that never repeats."""
    from chainrule import seeding
    from chainrule.graph.value import constant

    trace = _trace.get()
    if trace is None or trace.key is None:
        return constant(np.array([seeding.next_seed(), 0], np.int64))
    return trace.key


def next_stream() -> int:
    """Return the number of the next random node of the trace."""
    trace = _trace.get()
    if trace is None:
        return 0
    trace.streams += 1
    return trace.streams - 1
