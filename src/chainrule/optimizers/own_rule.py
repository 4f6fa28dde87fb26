"""Rules in Keras's style: a subclass makes its slots in `build` and assigns in `update_step`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule import initializers, ops
from chainrule.dtypes import Array
from chainrule.errors import ArgumentError, GraphError, MissingMethodError
from chainrule.graph import Value, Variable, scope


class OwnRule:
    """The half of `Optimizer` that a subclass with an `update_step` of its own is written with."""

    def __init__(self) -> None:
        self.built = False
        self._slots: dict[int, tuple[Variable, list[Variable]]] = {}
        self._own: dict[str, Variable] = {}
        self._begun: dict[int, Array] = {}  # what each variable made here begins as
        self._asked: set[str] = set()

    def add_variable(
        self,
        shape: Sequence[int],
        initializer: Any = "zeros",
        dtype: str | None = None,
        name: str = "variable",
    ) -> Variable:
        """Return a variable of the optimizer's own, which is saved with it; asked for anew in a
        later `build`, it is the same one.

        Parameters
        ----------
        shape : sequence of int
        initializer : str, Initializer or callable, default "zeros"
        dtype : str, default "float32"
        name : str
            Shown in files.
        """
        name = self._unlike(name)
        if name not in self._own:
            start = np.asarray(initializers.get(initializer)(tuple(shape), dtype or "float32"))
            self._own[name] = self._made(name, start)
        return self._own[name]

    def add_variable_from_reference(
        self, reference_variable: Variable, name: str | None = None, initializer: Any = "zeros"
    ) -> Variable:
        """Return a slot: a variable of the shape and dtype of a weight, saved with the optimizer;
        asked for anew in a later `build`, it is the same one.

        Parameters
        ----------
        reference_variable : Variable
            One of the weights that `build` was given.
        name : str, default "slot"
            Shown in files, behind the name of the weight.
        initializer : str, Initializer or callable, default "zeros"

        Raises
        ------
        GraphError
            For a weight that ``super().build(variables)`` was not given before.

        Examples
        --------
        >>> from chainrule.optimizers import Optimizer
        >>> class Momentum(Optimizer):
        ...     def build(self, variables):
        ...         super().build(variables)
        ...         self.moves = [self.add_variable_from_reference(v, "move") for v in variables]
        ...
        ...     def update_step(self, gradient, variable, learning_rate):
        ...         move = self.moves[self._get_variable_index(variable)]
        ...         self.assign(move, 0.9 * move - learning_rate * gradient)
        ...         self.assign_add(variable, move)
        """
        slots = self._slots_of(reference_variable)
        asked = self._unlike(f"{reference_variable.name}/{name or 'slot'}", reference_variable)
        found = [slot for slot in slots if slot.name == asked]
        if not found:
            shape, dtype = reference_variable.shape, reference_variable.dtype
            start = np.asarray(initializers.get(initializer)(shape, dtype))
            found = [self._made(asked, start)]
            slots.append(found[0])
        return found[0]

    def _unlike(self, name: str, of: Variable | None = None) -> str:
        """Return the name, or the next one of its kind where this `build` has asked for it."""
        found, count = name, 1
        while f"{id(of)} {found}" in self._asked:
            found, count = f"{name}_{count}", count + 1
        self._asked.add(f"{id(of)} {found}")
        return found

    def _made(self, name: str, start: Array) -> Variable:
        made = Variable(start, name=name, trainable=False)
        self._begun[id(made)] = start
        return made

    def _slots_of(self, variable: Variable) -> list[Variable]:
        if id(variable) not in self._slots:
            raise GraphError(
                f"{type(self).__name__} was not built for the weight {variable.name!r}\n"
                "  fix: call super().build(variables) first in build; for a model whose layers "
                "were frozen or thawed since, compile with a new optimizer"
            )
        return self._slots[id(variable)][1]

    def _get_variable_index(self, variable: Variable) -> int:
        """Return the place of a weight among those that `build` was given."""
        self._slots_of(variable)
        return list(self._slots).index(id(variable))

    def assign(self, variable: Variable, value: Any) -> None:
        """Let the variable take a value, in each step."""
        variable.assign(value)

    def assign_add(self, variable: Variable, value: Any) -> None:
        """Add a value to the variable, in each step."""
        variable.assign_add(value)

    def assign_sub(self, variable: Variable, value: Any) -> None:
        """Take a value off the variable, in each step."""
        variable.assign_sub(value)

    def rule(self, w: Value, g: Value, rate: Value, *slots: Value) -> Sequence[Value]:
        """Return the new weight and the new slots; gradients are not modified."""
        raise MissingMethodError(f"{type(self).__name__} must define rule or update_step")

    def update_step(self, gradient: Value, variable: Variable, learning_rate: Value) -> None:
        """Assign what a step makes of a weight and its slots: by default what `rule` returns.

        Parameters
        ----------
        gradient : Value
            Of the weight's shape and dtype.
        variable : Variable
            The weight, to which weight decay was applied.
        learning_rate : Value
            A scalar of the weight's dtype.
        """
        slots = self._slots_of(variable)
        given = [scope.current(v) for v in (variable, *slots)]
        rate = ops.cast(learning_rate, variable.dtype)
        new = self.rule(given[0], ops.as_value(gradient), rate, *given[1:])
        if len(new) != len(slots) + 1:
            raise ArgumentError(
                f"the rule of {type(self).__name__} returned {len(new)} values for a weight and "
                f"{len(slots)} slots"
            )
        for slot, value in zip([variable, *slots], new, strict=True):
            slot.assign(value)
