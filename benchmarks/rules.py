"""The optimizers that are timed: what each is called here and in PyTorch, with the same numbers."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .networks import DIGITS
from .rows import Row, Task, task

SMALL, LARGE = "784-128-10 x128", "10 million weights"
SIZES = (SMALL, LARGE)
SHAPE = (2500, 4000)  # of the large weight
_TINY = {"epsilon": 1e-30}  # PyTorch adds it elsewhere
_EPS = {"eps": 1e-30}
_NETWORK = Row(DIGITS, 128, must=1, aim=1)
_STEPS = 32

Options = dict[str, Any]


@dataclass(frozen=True)
class Rule:
    """An optimizer with its arguments: of chainrule, and of PyTorch or of what is written for it.

    `least` counts the arrays of the weight's size that any program must read or write for a step;
    `apart` says how far the weights of the two may be from each other after the steps compared,
    beside the largest weight.
    """

    title: str
    name: str
    least: int
    ours: Options = field(default_factory=dict)
    torch: str = ""
    theirs: Options = field(default_factory=dict)
    rate: float = 1e-3
    fused: bool = False
    note: str = ""
    apart: float = 1e-4


RULES = (
    Rule("SGD", "SGD", 3, torch="SGD", fused=True),
    Rule("SGD momentum", "SGD", 5, {"momentum": 0.9}, "SGD", {"momentum": 0.9}, fused=True),
    Rule(
        "SGD Nesterov", "SGD", 5, {"momentum": 0.9, "nesterov": True},
        "SGD", {"momentum": 0.9, "nesterov": True}, fused=True,
    ),
    Rule("Adagrad", "Adagrad", 5, _TINY, "Adagrad", {"initial_accumulator_value": 0.1, **_EPS},
         fused=True),
    Rule("Adadelta", "Adadelta", 7, {"rho": 0.9, "epsilon": 1e-6}, "Adadelta"),
    Rule("RMSprop", "RMSprop", 5, _TINY, "RMSprop", {"alpha": 0.9, **_EPS}),
    Rule("RMSprop centered", "RMSprop", 7, {"centered": True, "epsilon": 1e-7}, "RMSprop",
         {"alpha": 0.9, "centered": True, "eps": 3e-4}, note="epsilon beside, not under the root",
         apart=0.1),
    Rule("Adam", "Adam", 7, _TINY, "Adam", _EPS, fused=True),
    Rule("AMSGrad", "Adam", 9, {"amsgrad": True, **_TINY}, "Adam", {"amsgrad": True, **_EPS},
         fused=True),
    Rule("AdamW", "AdamW", 7, {"weight_decay": 0.01, **_TINY}, "AdamW",
         {"weight_decay": 0.01, **_EPS}, fused=True),
    Rule("Adamax", "Adamax", 7, _TINY, "Adamax", _EPS),
    Rule("Nadam", "Nadam", 7, {"epsilon": 1e-8}, "NAdam", {"momentum_decay": 1.0}),
    Rule("Lion", "Lion", 5, {}, "Lion", note="foreach, written for this table"),
    Rule("Adafactor", "Adafactor", 6, {}, "Adafactor"),
    Rule("Rprop", "Rprop", 7, {}, "Rprop"),
    Rule("LAMB", "Lamb", 10, {"epsilon": 1e-7}, "Lamb", note="foreach, written for this table"),
    Rule(
        "L-BFGS", "LBFGS", 0,
        {"max_iter": 5, "history_size": 10, "tolerance_grad": 0.0, "tolerance_change": 0.0},
        "LBFGS",
        {"max_iter": 5, "history_size": 10, "tolerance_grad": 0.0, "tolerance_change": 0.0,
         "line_search_fn": "strong_wolfe"},
        rate=1.0, note="5 iterations a step, with their evaluations", apart=0.02,
    ),
)  # fmt: skip


def by_title(title: str) -> Rule:
    """The rule called so."""
    return next(rule for rule in RULES if rule.title == title)


def network_task(rule: Rule) -> Task:
    """The batches of the small network; of L-BFGS a single one, which is all samples."""
    return task(_NETWORK, 1 if rule.name == "LBFGS" else _STEPS)


def large_weight() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The large weight and its gradient, which is the same at each step."""
    random = np.random.Generator(np.random.Philox(11))
    weight = random.standard_normal(SHAPE, dtype=np.float32)
    return weight, random.standard_normal(SHAPE, dtype=np.float32)


def samples(arrays: Iterator[NDArray[np.float32]], most: int = 2000) -> list[float]:
    """Some elements of the weights, from all over them, to be compared."""
    flat = np.concatenate([np.ravel(array) for array in arrays])
    chosen: list[float] = flat[:: max(1, len(flat) // most)].astype(float).tolist()
    return chosen
