"""Values, the edges of the graph; nodes; variables, which hold state between steps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule import dtypes
from chainrule.dtypes import Array
from chainrule.errors import GraphError, ShapeError
from chainrule.graph import scope
from chainrule.graph.signature import Shape, Spec

if TYPE_CHECKING:
    from chainrule.graph.primitive import Primitive

Attributes = Mapping[str, Any]


class Clock:
    """Counts changes of variables, so that a value can be told that came too late for the old
    ones."""

    now = 0

    @classmethod
    def changed(cls, variables: Iterable[Variable]) -> None:
        """Note that these variables have new elements."""
        cls.now += 1
        for variable in variables:
            variable.changed_at = cls.now


@dataclass(eq=False, slots=True)
class Node:
    """One application of a primitive: its arguments, attributes, outputs, and where it was made."""

    op: Primitive
    arguments: tuple[Value, ...]
    attributes: Attributes
    outputs: tuple[Value, ...] = ()
    path: tuple[str, ...] = field(default_factory=scope.path)
    made_at: int = field(default_factory=lambda: Clock.now)


class Arithmetic:
    """Python's operators on values and variables; `ops.operators` installs them."""

    __slots__ = ()

    if TYPE_CHECKING:

        def __add__(self, other: Any) -> Value: ...
        def __radd__(self, other: Any) -> Value: ...
        def __sub__(self, other: Any) -> Value: ...
        def __rsub__(self, other: Any) -> Value: ...
        def __mul__(self, other: Any) -> Value: ...
        def __rmul__(self, other: Any) -> Value: ...
        def __truediv__(self, other: Any) -> Value: ...
        def __rtruediv__(self, other: Any) -> Value: ...
        def __floordiv__(self, other: Any) -> Value: ...
        def __rfloordiv__(self, other: Any) -> Value: ...
        def __mod__(self, other: Any) -> Value: ...
        def __rmod__(self, other: Any) -> Value: ...
        def __pow__(self, other: Any) -> Value: ...
        def __rpow__(self, other: Any) -> Value: ...
        def __matmul__(self, other: Any) -> Value: ...
        def __rmatmul__(self, other: Any) -> Value: ...
        def __lt__(self, other: Any) -> Value: ...
        def __le__(self, other: Any) -> Value: ...
        def __gt__(self, other: Any) -> Value: ...
        def __ge__(self, other: Any) -> Value: ...
        def __neg__(self) -> Value: ...
        def __abs__(self) -> Value: ...
        def __getitem__(self, key: Any) -> Value: ...


# Returns the elements of the values, and stores others in variables after all are computed.
Evaluate = Callable[[Sequence["Value"], Sequence[tuple["Variable", "Value"]]], list[Array]]


class Value(Arithmetic):
    """An array that a step will compute; its shape and dtype are known, its elements are not.

    A value is the output of a node, or a leaf: a placeholder (fed at each run), a constant, or a
    variable. `numpy()` evaluates it.
    """

    __slots__ = ("__weakref__", "_result", "constant", "index", "name", "node", "spec", "variable")
    __array_priority__ = 1000
    __array_ufunc__ = None

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

    def detach(self) -> None:
        """Forget how the value was made; its elements are known. Its graph and the arrays in it
        are free then, where otherwise node and outputs hold each other until they are collected."""
        if self._result is not None:
            self.node = None

    def numpy(self) -> Array:
        """Return the elements, computing them the first time."""
        if self.variable is not None:
            return self.variable.numpy()
        if self.constant is not None:
            return self.constant
        if self._result is None:
            if Value.evaluate is None:
                raise GraphError("no executor is loaded: import chainrule.executors")
            self._result = Value.evaluate([self], ())[0]
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

    def __len__(self) -> int:
        if not self.shape:
            raise ShapeError("a scalar has no length")
        return self.shape[0]

    def __repr__(self) -> str:
        kind = self.node.op.name if self.node is not None else self.name or "leaf"
        return f"<Value {self.spec} of {kind}>"


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
    __array_ufunc__ = None

    def __init__(
        self, value: Any, *, name: str = "", trainable: bool = True, dtype: str | None = None
    ) -> None:
        array = np.asarray(value)
        kind = dtypes.name_of(dtype or array.dtype)
        self.value: Array = aligned_copy(array.astype(kind))
        self.name = name
        self.trainable = trainable
        self.changed_at = 0
        self.regularizer: Callable[[Value], Value] | None = None  # its penalty joins the loss
        self.constraint: Callable[[Value], Value] | None = None  # what the optimizer must keep to
        self.rate_multiplier = 1.0  # the share of the learning rate that this weight has
        self.grad: Value | None = None
        self.leaf = Value(Spec(self.value.shape, kind), name=name, variable=self)

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
        """Copy `value` into the variable.

        Raises
        ------
        ShapeError
            Where its shape is not the variable's.
        """
        array = np.asarray(value)
        if array.shape != self.value.shape:
            raise ShapeError(
                f"variable {self.name!r} has shape {list(self.shape)}; "
                f"it cannot take a value of shape {list(array.shape)}"
            )
        self.value[...] = array
        Clock.changed((self,))

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

    def __repr__(self) -> str:
        return f"<Variable {self.name!r} {self.leaf.spec}>"


def placeholder(shape: Sequence[int], dtype: str, name: str) -> Value:
    """Return a leaf that is fed from outside at each run."""
    return Value(Spec(tuple(int(n) for n in shape), dtypes.name_of(dtype)), name=name)


def constant(array: Any, dtype: str | None = None) -> Value:
    """Return a leaf with fixed elements; floats become `floatx()` unless they are NumPy arrays."""
    held = np.asarray(array)
    if (
        dtype is None
        and held.dtype == np.float64
        and not isinstance(array, np.ndarray | np.generic)
    ):
        dtype = dtypes.floatx()
    kind = dtypes.name_of(dtype or held.dtype)
    # A copy: the value may be computed after the caller has changed the array.
    held = np.ascontiguousarray(held.astype(kind)).reshape(held.shape)
    return Value(Spec(held.shape, kind), constant=held, name="constant")
