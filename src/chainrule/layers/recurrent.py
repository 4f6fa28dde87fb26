"""Layers that go through sequences step by step and carry a state along: `RNN` for any cell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from chainrule import ops
from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph import Value, Variable, scope
from chainrule.graph.symbol import filled, leaves
from chainrule.layers.base import Layer, Shape
from chainrule.layers.masks import checked, over
from chainrule.layers.recurrent_cell import (
    _Cell,
    checked_cell,
    first_states,
    output_size_of,
    stepped,
)
from chainrule.layers.stacked_cells import StackedRNNCells


class RNN(Layer):
    """``y_t, s_t = cell(x_t, s_{t-1})`` over the steps of sequences, for any cell.

    `LSTM`, `GRU` and `SimpleRNN` are such layers for cells of their own, which run over whole
    sequences at once; here the cell is called for each step, and so stands as often in the step
    of training.

    Where x has a mask, a step that it leaves out changes no state, and its output is that of the
    step before. Called with an `initial_state` it is not given that mask by itself, as in Keras:
    pass ``mask=x.mask``, or what `compute_mask` of the layer that made it returns.

    A `stateful` layer begins each batch with the states that the one before ended
    with: back-propagation through time ends at the batch, whose steps are so many as are
    remembered for it (truncated back-propagation), while the state goes on. Such states are no
    weights; they are kept in checkpoints, not in files of models, and `reset_state` forgets them.

    Shapes: x [n, t, ...], mask [n, t]; y [n, m], with `return_sequences` [n, t, m]; with
    `return_state` a list of y and the last states.

    Parameters
    ----------
    cell : Layer, or list of them
        With ``call(x_t, states)``, which returns the output and the new states, and `state_size`,
        the units of the state, or of each in a list; its `output_size` is by default the first.
        ``get_initial_state(batch_size)`` may give other states than zeros. Of a list
        `StackedRNNCells` are made.
    return_sequences : bool, default False
        Whether the outputs of all steps are returned, not that of the last alone.
    return_state : bool, default False
        Whether the last states are returned too.
    go_backwards : bool, default False
        Whether to begin with the last step; the outputs stand in the order in which they are made.
    stateful : bool, default False
        Whether the states go on from batch to batch; give `fit` ``shuffle=False``, and all batches
        the same size.
    unroll : bool, default False
        Says nothing here.
    zero_output_for_mask : bool, default False
        Whether the outputs of steps that do not count are 0.
    **options
        See `Layer`.

    Raises
    ------
    ArgumentError
        For a cell that is none.
    ShapeError
        For inputs that are no sequences, states or a mask of another shape, or, of a stateful
        layer, a batch of another size than before.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import layers, ops
    >>> class Sum(layers.Layer):
    ...     state_size = 2
    ...     def call(self, x, states):
    ...         total = states[0] + x
    ...         return total, [total]
    >>> layers.RNN(Sum(), return_sequences=True)(np.ones((1, 3, 2)))[0, :, 0].numpy().tolist()
    [1.0, 2.0, 3.0]
    """

    supports_masking = True

    def __init__(
        self,
        cell: Any,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        zero_output_for_mask: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if isinstance(cell, list | tuple):
            cell = StackedRNNCells(cell)
        self.cell = checked_cell(cell)
        self.return_sequences, self.return_state = bool(return_sequences), bool(return_state)
        self.go_backwards, self.stateful = bool(go_backwards), bool(stateful)
        self.unroll, self.zero_output_for_mask = bool(unroll), bool(zero_output_for_mask)
        self.states: list[Any] | None = None

    @property
    def state_size(self) -> list[Any]:
        """The units of each state, in a list."""
        size = self.cell.state_size
        return [size] if isinstance(size, int) else list(size)

    @property
    def output_size(self) -> int:
        """The units of the output."""
        return output_size_of(self.cell)

    def build(self, input_shape: Shape) -> None:
        """Make the weights of the cell."""
        check_sequences(input_shape)
        if isinstance(self.cell, Layer):
            self.cell.build_for((None, *input_shape[2:]))

    def call(  # type: ignore[override]
        self,
        sequences: Any,
        initial_state: Any = None,
        mask: Any = None,
        training: bool = False,
        in_time_order: bool = False,
    ) -> Any:
        """Return the outputs, and with `return_state` the last states.

        With `in_time_order` the outputs stand in the order of x also where it goes backwards.
        """
        check_sequences(sequences.shape)
        x = ops.cast(sequences, self.dtype)
        counts = checked(mask, x.shape[:2])
        first = self._first(initial_state, x.shape[0])
        y, states = self._run(x, first, counts, training)
        if self.zero_output_for_mask and counts is not None and x.shape[1]:
            last = 0 if self.go_backwards else x.shape[1] - 1
            seen = counts if self.return_sequences else counts[:, last]
            y = ops.where(over(seen, y), y, 0.0)
        if self.return_sequences and self.go_backwards and not in_time_order:
            y = ops.flip(y, axis=1)
        self._store(states)
        return [y, *states] if self.return_state else y

    def _run(
        self, x: Value, states: list[Any], counts: Value | None, training: bool
    ) -> tuple[Value, list[Any]]:
        """Return the outputs in the order of time, or the last one, and the last states."""
        found: dict[int, Value] = {}
        t = x.shape[1]
        if scope.probing():
            x = x[:, :1]  # of which the shapes are those of any other
        steps = range(x.shape[1])
        y = None
        with ExitStack() as stack:
            for cell in _dropping(self.cell):
                stack.enter_context(cell.steps())
            x = self._all_at_once(x, training)
            for i in reversed(steps) if self.go_backwards else steps:
                column = None if counts is None else counts[:, i]
                y, states = self._step(x[:, i], states, column, y, training)
                found[i] = y
        if self.return_sequences:
            return self._stacked(x, found, t), states
        if y is None:
            y = ops.zeros(self._shapes(x.shape[0])[0], self.dtype)
        return y, states

    def _all_at_once(self, x: Value, training: bool) -> Value:
        """Return what of the work on the inputs is not done step by step; `_advanced` is given a
        step of it."""
        return x

    def _advanced(self, x: Value, states: list[Any], training: bool) -> tuple[Value, list[Any]]:
        """Return output and states after a step."""
        return stepped(self.cell, x, states, training)

    def _shapes(self, n: int | None) -> list[Any]:
        """Return the shape of an output, and of each state, in its list where there are such."""
        sizes = self.state_size
        states = filled(sizes, ((n, size) for size in leaves(sizes)))
        return [(n, self.output_size), *states]

    def _stacked(self, x: Value, found: dict[int, Value], t: int) -> Value:
        if found and len(found) == t:
            return ops.stack([found[i] for i in sorted(found)], axis=1)
        n, *rest = self._shapes(x.shape[0])[0]
        return ops.zeros((n, t, *rest), self.dtype)

    def _step(
        self,
        x: Value,
        states: list[Any],
        counts: Value | None,
        before: Value | None,
        training: bool,
    ) -> tuple[Value, list[Any]]:
        """Return output and states after a step, those before it where it does not count."""
        y, new = self._advanced(x, states, training)
        if len([*leaves(new)]) != len([*leaves(states)]):
            raise ArgumentError(
                f"the cell returned {len([*leaves(new)])} states, but was given "
                f"{len([*leaves(states)])}: as many as its state_size says"
            )
        if counts is None:
            return y, new
        # The output before is the first state, of stacked cells that of the highest.
        last = states[-1] if isinstance(self.cell, StackedRNNCells) else states[0]
        old: Value = next(iter(leaves(last)))
        if old.shape != y.shape:
            old = ops.zeros(y.shape, y.dtype) if before is None else before
        pairs = zip(leaves(new), leaves(states), strict=True)
        held = (ops.where(over(counts, a), a, b) for a, b in pairs)
        return ops.where(over(counts, y), y, old), filled(new, held)

    # States.

    def get_initial_state(self, batch_size: int) -> list[Any]:
        """Return the states that sequences begin with: those of the cell, or zeros."""
        found = first_states(self.cell, batch_size, self.dtype)
        return list(found) if isinstance(found, list | tuple) else [found]

    def _first(self, initial_state: Any, n: int) -> list[Any]:
        """Return the states before the first step."""
        usual = self._carried_on(n) if self.stateful else self.get_initial_state(n)
        if initial_state is None:
            return usual
        given = initial_state if isinstance(initial_state, list | tuple) else [initial_state]
        wanted = [tuple(s.shape) for s in leaves(usual)]
        states = [ops.cast(s, self.dtype) for s in leaves(given)]
        if [tuple(s.shape) for s in states] != wanted:
            raise ShapeError(
                f"initial_state has the shapes {[list(s.shape) for s in states]}; "
                f"expected {[*map(list, wanted)]}"
            )
        found: list[Any] = filled(usual, iter(states))
        return found

    def _carried_on(self, n: int) -> list[Any]:
        """Return the states that the batch before ended with."""
        first = self.get_initial_state(n)
        if scope.probing():
            return first
        if self.states is None:
            with scope.apart():
                held = (self._variable(s, i) for i, s in enumerate(leaves(first)))
                self.states = filled(first, held)
        sizes = {v.shape[0] for v in leaves(self.states)}
        if sizes != {n}:
            raise ShapeError(
                f"a stateful layer has states for {sizes.pop()} sequences, but the batch has {n}.\n"
                "  fix: give batches of one size (a number of samples that batch_size divides), "
                "or call forget_state() to begin with another"
            )
        found: list[Any] = filled(self.states, (scope.current(v) for v in leaves(self.states)))
        return found

    def _variable(self, state: Any, number: int) -> Variable:
        first = ops.cast(state, self.dtype).numpy()
        return Variable(first, name=f"{self.name}.state_{number}", trainable=False)

    def _store(self, states: list[Any]) -> None:
        if self.stateful and self.states is not None and not scope.probing():
            for variable, state in zip(leaves(self.states), leaves(states), strict=True):
                scope.record(variable, state)

    def goes_on(self) -> bool:
        """Return whether the states go on from batch to batch."""
        return self.stateful

    def carried(self) -> list[Variable]:
        """Return the states that go on from batch to batch."""
        return [*super().carried(), *leaves(self.states or [])]

    def forget_state(self) -> None:
        """Begin the next batch with zeros, whatever its size."""
        self.states = None

    # Masks, shapes, files.

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """Return the mask of the sequences that are returned; of single outputs and states None."""
        mask = next(iter(leaves(previous_mask)), None) if self.return_sequences else None
        return [mask, *([None] * len(self.state_size))] if self.return_state else mask

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the output, with `return_state` in a list with the states'."""
        check_sequences(input_shape)
        self.build_for(input_shape)
        n, t = input_shape[:2]
        y, *states = self._shapes(n)
        y = (n, t, *y[1:]) if self.return_sequences else y
        return [y, *states] if self.return_state else y

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        from chainrule.layers import serialize

        return {**super().get_config(), "cell": serialize(self.cell), **self._flags()}

    def _flags(self) -> dict[str, Any]:
        names = ("return_sequences", "return_state", "go_backwards", "stateful", "unroll")
        return {name: getattr(self, name) for name in (*names, "zero_output_for_mask")}

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Mapping[str, type[Layer]] | None = None
    ) -> Any:
        """Return the layer that `get_config` described; `custom_objects` are your own cells."""
        from chainrule.layers import deserialize

        if isinstance(config.get("cell"), Mapping):
            config = {**config, "cell": deserialize(config["cell"], custom_objects)}
        return cls(**config)


@contextmanager
def states_aside(layer: Layer) -> Iterator[None]:
    """Let batches of any size begin with zeros inside; afterwards all states are what they were."""
    held = [(one, one.states) for one in _recurrent(layer)]
    for one, _ in held:
        one.states = None
    try:
        yield
    finally:
        for one, states in held:
            one.states = states


def _recurrent(layer: Layer) -> Iterator[RNN]:
    if isinstance(layer, RNN):
        yield layer
    for inner in layer.sublayers():
        yield from _recurrent(inner)


def _dropping(cell: Any) -> Iterator[_Cell]:
    """Yield the cell and those inside it that may drop inputs or states."""
    if isinstance(cell, _Cell):
        yield cell
    for inner in cell.sublayers() if isinstance(cell, Layer) else ():
        yield from _dropping(inner)


def check_sequences(shape: Any) -> None:
    """Raise where a shape is not that of a batch of sequences [n, t, k]."""
    if len(shape) < 3:
        raise ShapeError(
            f"x has shape {list(shape)}; expected sequences [n, t, k]: n samples of t steps with "
            "k features"
            + (
                "\n  fix: give the steps an axis for their one feature: x[..., None]"
                if len(shape) == 2
                else ""
            )
        )
