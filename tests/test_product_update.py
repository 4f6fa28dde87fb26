"""A large kernel is updated while its gradient is computed, and nothing else changes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chainrule import optimizers
from chainrule.callbacks import LayerStatistics
from chainrule.executors import set_num_threads
from chainrule.layers import Activation, Dense, Input
from chainrule.models import Sequential
from chainrule.utils import set_random_seed
from plans import calls, plan_of

COLUMNS = 144  # of a kernel of 1.2 MB
TOGETHER = "product_adam_update"


def made(
    optimizer: Any = "adam", columns: int = COLUMNS, recompute: bool = False, **options: Any
) -> Sequential:
    set_random_seed(2)
    first = [Dense(2055, recompute=recompute), Activation("gelu"), Activation("tanh")]
    model = Sequential([Input((20,)), *first, Dense(columns, "tanh", name="wide"), Dense(3)])
    model.compile(optimizer, "mse", **options)
    return model


def bits(model: Sequential, batch: int, **options: Any) -> bytes:
    rng = np.random.default_rng(batch)
    x, y = rng.standard_normal((3 * batch + 1, 20)), rng.standard_normal((3 * batch + 1, 3))
    model.fit(x, y, batch_size=batch, epochs=2, verbose=0, **options)
    return b"".join(w.tobytes() for w in model.get_weights())


def update_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every kernel be updated after its gradient."""
    monkeypatch.setattr("chainrule.plan.build.update_within_product", lambda values: values)


@pytest.mark.parametrize(("batch", "together"), [(1, 0), (2, 1), (31, 1), (128, 1), (129, 0)])
def test_same_bits_as_one_after_the_other(
    batch: int, together: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = set()
    for threads in (1, 2, 3):
        set_num_threads(threads)
        model = made()
        found.add(bits(model, batch))
        assert calls(plan_of(model)).count(TOGETHER) == together
    update_apart(monkeypatch)
    apart = made()
    assert {bits(apart, batch)} == found
    assert TOGETHER not in calls(plan_of(apart))


@pytest.mark.parametrize(
    ("optimizer", "together"),
    [
        (optimizers.AdamW(0.01), 1),
        (optimizers.Adam(weight_decay=0.1, use_ema=True), 1),
        (optimizers.Adam(loss_scale_factor=8.0), 1),
        (optimizers.Adam(global_clipnorm=1.0), 0),  # the length reads the whole gradient
        (optimizers.Adam(amsgrad=True), 0),
        (optimizers.SGD(0.1), 0),
    ],
)
def test_where_nothing_else_reads_the_gradient(
    optimizer: Any, together: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = optimizer.get_config()
    model = made(optimizer)
    found = bits(model, 16)
    assert calls(plan_of(model)).count(TOGETHER) == together
    update_apart(monkeypatch)
    assert bits(made(type(optimizer).from_config(config)), 16) == found


@pytest.mark.parametrize("columns", [COLUMNS + 8, 1040])
def test_columns_that_would_not_gain(columns: int) -> None:
    model = made(columns=columns)
    bits(model, 16)
    assert TOGETHER not in calls(plan_of(model))


def test_statistics_still_see_the_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    def measured(every: int | str) -> tuple[bytes, LayerStatistics]:
        model, seen = made(), LayerStatistics(every)
        return bits(model, 16, callbacks=[seen]), seen

    plain, (each, seen), (auto, _) = bits(made(), 16), measured(1), measured("auto")
    assert plain == each == auto
    kernel = [w.name for w in seen.data.weights].index("wide.kernel")
    assert seen.data.gradient["norm"][:, kernel].min() > 0
    update_apart(monkeypatch)
    apart = measured(1)[1].data
    for table in ("gradient", "update", "weight"):
        assert getattr(seen.data, table).tobytes() == getattr(apart, table).tobytes()


@pytest.mark.parametrize("saved", [0, 60_000])
def test_beside_layers_that_are_recomputed(saved: int, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = made().memory(64).total - saved if saved else None
    model = made(recompute=not saved, memory_limit=limit)
    found = bits(model, 64)
    assert TOGETHER in calls(plan_of(model))
    update_apart(monkeypatch)
    assert bits(made(), 64) == found
