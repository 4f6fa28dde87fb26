"""What is assigned to variables: at once, or in each step that the assignment is part of."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.errors import ShapeError
from chainrule.graph import scope
from chainrule.graph.primitive import registry
from chainrule.graph.value import Clock, Value, Variable, Writer, constant


def assign(variable: Variable, value: Any) -> None:
    """Store the value; see `Variable.assign`."""
    if not scope.within() and (scope.idle() or not isinstance(value, Value)):
        variable.settle()
        variable.value[...] = _checked(variable, np.asarray(value))
        Clock.changed(Writer((variable,)))
        return
    given = scope.current(value) if isinstance(value, Variable) else value
    given = given if isinstance(given, Value) else constant(given, variable.dtype)
    if given.dtype != variable.dtype:
        given = registry()["cast"](given, dtype=variable.dtype)
    scope.record(variable, _checked(variable, given))


def _checked(variable: Variable, value: Any) -> Any:
    if value.shape != variable.shape:
        raise ShapeError(
            f"variable {variable.name!r} has shape {list(variable.shape)}; "
            f"it cannot take a value of shape {list(value.shape)}"
        )
    return value
