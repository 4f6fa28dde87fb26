"""Faults in how a network is moved: rates, batches, penalties, and what it has room for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from chainrule import constraints, regularizers

from . import edits, own
from .bases import adam, base, dense, sgd
from .plan import Part, Plan, part, planted


def steps() -> Iterator[Plan]:
    """Yield all runs of this family."""
    yield from _too_high()
    yield from _too_low()
    yield from _not_decreasing()
    yield from _stuck()
    yield from _oscillating()
    yield from _overfitting()
    yield from _underfitting()
    yield from _small_batches()
    yield from _dropped()
    yield from _regularized()


def _too_high() -> Iterator[Plan]:
    for short, optimizer in (
        ("digits", sgd(20.0)), ("digits", sgd(5.0)), ("digits", adam(1.0)), ("deep", sgd(3.0)),
        ("tanh", sgd(5.0, 0.9)), ("blobs", sgd(10.0)), ("blobs", adam(2.0)),
        ("credit", part("RMSprop", learning_rate=1.0)), ("friedman", sgd(1.0)),
        ("friedman", adam(0.5)), ("waves", sgd(3.0)), ("products", sgd(2.0)), ("images", adam(0.5)),
        ("bars", sgd(2.0, 0.9)), ("tones", adam(1.0)), ("spoken", sgd(50.0)), ("rnn", adam(0.5)),
        ("sums", adam(1.0)), ("words", adam(3.0)),
    ):  # fmt: skip
        healthy = base(short)
        yield planted("learning_rate_too_high", healthy, _rate(optimizer),
                      healthy.but(optimizer=optimizer))  # fmt: skip


def _rate(optimizer: Part) -> str:
    momentum = optimizer.options.get("momentum")
    rate = f"{optimizer.kind} {optimizer.options['learning_rate']:g}"
    return f"{rate}, momentum {momentum:g}" if momentum else rate


def _too_low() -> Iterator[Plan]:
    for short, optimizer in (
        ("digits", sgd(1e-7)), ("digits", sgd(1e-5)), ("digits", adam(1e-6)), ("deep", sgd(1e-5)),
        ("tanh", sgd(1e-6, 0.9)), ("blobs", sgd(1e-5)), ("blobs", adam(1e-6)),
        ("credit", adam(1e-6)), ("friedman", sgd(1e-6)), ("friedman", adam(1e-6)),
        ("waves", sgd(1e-5)), ("images", adam(1e-6)), ("images", sgd(1e-5)),
        ("bars", sgd(1e-6, 0.9)), ("tones", adam(3e-7)), ("spoken", sgd(1e-4)),
        ("sums", adam(1e-6)), ("words", adam(1e-6)),
    ):  # fmt: skip
        healthy = base(short)
        yield planted("learning_rate_too_low", healthy, _rate(optimizer),
                      healthy.but(optimizer=optimizer))  # fmt: skip


def _not_decreasing() -> Iterator[Plan]:
    """Nothing learnt, for reasons that have no other name here."""
    kind = "loss_not_decreasing"
    for short in ("digits", "friedman", "tones", "words"):
        healthy = base(short)
        sick = healthy.edit(edits.nothing)
        yield planted(kind, healthy, "all inputs 0", sick, (), ("constant_feature",))
    for short in ("credit", "spoken"):
        healthy = base(short)
        sick = healthy.edit(edits.one_row)
        strength = "the first row again and again"
        yield planted(kind, healthy, strength, sick, (), ("constant_feature",))
    for short in ("digits", "blobs", "waves", "tones", "credit"):
        healthy = base(short)
        small = constraints.MaxNorm(1e-3)
        sick = healthy.layer("out", kernel_constraint=small, bias_constraint=small)
        for name in (p.name for p in healthy.parts[:-1] if "activation" in p.options):
            sick = sick.layer(name, trainable=False)  # else it makes up for that, at high rates
        yield planted(kind, healthy, "only the last layer moves, and a constraint holds it", sick)
    for short, behind in (
        ("digits", "h1"), ("friedman", "h2"), ("images", "flat"), ("words", "h1"), ("credit", "h2"),
    ):  # fmt: skip
        healthy = base(short)
        sick = healthy.after(behind, Part(own.Stopped, {"name": "stop"}))
        sick = sick.layer("out", trainable=False)
        yield planted(kind, healthy, f"gradient stopped behind {behind}, out frozen", sick)


def _low_rank(rank: int, depth: int, off: float, seed: int) -> Any:
    """Return kernels [4, 4] of a linear network that has learnt `rank` of four directions."""
    from .data import load

    data = load("products")
    u, s, v = np.linalg.svd(data.x.T.astype("float64") @ data.y / len(data.x))
    random = np.random.default_rng(seed)
    root = np.diag(np.where(np.arange(4) < rank, s, 0.0) ** (1 / depth))
    kernels = [u @ root, *(root for _ in range(depth - 2)), root @ v]
    return [w + off * random.standard_normal((4, 4)) for w in kernels]


def _stuck() -> Iterator[Plan]:
    """A linear network that has learnt some directions, and of the others nothing: with two layers
    a saddle point, with more a plateau, where the curvature is 0 too (Saxe, McClelland and Ganguli,
    "Exact solutions to the nonlinear dynamics of learning", arXiv 1312.6120)."""
    healthy = base("products")
    for i, (rank, off, rate) in enumerate(
        ((1, 1e-5, 0.02), (2, 1e-5, 0.02), (2, 1e-6, 0.03), (1, 1e-7, 0.05), (2, 1e-7, 0.01),
         (1, 1e-6, 0.03), (2, 1e-8, 0.05), (1, 1e-8, 0.1))
    ):  # fmt: skip
        kernels = _low_rank(rank, 2, off, i)
        sick = _linear(healthy, kernels).but(optimizer=sgd(rate))
        strength = f"{rank} of 4 directions learnt, {off:g} beside a saddle, SGD {rate:g}"
        yield planted("saddle_point", healthy, strength, sick)
    for i, (rank, depth, off, rate) in enumerate(
        ((1, 3, 1e-3, 0.02), (2, 3, 1e-3, 0.02), (2, 3, 3e-4, 0.05), (1, 4, 1e-2, 0.02),
         (2, 4, 3e-3, 0.05), (1, 5, 1e-2, 0.02), (2, 5, 1e-2, 0.03), (1, 4, 1e-3, 0.03))
    ):  # fmt: skip
        kernels = _low_rank(rank, depth, off, i)
        sick = _linear(healthy, kernels).but(optimizer=sgd(rate))
        strength = f"{depth} layers, {rank} of 4 directions learnt, {off:g} beside, SGD {rate:g}"
        yield planted("plateau", healthy, strength, sick, also=("saddle_point",))


def _linear(healthy: Plan, kernels: list[Any]) -> Plan:
    names = [f"h{i}" for i in range(1, len(kernels))] + ["out"]
    parts = [
        dense(name, 4, None, kernel_initializer=own.Given(kernel), use_bias=False)
        for name, kernel in zip(names, kernels, strict=True)
    ]
    return healthy.but(parts=tuple(parts), epochs=6)


def _oscillating() -> Iterator[Plan]:
    kind = "oscillation"
    for short, loss, optimizer, batch in (
        ("friedman", "mae", sgd(1.0), 500), ("friedman", "mae", sgd(0.6), 500),
        ("waves", "mae", sgd(1.0), 325), ("waves", "mae", sgd(0.8), 650),
        ("waves", "mse", sgd(0.3), 325), ("waves", "mse", sgd(0.1, 0.99), 325),
        ("products", "mse", sgd(0.15, 0.99), 500), ("products", "mse", sgd(0.1, 0.99), 250),
        ("blobs", None, sgd(0.3, 0.99), 375), ("friedman", "mse", sgd(0.13, 0.99), 375),
        ("products", "mae", part("Lion", learning_rate=0.2), 250), ("sums", "mae", sgd(0.5), 300),
    ):  # fmt: skip
        healthy = base(short)
        sick = healthy.but(loss=loss or healthy.loss, optimizer=optimizer, batch_size=batch)
        strength = f"{loss or 'crossentropy'}, {_rate(optimizer)}, batches of {batch}"
        yield planted(kind, healthy, strength, sick.but(epochs=40), (), ("learning_rate_too_high",))
    for short, epochs in (("spoken", 12), ("rnn", 16)):
        healthy = base(short)
        sick = healthy.edit(edits.sorted_by_target).but(fit={"shuffle": False}, epochs=epochs)
        yield planted(kind, healthy, "sorted by class and not shuffled", sick, (),
                      ("learning_rate_too_high", "loss_not_decreasing"))  # fmt: skip


def _overfitting() -> Iterator[Plan]:
    for short, rows, units, epochs in (
        ("digits", 60, 256, 60), ("digits", 200, 512, 60), ("digits", 400, 128, 60),
        ("blobs", 50, 128, 150), ("blobs", 120, 256, 100), ("credit", 60, 128, 150),
        ("credit", 200, 256, 100), ("friedman", 50, 256, 200), ("friedman", 120, 512, 200),
        ("words", 300, 64, 60),
    ):  # fmt: skip
        healthy = base(short)
        sick = healthy.layer("h1", units=units).edit(edits.first(rows))
        sick = sick.but(epochs=epochs, validation=True)
        yield planted("overfitting", healthy, f"{rows} rows, {units} units, {epochs} epochs", sick)
    for short, rows, epochs in (("spoken", 80, 60), ("images", 80, 80), ("sentences", 400, 25)):
        healthy = base(short)
        sick = healthy.edit(edits.first(rows)).but(epochs=epochs, validation=True)
        yield planted("overfitting", healthy, f"{rows} rows, {epochs} epochs", sick)


def _underfitting() -> Iterator[Plan]:
    kind = "underfitting"
    for short, units, epochs in (("digits", 1, 12), ("digits", 2, 10), ("blobs", 1, 30)):
        healthy = base(short)
        sick = healthy.layer("h1", units=units).but(epochs=epochs, validation=True)
        yield planted(kind, healthy, f"{units} units", sick)
    for short, epochs in (("spirals", 40), ("credit", 30), ("waves", 40), ("friedman", 30)):
        healthy = base(short)
        sick = healthy.but(parts=healthy.parts[-1:], epochs=epochs, validation=True)
        yield planted(kind, healthy, "no hidden layer", sick)
    for short, units, epochs in (("images", 1, 15), ("tones", 1, 25)):
        healthy = base(short)
        sick = healthy.layer("c1", filters=units).layer("c2", filters=units)
        yield planted(kind, healthy, f"{units} filter", sick.but(epochs=epochs, validation=True))
    for short, units, epochs in (("spoken", 1, 15), ("rnn", 1, 15)):
        healthy = base(short)
        sick = healthy.layer("r1", units=units).but(epochs=epochs, validation=True)
        yield planted(kind, healthy, f"{units} recurrent unit", sick)


def _small_batches() -> Iterator[Plan]:
    for short, behind, size, rows in (
        ("digits", "h1", 1, 800), ("digits", "h1", 2, 1200), ("blobs", "h1", 1, 800),
        ("blobs", "h2", 2, 1200), ("credit", "h1", 1, 800), ("friedman", "h1", 2, 1000),
        ("friedman", "h2", 1, 800), ("tones", "mean", 1, 600), ("tones", "mean", 2, 800),
        ("waves", "h1", 3, 1200),
    ):  # fmt: skip
        healthy = base(short)
        norm = part("BatchNormalization", "norm")
        sick = healthy.after(behind, norm).but(batch_size=size).edit(edits.first(rows))
        strength = f"batches of {size} for the normalization behind {behind}"
        yield planted("batch_too_small", healthy, strength, sick, ("norm",))


def _dropped() -> Iterator[Plan]:
    for short, behind, rate in (
        ("digits", "h1", 0.97), ("digits", "flat", 0.98), ("deep", "h0", 0.95),
        ("deep", "h4", 0.96),
        ("blobs", "h1", 0.95), ("blobs", "h2", 0.97), ("credit", "h1", 0.97),
        ("friedman", "h2", 0.95), ("images", "c2", 0.98), ("bars", "h1", 0.95),
        ("tones", "c2", 0.98),
        ("spoken", "r1", 0.95), ("words", "h1", 0.95),
    ):  # fmt: skip
        healthy = base(short)
        sick = healthy.after(behind, part("Dropout", "drop", rate=rate))
        strength = f"{rate:g} behind {behind}"
        yield planted("dropout_too_strong", healthy, strength, sick, ("drop",))
    for short, names, rate in (
        ("deep", ("h0", "h1", "h2", "h3"), 0.8),
        ("blobs", ("h1", "h2"), 0.9),
    ):
        sick = healthy = base(short)
        for name in names:
            sick = sick.after(name, part("Dropout", f"drop_{name}", rate=rate))
        layers = tuple(f"drop_{name}" for name in names)
        yield planted(
            "dropout_too_strong", healthy, f"{rate:g} in {len(names)} places", sick, layers
        )


def _regularized() -> Iterator[Plan]:
    kind = "regularization_too_strong"
    for short, layers, penalty in (
        ("digits", ("h1",), regularizers.L2(3.0)), ("digits", ("h1", "out"), regularizers.L2(0.3)),
        ("deep", ("h2",), regularizers.L2(1.0)), ("blobs", ("h1", "h2"), regularizers.L1(0.1)),
        ("blobs", ("out",), regularizers.L2(10.0)), ("credit", ("h1",), regularizers.L1(0.3)),
        ("friedman", ("h1",), regularizers.L2(5.0)), ("friedman", ("h2",), regularizers.L1(1.0)),
        ("images", ("c1", "c2"), regularizers.L2(1.0)), ("bars", ("h1",), regularizers.L2(2.0)),
        ("tones", ("c1",), regularizers.L1(0.2)), ("waves", ("h2",), regularizers.L2(1.0)),
    ):  # fmt: skip
        sick = healthy = base(short)
        for layer in layers:
            sick = sick.layer(layer, kernel_regularizer=penalty)
        amount = next(v for k, v in penalty.get_config().items() if v)
        strength = f"{type(penalty).__name__} of {float(amount):g} on {' and '.join(layers)}"
        yield planted(kind, healthy, strength, sick, layers)
    for short, decay in (("digits", 20.0), ("friedman", 30.0), ("tones", 20.0)):
        healthy = base(short)
        optimizer = part("AdamW", weight_decay=decay, **healthy.optimizer.options)
        sick = healthy.but(optimizer=optimizer)
        yield planted(kind, healthy, f"AdamW with weight decay {decay:g}", sick)
