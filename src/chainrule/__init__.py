"""chainrule: neural networks trained by back-propagation, fast on the machine you have.

The parts are imported when they are first used, so that ``import chainrule`` stays quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from chainrule.dtypes import Array
from chainrule.graph import Value, Variable

__version__ = "0.1.0"
__all__ = ["Value", "Variable"]

_MODULES = (
    "activations", "callbacks", "constraints", "data", "datasets", "dtypes", "errors",
    "executors", "graph", "initializers", "insight", "interop", "layers", "losses", "metrics",
    "models", "ops", "optimizers", "plan", "preprocessing", "regularizers", "saving", "seeding",
    "training", "tuning", "utils",
)  # fmt: skip
_NAMES = {
    "GradientTape": "chainrule.training.tape",
    "Input": "chainrule.layers",
    "Model": "chainrule.models",
    "Sequential": "chainrule.models",
    "load_model": "chainrule.models",
    "check_gradients": "chainrule.insight",
    "check_initialization": "chainrule.tuning",
    "diagnose": "chainrule.insight",
    "explain": "chainrule.insight",
    "find_batch_size": "chainrule.tuning",
    "find_learning_rate": "chainrule.tuning",
    "ChainruleError": "chainrule.errors",
    "set_num_threads": "chainrule.executors",
    "num_threads": "chainrule.executors",
}


def _evaluate(*arguments: Any) -> list[Array]:
    """Run a graph by the executors, which are loaded when a value is first asked for."""
    from chainrule.executors.kept import evaluate

    Value.evaluate = evaluate
    return evaluate(*arguments)


Value.evaluate = _evaluate

if TYPE_CHECKING:
    from chainrule.errors import ChainruleError as ChainruleError
    from chainrule.executors import num_threads as num_threads
    from chainrule.executors import set_num_threads as set_num_threads
    from chainrule.insight import check_gradients as check_gradients
    from chainrule.insight import diagnose as diagnose
    from chainrule.insight import explain as explain
    from chainrule.layers import Input as Input
    from chainrule.models import Model as Model
    from chainrule.models import Sequential as Sequential
    from chainrule.models import load_model as load_model
    from chainrule.training.tape import GradientTape as GradientTape
    from chainrule.tuning import check_initialization as check_initialization
    from chainrule.tuning import find_batch_size as find_batch_size
    from chainrule.tuning import find_learning_rate as find_learning_rate


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"chainrule.{name}")
    if name in _NAMES:
        found = globals()[name] = getattr(importlib.import_module(_NAMES[name]), name)
        return found
    raise AttributeError(f"module 'chainrule' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES, *_NAMES})
