"""Sequences read from both ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from chainrule import ops
from chainrule.errors import ArgumentError, unknown_name
from chainrule.graph import Value
from chainrule.graph.symbol import leaves
from chainrule.layers.base import Layer, Shape
from chainrule.layers.recurrent import RNN, check_sequences
from chainrule.named import remembering

_MODES = ("concat", "sum", "mul", "ave")


class Bidirectional(Layer):
    """``y = merge(forward(x), backward(x))``: a recurrent layer, and another from the end to the
    beginning.

    Both begin with weights of their own: the layer given is only the pattern. Where x has a mask,
    the outputs of all steps (`return_sequences`) are 0 at those that do not count.

    Shapes: x [n, t, k]; y [n, 2 m] for ``"concat"``, [n, m] for other modes, with
    `return_sequences` [n, t, ...]; a list of both outputs for None; with `return_state` a list of
    the outputs, the last states forward, and those backward.

    Parameters
    ----------
    layer : Layer
        `LSTM`, `GRU`, `SimpleRNN` or `RNN`, or a layer with `go_backwards`, `return_sequences`,
        `return_state` and `stateful`, and with `get_config`.
    merge_mode : {"concat", "sum", "mul", "ave", None}, default "concat"
        What is made of both outputs: they are joined, added, multiplied, their mean is taken; with
        None both are returned.
    weights : sequence of array, optional
        Those to begin with: of the layer forward, then of the one backward.
    backward_layer : Layer, optional
        Another layer for the way back, which must go backwards.
    **options
        See `Layer`.

    Raises
    ------
    ArgumentError
        For an unknown mode, something that is no recurrent layer, or two layers that do not go
        together.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.layers import LSTM, Bidirectional
    >>> Bidirectional(LSTM(4, return_sequences=True))(np.ones((2, 5, 3))).shape
    (2, 5, 8)

    Notes
    -----
    Source: Schuster and Paliwal, IEEE Transactions on Signal Processing 45 (1997).
    """

    supports_masking = True

    def __init__(
        self,
        layer: Layer,
        merge_mode: str | None = "concat",
        weights: Sequence[Any] | None = None,
        backward_layer: Layer | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        for given in (layer, backward_layer or layer):
            if not isinstance(given, Layer) or not hasattr(given, "go_backwards"):
                raise ArgumentError(f"Bidirectional takes a recurrent layer, not {given!r}")
        if merge_mode is not None and merge_mode not in _MODES:
            raise unknown_name("merge_mode", merge_mode, _MODES)
        self.merge_mode = merge_mode
        plain = layer.name.removeprefix("forward_")
        self.forward_layer: Any = again(layer, name=f"forward_{plain}")
        self.backward_layer: Any = backward_layer
        if backward_layer is None:
            self.backward_layer = again(layer, name=f"backward_{plain}", go_backwards=True)
        self._check()
        for one in (self.forward_layer, self.backward_layer):
            if hasattr(one, "zero_output_for_mask"):
                one.zero_output_for_mask = one.return_sequences
        self._given = None if weights is None else list(weights)

    def _check(self) -> None:
        forward, backward = self.forward_layer, self.backward_layer
        if forward.go_backwards == backward.go_backwards:
            raise ArgumentError(
                "one layer must go forward and one backward; both have "
                f"go_backwards={forward.go_backwards}"
            )
        for name in ("stateful", "return_sequences", "return_state"):
            if getattr(forward, name) != getattr(backward, name):
                raise ArgumentError(f"both layers must have the same {name}")

    @property
    def layer(self) -> Any:
        """The layer that goes forward."""
        return self.forward_layer

    @property
    def return_sequences(self) -> bool:
        """Whether the outputs of all steps are returned."""
        return bool(self.forward_layer.return_sequences)

    @property
    def return_state(self) -> bool:
        """Whether the last states are returned too."""
        return bool(self.forward_layer.return_state)

    @property
    def stateful(self) -> bool:
        """Whether the states go on from batch to batch."""
        return bool(self.forward_layer.stateful)

    def detail(self) -> str:
        """Return what goes both ways."""
        return f"{type(self.forward_layer).__name__} {self.forward_layer.detail()}".strip()

    def build(self, input_shape: Shape) -> None:
        """Make the weights of both layers."""
        check_sequences(input_shape)
        self.forward_layer.build_for(input_shape)
        self.backward_layer.build_for(input_shape)
        if self._given is not None:
            half = len(self._given) // 2
            self.forward_layer.set_weights(self._given[:half])
            self.backward_layer.set_weights(self._given[half:])
            self._given = None

    def call(  # type: ignore[override]
        self, sequences: Any, initial_state: Any = None, mask: Any = None, training: bool = False
    ) -> Any:
        """Return the merged outputs, and with `return_state` the last states of both."""
        first: list[Any] = [None, None]
        if initial_state is not None:
            half = len(initial_state) // 2
            first = [list(initial_state[:half]), list(initial_state[half:])]
        there = self._ran(self.forward_layer, sequences, first[0], mask, training)
        back = self._ran(self.backward_layer, sequences, first[1], mask, training, turned=True)
        y = self._merged(there[0], back[0])
        if not self.return_state:
            return y
        outputs = y if isinstance(y, list) else [y]
        return [*outputs, *there[1:], *back[1:]]

    def _ran(
        self, layer: Any, x: Any, first: Any, mask: Any, training: bool, turned: bool = False
    ) -> list[Any]:
        """Return the outputs of a layer, those of the way back in the order of time, and its last
        states."""
        options: dict[str, Any] = {"training": training}
        options |= {} if first is None else {"initial_state": first}
        options |= {} if mask is None else {"mask": mask}
        ours = isinstance(layer, RNN)
        if turned and ours:
            options["in_time_order"] = True
        found = layer(x, **options)
        parts = list(found) if isinstance(found, list | tuple) else [found]
        if turned and self.return_sequences and not (ours and layer.go_backwards):
            parts[0] = ops.flip(parts[0], axis=1)
        return parts

    def _merged(self, there: Value, back: Value) -> Any:
        if self.merge_mode == "concat":
            return ops.concatenate([there, back], axis=-1)
        if self.merge_mode == "sum":
            return ops.add(there, back)
        if self.merge_mode == "mul":
            return ops.multiply(there, back)
        if self.merge_mode == "ave":
            return ops.multiply(ops.add(there, back), 0.5)
        return [there, back]

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """Return the mask of the sequences that are returned; of single outputs and states None."""
        mask = next(iter(leaves(previous_mask)), None) if self.return_sequences else None
        masks = [mask] if self.merge_mode else [mask, mask]
        if self.return_state:
            masks += [None] * (2 * len(self.forward_layer.state_size))
        return masks if len(masks) > 1 else mask

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the outputs, with `return_state` in a list with the states'."""
        self.build_for(input_shape)
        there = self.forward_layer.compute_output_shape(input_shape)
        y, states = (there[0], there[1:]) if self.return_state else (there, [])
        y = (*y[:-1], 2 * y[-1]) if self.merge_mode == "concat" else tuple(y)
        outputs = [y, y] if self.merge_mode is None else [y]
        found = [*outputs, *states, *states]
        return found if len(found) > 1 else y

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        from chainrule.layers import serialize

        return {
            **super().get_config(),
            "layer": serialize(self.forward_layer),
            "merge_mode": self.merge_mode,
            "backward_layer": serialize(self.backward_layer),
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Mapping[str, type[Layer]] | None = None
    ) -> Any:
        """Return the layer that `get_config` described; `custom_objects` are your own layers."""
        from chainrule.layers import deserialize

        described = {k: config.get(k) for k in ("layer", "backward_layer")}
        made = {
            k: deserialize(c, custom_objects) if isinstance(c, Mapping) else c
            for k, c in described.items()
        }
        return cls(**{**config, **made})


@remembering()
def again(layer: Any, **changes: Any) -> Any:
    """Return a layer like this one, but for these arguments, with weights of its own."""
    config = {**layer.get_config(), **changes}
    if isinstance(config.get("cell"), Mapping):
        config["cell"] = _cell_again(layer.cell)
    return type(layer).from_config(config)


def _cell_again(cell: Any) -> Any:
    config = cell.get_config()
    if isinstance(config.get("cells"), list):
        config["cells"] = [_cell_again(inner) for inner in cell.cells]
    return type(cell).from_config(config)
