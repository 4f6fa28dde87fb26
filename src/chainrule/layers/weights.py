"""The weights of a layer and of the layers inside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule import constraints, initializers, regularizers
from chainrule.dtypes import Array
from chainrule.errors import ArgumentError, NotBuiltError, ShapeError
from chainrule.graph import Value, Variable
from chainrule.graph.calls import Watched
from chainrule.layers import budget
from chainrule.layers.arguments import items
from chainrule.layers.found import Found

if TYPE_CHECKING:
    from chainrule.layers.base import Layer


class Weighted(Watched):
    """The half of `Layer` that holds weights."""

    name: str
    dtype: str
    built: bool
    _added: list[Variable]
    _multiplier: float
    _trainable: bool = True

    @property
    def label(self) -> str:
        """The layer as errors name it, e.g. ``layer 'hidden' (Dense, 8 units)``."""
        detail = self.detail()
        return f"layer {self.name!r} ({type(self).__name__}{', ' + detail if detail else ''})"

    def detail(self) -> str:
        """Return what tells this layer from others of its class, e.g. ``8 units``."""
        return ""

    def regularization(self) -> list[Value]:
        """Return what the weights add to the loss: the penalty of each that training moves and
        that has a regularizer."""
        return [v.regularizer(v.leaf) for v in self.trainable_variables if v.regularizer]

    def add_weight(
        self,
        shape: Sequence[int] | None = None,
        initializer: Any = None,
        dtype: str | None = None,
        trainable: bool = True,
        regularizer: Any = None,
        constraint: Any = None,
        name: str = "weight",
    ) -> Variable:
        """Return a new weight of this layer.

        Parameters
        ----------
        shape : sequence of int, optional
            By default that of a scalar.
        initializer : str, Initializer or callable, optional
            By default ``"glorot_uniform"``, and zeros for whole numbers and truths.
        dtype : str, optional
            By default the layer's.
        trainable : bool, default True
        regularizer : str, Regularizer or callable, optional
            Its penalty for the weight is added to the loss.
        constraint : str, Constraint or callable, optional
            Applied to the weight after each step of an optimizer.
        name : str, default "weight"
            Shown as ``layer.name``.

        Examples
        --------
        >>> from chainrule.layers import Layer
        >>> Layer().add_weight((2, 3), "ones", trainable=False).numpy().sum().item()
        6.0
        """
        kind = dtype or self.dtype
        sizes = self._sizes(name, (shape,) if isinstance(shape, int) else tuple(shape or ()))
        budget.spend(sizes, kind)
        default = "glorot_uniform" if np.dtype(kind).kind == "f" else "zeros"
        rule = initializers.get(default if initializer is None else initializer)
        first = budget.blank(sizes, kind) if budget.loading() else rule(sizes, kind)
        if np.shape(first) != sizes:
            raise ShapeError(
                f"the initializer of {name!r} in {self.label} returned the shape "
                f"{list(np.shape(first))}; expected {list(sizes)}"
            )
        variable = Variable(first, name=f"{self.name}.{name}", trainable=trainable, dtype=kind)
        variable.regularizer = regularizers.get(regularizer)
        variable.constraint = constraints.get(constraint)
        variable.rate_multiplier = self.learning_rate_multiplier
        self._added.append(variable)
        return variable

    def _sizes(self, name: str, shape: Sequence[Any]) -> tuple[int, ...]:
        """Return a checked shape."""
        if not all(isinstance(n, int | np.integer) and n >= 0 for n in shape):
            raise ShapeError(
                f"the weight {name!r} of {self.label} cannot have the shape {tuple(shape)}: "
                "sizes are whole numbers.\n"
                "  fix: make it of the axes behind the batch's, which is None in the input_shape "
                "that build is given"
            )
        return tuple(map(int, shape))

    @property
    def _own(self) -> list[Variable]:
        """The weights that were added, and variables set as attributes, also in lists and dicts;
        not those of layers inside, nor states that are carried on."""
        held = [v for v in vars(self).values() if isinstance(v, Variable | list | tuple | dict)]
        found = {id(v): v for v in items([self._added, held]) if isinstance(v, Variable)}
        if len(found) > len(self._added):
            others = [*self.carried(), *(v for x in self.sublayers() for v in x.variables)]
            for other in {id(v) for v in others} - {id(v) for v in self._added}:
                found.pop(other, None)
        return list(found.values())

    def sublayers(self) -> list[Layer]:
        """Return the layers held in attributes, also in lists and dicts, in the order assigned."""
        from chainrule.layers.base import Layer

        found: dict[int, Layer] = {}
        for value in vars(self).values():
            if not isinstance(value, Layer | list | tuple | dict):
                continue  # most attributes, and loops by hand come here in every step
            for item in items(value):
                if isinstance(item, Layer) and item is not self:
                    found.setdefault(id(item), item)
        return list(found.values())

    @property
    def trainable(self) -> bool:
        """Whether training moves the weights; set, it is set for the layers inside as well."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = bool(value)
        for layer in self.sublayers():
            layer.trainable = value

    @property
    def learning_rate_multiplier(self) -> float:
        """The share of the learning rate that the weights have; set it before `compile`."""
        return self._multiplier

    @learning_rate_multiplier.setter
    def learning_rate_multiplier(self, value: float) -> None:
        self._multiplier = multiplier(value)
        for variable in self._own:
            variable.rate_multiplier = self._multiplier
        for layer in self.sublayers():
            layer.learning_rate_multiplier = value

    @property
    def variables(self) -> list[Variable]:
        """All variables of this layer and those inside it, each once."""
        found = {id(v): v for v in self._own}
        for layer in self.sublayers():
            found.update({id(v): v for v in layer.variables})
        return list(found.values())

    weights = variables

    @property
    def trainable_variables(self) -> list[Variable]:
        """The variables that training moves."""
        known: Found | None = self.__dict__.get("_found")
        if known is None or not known.holds():
            moved = {id(v): v for v in self._own if v.trainable and self.trainable}
            for layer in self.sublayers() if self.trainable else ():
                moved.update({id(v): v for v in layer.trainable_variables})
            known = Found(self, list(moved.values()))
            self.__dict__["_found"] = known  # not a change that traces end at
        return [*known.variables]

    trainable_weights = trainable_variables

    @property
    def non_trainable_variables(self) -> list[Variable]:
        """The variables that training leaves alone."""
        moved = {id(v) for v in self.trainable_variables}
        return [v for v in self.variables if id(v) not in moved]

    non_trainable_weights = non_trainable_variables

    def goes_on(self) -> bool:
        """Return whether a state goes on from batch to batch here or in a layer inside."""
        return any(layer.goes_on() for layer in self.sublayers())

    def carried(self) -> list[Variable]:
        """Return the state that is carried from batch to batch and is no weight, also of the
        layers inside: that of `stateful` recurrent layers."""
        return [v for layer in self.sublayers() for v in layer.carried()]

    def reset_state(self) -> None:
        """Have states that go on from batch to batch, also of the layers inside, begin with zeros.

        Examples
        --------
        >>> import numpy as np
        >>> from chainrule.layers import GRU
        >>> layer = GRU(2, stateful=True)
        >>> first, second = layer(np.ones((1, 3, 1))).numpy(), layer(np.ones((1, 3, 1))).numpy()
        >>> layer.reset_state()
        >>> bool((layer(np.ones((1, 3, 1))).numpy() == first).all()), bool((second == first).all())
        (True, False)
        """
        for variable in self.carried():
            variable.assign(np.zeros(variable.shape))

    reset_states = reset_state

    def count_params(self) -> int:
        """Return the number of elements of all weights.

        Raises
        ------
        NotBuiltError
            Before the weights are made.
        """
        if not self.built:
            raise NotBuiltError(f"{self.label} has no weights yet: call it, or build(input_shape)")
        return sum(v.size for v in self.variables)

    def get_weights(self) -> list[Array]:
        """Return copies of the weights."""
        return [v.numpy() for v in self.variables]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Set all weights, in the order of `get_weights`.

        Raises
        ------
        ShapeError
            For another number of arrays, or one of another shape; nothing is changed then.
        """
        variables = self.variables
        arrays = [np.asarray(w) for w in weights]
        if len(arrays) != len(variables):
            raise ShapeError(f"{self.label} has {len(variables)} weights, not {len(arrays)}")
        for v, a in zip(variables, arrays, strict=True):
            if v.shape != a.shape:
                raise ShapeError(
                    f"weight {v.name!r} has shape {list(v.shape)}, not {list(a.shape)}"
                )
        for v, a in zip(variables, arrays, strict=True):
            v.assign(a)


def multiplier(value: Any) -> float:
    """Return a checked share of the learning rate."""
    if not isinstance(value, int | float | np.number) or not 0.0 <= value < float("inf"):
        raise ArgumentError(f"a learning_rate_multiplier is at least 0, not {value!r}")
    return float(value)
