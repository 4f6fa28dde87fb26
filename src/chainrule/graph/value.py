"""Values, the edges of the graph; nodes; variables, which hold state between steps."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule import dtypes
from chainrule.dtypes import Array
from chainrule.errors import ShapeError
from chainrule.graph import room, scope
from chainrule.graph.arithmetic import Arithmetic
from chainrule.graph.signature import Shape, Spec, spec_of

if TYPE_CHECKING:
    from chainrule.graph.primitive import Primitive

Attributes = Mapping[str, Any]


class Clock:
    """Counts changes of variables, so that a value can be told that came too late for the old
    ones."""

    now = 0

    @classmethod
    def changed(cls, writer: Writer) -> None:
        """Note that the variables of this writer have new elements."""
        cls.now += 1
        if writer.shared:
            for variable in writer.variables:
                variable.writer.shared, variable.writer = True, writer
            writer.shared = False
        writer.at = cls.now


class Writer:
    """What changes some variables, all at once: a program, or an assignment to one of them.

    Each variable knows who wrote it last, and that one when: so a step notes the time once, and not
    for every weight and slot. `shared` says that others may have written some since.
    """

    __slots__ = ("at", "shared", "variables")

    def __init__(self, variables: Sequence[Variable]) -> None:
        self.variables = tuple(variables)
        self.shared = True
        self.at = 0


class Changes:
    """Counts what is set in layers and losses, and which variables training moves, so that what
    was found out about them is not taken for what holds now."""

    count = 0


def _nobody_holds_it() -> None:
    """Stand for the reference to an output that was not made yet."""


@dataclass(eq=False, slots=True)
class Node:
    """One application of a primitive: its arguments, attributes, the types of its outputs, and
    where it was made.

    It holds its outputs weakly, since they hold it: what no one has any more (the graph before a
    pass, a value of a loop by hand) is free at once, large arrays with it, and does not wait for
    the collector of cycles. Waiting, the graphs of LeNet-5 took 0.2 MB of 2.8 in training.

    `form`, `leaves` and `born` are filled in by `graph.form` where they are asked for.
    """

    op: Primitive
    arguments: tuple[Value, ...]
    attributes: Attributes
    specs: Sequence[Spec]
    path: tuple[str, ...] = field(default_factory=scope.path)
    made_at: int = field(default_factory=lambda: Clock.now)
    form: Any = None
    leaves: tuple[Value, ...] = ()
    born: int = 0
    _held: list[Callable[[], Value | None]] = field(init=False)

    def __post_init__(self) -> None:
        self._held = [_nobody_holds_it] * len(self.specs)

    @property
    def outputs(self) -> tuple[Value, ...]:
        """The outputs; one that no one holds is made, anew if need be."""
        found: list[Value] = []
        for i, held in enumerate(self._held):
            value = held()
            if value is None:
                value = Value(self.specs[i], self, i)
                self._held[i] = weakref.ref(value)
            found.append(value)
        return tuple(found)


# Returns the elements of the values, and stores others in variables after all are computed; see
# `executors.kept`.
Evaluate = Callable[..., list[Array]]


class Value(Arithmetic):
    """An array that a step will compute; its shape and dtype are known, its elements are not.

    A value is the output of a node, or a leaf: a placeholder (fed at each run), a constant, or a
    variable. `numpy()` evaluates it.

    `mask` says which steps of sequences count, where a layer has told: a value of truths, carried
    from layer to layer and no part of the graph itself.
    """

    __slots__ = (
        "__weakref__",
        "_result",
        "constant",
        "index",
        "mask",
        "name",
        "node",
        "spec",
        "variable",
    )
    __array_priority__ = 1000

    # Set by the package, since this room must not import the executors.
    evaluate: Evaluate | None = None

    def __init__(
        self,
        spec: Spec,
        node: Node | None = None,
        index: int = 0,
        *,
        name: str = "",
        constant: Array | None = None,
        variable: Variable | None = None,
    ) -> None:
        self.spec = spec
        self.node = node
        self.index = index
        self.name = name
        self.constant = constant
        self.variable = variable
        self.mask: Value | None = None
        self._result: Array | None = None

    @property
    def shape(self) -> Shape:
        """The size of each axis."""
        return self.spec.shape

    @property
    def dtype(self) -> str:
        """The dtype's name, e.g. ``"float32"``."""
        return self.spec.dtype

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.spec.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return self.spec.size

    @property
    def is_known(self) -> bool:
        """Whether the elements have been computed, or were given."""
        return self._result is not None or self.constant is not None

    @property
    def is_placeholder(self) -> bool:
        """Whether the value is fed from outside at each run."""
        return self.node is None and not self.is_known and self.variable is None

    def numpy(self) -> Array:
        """Return the elements, computing them the first time."""
        if self.variable is not None:
            return self.variable.numpy()
        if self.constant is not None:
            return self.constant
        if self._result is None:
            from chainrule.graph.pending import look

            self._result = look(self)
        return self._result

    def backward(self) -> None:
        """Add the gradient of this scalar to ``grad`` of every trainable variable it depends on.

        Raises
        ------
        ShapeError
            For a value that is not a scalar.

        Examples
        --------
        >>> from chainrule import Variable, ops
        >>> w = Variable([1.0, 3.0])
        >>> ops.sum(ops.square(w)).backward()
        >>> w.grad.numpy().tolist()
        [2.0, 6.0]
        """
        from chainrule.graph.pending import add_gradients

        add_gradients(self)

    def item(self) -> Any:
        """Return the only element as a Python number."""
        return self.numpy().item()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.array(self.numpy(), dtype=dtype, copy=copy)

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __bool__(self) -> bool:
        return bool(self.item())

    def __format__(self, form: str) -> str:
        return format(self.item(), form) if form else str(self)

    def __len__(self) -> int:
        if not self.shape:
            raise ShapeError("a scalar has no length")
        return self.shape[0]

    def __repr__(self) -> str:
        kind = self.node.op.name if self.node is not None else self.name or "leaf"
        return f"<Value {self.spec} of {kind}>"


