"""The check of initial weights, for those who ask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chainrule.errors import NotBuiltError
from chainrule.models.prepared import whole
from chainrule.training.initialization import ROWS, Initialization, inspect, rows_of

if TYPE_CHECKING:
    from chainrule.models.model import Model


def check_initialization(model: Model, x: Any, y: Any, *, samples: int = ROWS) -> Initialization:
    """``std_n(y_l) / std_n(y_(l-1))``: where activations or gradients leave the healthy range.

    Runs one step of training over some of the samples and stores nothing of it; the model stays
    as it is. `fit` does the same before the first step of a model, where the weights alone look
    unusual, and warns with an `InitializationWarning`, which
    ``warnings.filterwarnings("ignore", category=InitializationWarning)`` turns off.

    Shapes
    ------
    x : [n, *s], y : [n] or [n, *t]

    Parameters
    ----------
    model : Model
        Compiled; one that has no weights yet gets them.
    x, y
        As in `fit`.
    samples : int, default 64
        At least 2: how many samples are looked at, from all over the data.

    Returns
    -------
    Initialization
        A row for each layer, and findings with evidence and remedy. At fault are: units that are
        alike or get no gradient for any sample; hidden tanh or sigmoid outputs of which more than
        half are within 1 % of their limits; outputs whose standard deviation over the samples is
        1000 times, or less than 1/10,000 of, the first layer's; a gradient of the loss by a
        layer's outputs with 1000 times, or less than 1/10,000 of, the norm of the last layer's.

    Raises
    ------
    DataError, ShapeError, NotBuiltError
        As `fit`.

    Examples
    --------
    >>> import chainrule
    >>> from chainrule.datasets import digits
    >>> from chainrule.layers import Dense, Flatten
    >>> (x, y), _ = digits.load_data()
    >>> deep = [Dense(32, "sigmoid", name=f"s{i}") for i in range(10)]
    >>> model = chainrule.Sequential([Flatten(input_shape=(28, 28)), *deep, Dense(10, "softmax")])
    >>> model.compile("sgd", "sparse_categorical_crossentropy")
    >>> result = chainrule.check_initialization(model, x / 255, y)
    >>> result.healthy, result.findings[-1].kind, result.findings[-1].layer
    (False, 'vanishing_gradient', 's0')

    Source
    ------
    Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks",
    AISTATS 2010, section 4.2; He et al., "Delving Deep into Rectifiers", arXiv 1502.01852, section
    2.2. Both say that variances should stay; the limits of how far they may stray are chainrule's,
    set where the usual initializers and activations pass.
    """
    trainer = model._compiled_trainer("check_initialization")
    if trainer.optimizer is None:
        raise NotBuiltError("the model has no optimizer: call compile(optimizer=..., loss=...)")
    batches = model._collect_targets("check_initialization", x, y)
    rows = rows_of(len(batches), whole("samples", samples, 2))
    model._build_for(batches.x)
    return inspect(trainer, batches, rows)
