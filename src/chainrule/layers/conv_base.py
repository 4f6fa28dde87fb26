"""What convolution layers share: arguments, rules for their weights, shapes, bias, activation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from chainrule import activations, constraints, initializers, ops, regularizers
from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph import Value, Variable, scope
from chainrule.layers.base import Layer, Shape
from chainrule.ops import space
from chainrule.ops.conv import out_space
from chainrule.ops.convolutions import Many, pads, require_room

__all__ = ["Many", "_Convolving", "at_least_one", "told"]


def at_least_one(name: str, value: Any) -> int:
    """Return a checked count."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ArgumentError(f"{name} is {value!r}; expected an integer of at least 1")
    return value


def told(filters: int, kernel_size: Sequence[int]) -> str:
    """Return the number and size of filters, ``8 filters of 3 x 3``."""
    return f"{filters} filter{'s' if filters != 1 else ''} of {space.times(kernel_size)}"


class _Convolving(Layer):
    """A layer that runs kernels over axes of space; subclasses write `_make` and `_convolved`."""

    rank = 2
    together = False  # whether strides and dilation may both be above 1
    causal = False

    def __init__(
        self,
        kernel_size: Many,
        strides: Many = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Many = 1,
        activation: str | Callable[[Any], Any] | None = None,
        use_bias: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.kernel_size = space.numbers(kernel_size, self.rank, "kernel_size")
        self.strides = space.numbers(strides, self.rank, "strides")
        self.padding = space.checked_padding(padding, causal=self.causal)
        self.data_format = space.checked_format(data_format)
        self.dilation_rate = space.numbers(dilation_rate, self.rank, "dilation_rate")
        if max(self.strides) > 1 and max(self.dilation_rate) > 1 and not self.together:
            raise ArgumentError(
                f"strides is {self.strides} and dilation_rate {self.dilation_rate}: only one of "
                "them may be above 1\n"
                "  fix: call chainrule.ops.conv, which takes both, in a layer of your own"
            )
        self.activation = activations.get(activation)
        self.use_bias = bool(use_bias)
        self.bias: Variable | None = None
        self._rules: tuple[str, ...] = ()
        self._channels = 0

    def _rule(self, weight: str, initializer: Any, regularizer: Any, constraint: Any) -> None:
        """Note how a weight begins, what it adds to the loss and what it is held to."""
        setattr(self, f"{weight}_initializer", initializers.get(initializer))
        setattr(self, f"{weight}_regularizer", regularizers.get(regularizer))
        setattr(self, f"{weight}_constraint", constraints.get(constraint))
        self._rules = (*self._rules, weight)

    def _weight(self, rules: str, shape: Sequence[int], name: str | None = None) -> Variable:
        """Return a new weight that follows the rules noted under a name."""
        return self.add_weight(
            shape,
            getattr(self, f"{rules}_initializer"),
            name=name or rules,
            regularizer=getattr(self, f"{rules}_regularizer"),
            constraint=getattr(self, f"{rules}_constraint"),
        )

    # What a subclass writes.

    def _make(self, channels: int) -> int:
        """Make the kernels; return the number of channels put out."""
        raise NotImplementedError

    def _convolved(self, x: Value) -> Value:
        """Return the convolution of x, whose channels stand last."""
        raise NotImplementedError

    def _space(self, size: tuple[int, ...]) -> tuple[int, ...]:
        """Return the sizes of the output for those of the input."""
        form = (size, self.kernel_size, self.strides)
        padding = pads(self.padding, *form, self.dilation_rate)
        return out_space(*form, padding, self.dilation_rate)

    def _require_room(self, size: Any) -> None:
        require_room(size, self.kernel_size, self.dilation_rate, self.padding)

    # What they share.

    def build(self, input_shape: Shape) -> None:
        """Make the kernels and the bias."""
        shape = self._checked(input_shape)
        if not shape[-1]:
            raise ShapeError(f"the number of channels must be known, but x has {shape[-1]}")
        outputs = self._make(shape[-1])
        self._channels, self._outputs = shape[-1], outputs
        if self.use_bias:
            self.bias = self._weight("bias", (outputs,))

    def call(self, x: Value, training: bool = False) -> Value:
        """Return the activation of the convolution and the bias."""
        self._checked(x.shape)
        y = self._convolved(space.channels_last(x, self.data_format))
        y = y if self.bias is None else ops.add(y, self.bias)
        result: Value = self.activation(space.channels_back(y, self.data_format))
        return result

    def _checked(self, given: Shape) -> tuple[Any, ...]:
        """Return the shape with the channels last, once it is one that the layer takes."""
        if len(given) != self.rank + 2:
            raise ShapeError(self._wrong_rank(given))
        shape = space.shape_last(given, self.data_format)
        if self.built and shape[-1] != self._channels:
            kernel = self._own[0]
            raise ShapeError(
                f"x has {shape[-1]} channels, but the layer was built for {self._channels}.\n"
                f"  x      : {space.named(shape)}\n"
                f"  kernel : {list(kernel.shape)}   {kernel.name!r}\n"
                f"  fix    : {self._other_channels(given)}"
            )
        self._require_room(shape[1:-1])
        return shape

    def _other_channels(self, given: Shape) -> str:
        """Return what mends data of other channels than the layer was built for."""
        first = self.data_format == space.FIRST
        if given[-1 if first else 1] == self._channels:
            here, there, move = ("last", "first", "-1, 1") if first else ("first", "last", "1, -1")
            return f"the channels of x stand {here}, not {there}: np.moveaxis(x, {move})"
        many = "" if self._channels == 1 else "s"
        return (
            f"pass x with {self._channels} channel{many}, or build the model with "
            f"Input({tuple(given[1:])})"
        )

    def _wrong_rank(self, given: Shape) -> str:
        axes = space.shape_back(("n", *space.LETTERS[self.rank], "c"), self.data_format)[1:]
        text = f"a sample has shape {list(given[1:])}; expected [{', '.join(axes)}]"
        if len(given) != self.rank + 1:
            return text
        first = self.data_format == space.FIRST
        if self.built and given[0 if first else -1] == self._channels:
            return f"{text}\n  fix: give one sample alone the axis of a batch: x[None]"
        sample = (1, *given[1:]) if first else (*given[1:], 1)
        return (
            f"{text}\n  fix: give the data an axis for their one channel: "
            f"x{'[:, None]' if first else '[..., None]'}, and Input({sample})"
        )

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the output; sizes that are None stay so."""
        self.build_for(input_shape)
        with scope.blame(self.label):
            shape = self._checked(tuple(input_shape))
        known = self._space(tuple(n or 1 for n in shape[1:-1]))
        size = (None if n is None else m for n, m in zip(shape[1:-1], known, strict=True))
        return space.shape_back((shape[0], *size, self._outputs), self.data_format)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        config = {
            **super().get_config(),
            "kernel_size": list(self.kernel_size),
            "strides": list(self.strides),
            "padding": self.padding,
            "data_format": self.data_format,
            "dilation_rate": list(self.dilation_rate),
            "activation": activations.serialize(self.activation),
            "use_bias": self.use_bias,
        }
        kinds = {
            "initializer": initializers.serialize,
            "regularizer": regularizers.serialize,
            "constraint": constraints.serialize,
        }
        for weight in self._rules:
            for kind, serialize in kinds.items():
                config[f"{weight}_{kind}"] = serialize(getattr(self, f"{weight}_{kind}"))
        return config