_NOBODY = Writer(())


def aligned_copy(array: Array) -> Array:
    """Return a C-contiguous copy that begins on a 64-byte boundary."""
    raw = np.empty(array.nbytes + 64, np.uint8)
    start = -raw.ctypes.data % 64
    copy = raw[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


class Variable(Arithmetic):
    """State that lives between steps: a weight, an optimizer's slot, a counter.

    Parameters
    ----------
    value : array_like
        The initial elements; copied.
    name : str, default ""
        Shown in errors and files.
    trainable : bool, default True
        Whether training moves it.
    dtype : str, optional
        Converted to this dtype; by default that of `value`.

    Examples
    --------
    >>> from chainrule import Variable
    >>> Variable([1.0, 2.0], name="w", dtype="float32").shape
    (2,)
    """

    __array_priority__ = 1000

    def __init__(
        self, value: Any, *, name: str = "", trainable: bool = True, dtype: str | None = None
    ) -> None:
        array = np.asarray(value)
        kind = dtypes.name_of(dtype or array.dtype)
        room.take(array.nbytes)
        self.value: Array = aligned_copy(array.astype(kind, copy=False))
        self.name = name
        self._trainable = bool(trainable)
        self.writer = _NOBODY
        self.regularizer: Callable[[Value], Value] | None = None  # its penalty joins the loss
        self.constraint: Callable[[Value], Value] | None = None  # what the optimizer must keep to
        self.rate_multiplier = 1.0  # the share of the learning rate that this weight has
        self.grad: Value | None = None
        self.programs: Any = None  # of loops by hand, kept by the executors
        self.forms: Any = None  # of graphs in such loops, kept by `graph.form`
        self.leaf = Value(Spec(self.value.shape, kind), name=name, variable=self)

    @property
    def changed_at(self) -> int:
        """The time of the last change."""
        return self.writer.at

    @property
    def trainable(self) -> bool:
        """Whether training moves the variable."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = bool(value)
        Changes.count += 1

    @property
    def shape(self) -> Shape:
        """The size of each axis."""
        return self.leaf.shape

    @property
    def dtype(self) -> str:
        """The dtype's name."""
        return self.leaf.dtype

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self.leaf.ndim

    @property
    def size(self) -> int:
        """The number of elements."""
        return self.leaf.size

    def assign(self, value: Any) -> None:
        """Copy `value` into the variable: at once, or, within the `call` of a layer or the update
        of a metric, in each step that the call is part of.

        Raises
        ------
        ShapeError
            Where its shape is not the variable's.
        """
        from chainrule.graph.storing import assign

        assign(self, value)

    def assign_add(self, value: Any) -> None:
        """Add `value` to the variable; see `assign`."""
        self.assign(self + value)

    def assign_sub(self, value: Any) -> None:
        """Take `value` off the variable; see `assign`."""
        self.assign(self - value)

    def numpy(self) -> Array:
        """Return a copy of the elements."""
        self.settle()
        return self.value.copy()

    def settle(self) -> None:
        """Store what layers have recorded in a loop by hand and no step has stored yet."""
        from chainrule.graph.pending import settle

        settle()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.array(self.numpy(), dtype=dtype, copy=copy)

    def __float__(self) -> float:
        return float(self.numpy())

    def __int__(self) -> int:
        return int(self.numpy())

    def __bool__(self) -> bool:
        return bool(self.numpy().item())

    def __format__(self, form: str) -> str:
        return format(self.numpy().item(), form) if form else str(self)

    def __repr__(self) -> str:
        return f"<Variable {self.name!r} {self.leaf.spec}>"


def placeholder(shape: Sequence[int], dtype: str, name: str) -> Value:
    """Return a leaf that is fed from outside at each run."""
    return Value(Spec(tuple(int(n) for n in shape), dtypes.name_of(dtype)), name=name)


def constant(array: Any, dtype: str | None = None) -> Value:
    """Return a leaf with fixed elements; floats become `floatx()` unless they are NumPy arrays."""
    held = array if type(array) is np.ndarray else np.asarray(array)
    if dtype is None and held is not array and not isinstance(array, np.ndarray | np.generic):
        dtype = dtypes.floatx() if held.dtype == np.float64 else None
    kind = dtypes.name_of(held.dtype if dtype is None else dtype)
    # A copy: the value may be computed after the caller has changed the array.
    held = np.array(held, kind, order="C")
    return Value(spec_of(held.shape, kind), None, 0, name="constant", constant=held)
