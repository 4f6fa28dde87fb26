"""Faults in what goes through a network: its activations and its gradients."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from chainrule import initializers as init

from . import edits, own
from .bases import base, conv, sgd, stack
from .plan import Part, Plan, part, planted


def signals() -> Iterator[Plan]:
    """Yield all runs of this family."""
    yield from _vanishing()
    yield from _exploding()
    yield from _dead()
    yield from _saturated()
    yield from _symmetric()
    yield from _badly_scaled()
    yield from _not_finite()


def _replaced(plan: Plan, *parts: Part) -> Plan:
    """Return the plan with these layers between a `Flatten`, if there is one, and the last."""
    flat = [p for p in plan.parts if p.name == "flat"]
    return plan.but(parts=(*flat, *parts, plan.parts[-1]))


def _names(prefix: str, depth: int) -> tuple[str, ...]:
    return tuple(f"{prefix}{i}" for i in range(depth))


def _vanishing() -> Iterator[Plan]:
    kind = "vanishing_gradient"
    for short, depth, units, activation, optimizer in (
        ("digits", 7, 32, "sigmoid", sgd(0.1)),
        ("digits", 9, 64, "sigmoid", sgd(0.05, 0.9)),
        ("digits", 14, 24, "sigmoid", sgd(0.1)),
        ("blobs", 8, 32, "sigmoid", sgd(0.1)),
        ("blobs", 11, 24, "hard_sigmoid", sgd(0.05)),
        ("credit", 8, 24, "sigmoid", sgd(0.1)),
        ("credit", 12, 32, "sigmoid", sgd(0.05)),
        ("friedman", 9, 32, "sigmoid", sgd(0.05)),
        ("waves", 10, 16, "sigmoid", sgd(0.05, 0.9)),
        ("spirals", 9, 32, "sigmoid", sgd(0.2)),
    ):
        healthy = base(short)
        sick = _replaced(healthy, *stack("s", depth, units, activation)).but(optimizer=optimizer)
        # Anywhere in the nearer half: there nothing arrives.
        strength = f"{depth} layers of {activation}, {units} units"
        yield planted(kind, healthy, strength, sick, _names("s", depth // 2 + 1))
    for depth, filters in ((7, 8), (9, 6)):
        healthy = base("images")
        layers = [conv(f"c{i}", filters, activation="sigmoid") for i in range(depth)]
        sick = healthy.but(parts=(*layers, part("Flatten", "flat"), healthy.parts[-1]))
        sick = sick.but(optimizer=sgd(0.1), epochs=2)
        names = _names("c", depth // 2 + 1)
        yield planted(kind, healthy, f"{depth} sigmoid convolutions", sick, names)
    for short, depth in (("spoken", 6), ("sums", 7)):
        healthy = base(short)
        layers = [
            part("SimpleRNN", f"r{i}", units=16, activation="sigmoid", return_sequences=True)
            for i in range(depth)
        ]
        sick = _replaced(healthy, *layers[:-1], layers[-1].but(return_sequences=False))
        sick = sick.but(optimizer=sgd(0.1), epochs=3)
        strength = f"{depth} sigmoid recurrent layers"
        yield planted(kind, healthy, strength, sick, _names("r", depth // 2 + 1))


def _exploding() -> Iterator[Plan]:
    kind = "exploding_gradient"
    for short, depth, units, scale, activation in (
        ("digits", 5, 64, 60.0, "relu"),
        ("digits", 8, 48, 30.0, "relu"),
        ("digits", 12, 32, 12.0, "relu"),
        ("blobs", 6, 32, 40.0, "relu"),
        ("blobs", 9, 48, 20.0, "elu"),
        ("credit", 7, 32, 50.0, "relu"),
        ("friedman", 6, 32, 60.0, "leaky_relu"),
        ("friedman", 10, 24, 15.0, "relu"),
        ("waves", 8, 24, 25.0, "relu"),
    ):
        healthy = base(short)
        large = init.VarianceScaling(scale)
        layers = stack("h", depth, units, activation, kernel_initializer=large)
        sick = _replaced(healthy, *layers).but(optimizer=sgd(1e-3))
        strength = f"{depth} layers of {activation} with {scale:g} times the variance"
        yield planted(kind, healthy, strength, sick, _names("h", depth))
    for depth, scale in ((5, 60.0), (7, 30.0)):
        healthy = base("images")
        large = init.VarianceScaling(scale)
        layers = [conv(f"c{i}", 8, kernel_initializer=large) for i in range(depth)]
        sick = healthy.but(parts=(*layers, part("Flatten", "flat"), healthy.parts[-1]))
        sick = sick.but(optimizer=sgd(1e-3), epochs=2)
        strength = f"{depth} convolutions with {scale:g} times the variance"
        yield planted(kind, healthy, strength, sick, _names("c", depth))
    for short, gain in (("spoken", 1.6), ("sums", 2.5), ("rnn", 2.0)):
        healthy = base(short)
        wild = part("SimpleRNN", "r1", units=24, activation="linear",
                    recurrent_initializer=init.Orthogonal(gain))  # fmt: skip
        masked = [p for p in healthy.parts if p.name == "mask"]
        sick = _replaced(healthy, *masked, wild).but(optimizer=sgd(1e-3))
        yield planted(kind, healthy, f"recurrent weights of gain {gain:g}", sick, ("r1",))


def _dead() -> Iterator[Plan]:
    kind = "dead_relu"
    for short, layer, bias in (
        ("digits", "h1", -30.0), ("digits", "h1", -8.0), ("deep", "h0", -20.0),
        ("deep", "h3", -9.0),
        ("blobs", "h1", -12.0), ("blobs", "h2", -25.0), ("credit", "h1", -10.0),
        ("credit", "h2", -7.0), ("friedman", "h1", -9.0), ("friedman", "h2", -6.0),
        ("images", "c1", -5.0), ("images", "c2", -10.0), ("bars", "c1", -8.0),
        ("bars", "h1", -15.0),
        ("tones", "c1", -9.0), ("tones", "c2", -7.0), ("words", "h1", -3.0),
    ):  # fmt: skip
        healthy = base(short)
        sick = healthy.layer(layer, bias_initializer=init.Constant(bias))
        yield planted(kind, healthy, f"{layer} with biases of {bias:g}", sick, (layer,))
    for short, layer, low, high in (("digits", "h1", -0.2, -0.01), ("images", "c1", -0.5, -0.1)):
        healthy = base(short)
        sick = healthy.layer(layer, kernel_initializer=init.RandomUniform(low, high))
        yield planted(kind, healthy, f"{layer} with negative weights only", sick, (layer,))


def _saturated() -> Iterator[Plan]:
    kind = "saturated_activation"
    for short, layers, deviation, activation in (
        ("tanh", "h1", 5.0, "tanh"), ("tanh", "h2", 3.0, "tanh"), ("digits", "h1", 2.0, "sigmoid"),
        ("blobs", "h1", 4.0, "tanh"), ("blobs", "h2", 8.0, "sigmoid"),
        ("spirals", "h1 h2", 20.0, "tanh"), ("spirals", "h1", 20.0, "tanh"),
        ("waves", "h1", 15.0, "tanh"), ("waves", "h1 h2", 15.0, "tanh"),
        ("credit", "h1", 6.0, "tanh"), ("friedman", "h1", 5.0, "sigmoid"),
        ("images", "c1", 6.0, "tanh"), ("bars", "h1", 10.0, "tanh"), ("tones", "c1", 5.0, "tanh"),
        ("rnn", "r1", 4.0, "tanh"),
    ):  # fmt: skip
        sick = healthy = base(short)
        wide = init.RandomNormal(stddev=deviation)
        for layer in layers.split():
            sick = sick.layer(layer, kernel_initializer=wide, activation=activation)
        strength = f"{layers} of {activation} with weights of deviation {deviation:g}"
        sick = sick.but(optimizer=sgd(0.01))
        yield planted(kind, healthy, strength, sick, tuple(layers.split()))
    for short, layer, bias in (("tanh", "h1", 8.0), ("spirals", "h2", -6.0), ("waves", "h1", 10.0)):
        healthy = base(short)
        sick = healthy.layer(layer, bias_initializer=init.Constant(bias)).but(optimizer=sgd(0.01))
        yield planted(kind, healthy, f"{layer} of tanh with biases of {bias:g}", sick, (layer,))


def _symmetric() -> Iterator[Plan]:
    kind = "symmetric_initialization"
    for short, layer, last, value in (
        ("digits", "h1", "out", 0.01), ("blobs", "h2", "out", 0.1), ("friedman", "h2", "out", 0.2),
        ("credit", "h2", "out", 0.05), ("bars", "h1", "out", 0.02), ("images", "c2", "out", 0.03),
        ("spirals", "h2", "out", 0.3), ("waves", "h2", "out", 0.2), ("words", "h1", "out", 0.1),
    ):  # fmt: skip
        healthy = base(short)
        same = init.Constant(value)
        sick = healthy.layer(layer, kernel_initializer=same).layer(last, kernel_initializer=same)
        yield planted(kind, healthy, f"{layer} and {last} all {value:g}", sick, (layer,))
    for short, layer in (("tanh", "h2"), ("spirals", "h2"), ("waves", "h2"), ("blobs", "h2")):
        healthy = base(short)
        sick = healthy.layer(layer, kernel_initializer="zeros")
        sick = sick.layer("out", kernel_initializer="zeros")
        yield planted(kind, healthy, f"{layer} and out all 0", sick, (layer,))
    for short, value in (("sums", 0.1), ("rnn", 0.05), ("spoken", 0.1)):
        healthy, same = base(short), init.Constant(value)
        sick = healthy.layer("r1", kernel_initializer=same, recurrent_initializer=same)
        sick = sick.layer("out", kernel_initializer=same)
        yield planted(kind, healthy, f"recurrent layer all {value:g}", sick, ("r1",))


def _badly_scaled() -> Iterator[Plan]:
    kind = "bad_initialization_scale"
    for short, layer, deviation in (
        ("deep", "h0", 2.0), ("deep", "h3", 30.0), ("blobs", "h1", 30.0), ("credit", "h1", 50.0),
        ("friedman", "h1", 40.0), ("friedman", "h2", 30.0), ("images", "c2", 8.0),
        ("bars", "h1", 10.0), ("tones", "c1", 100.0), ("words", "h1", 100.0),
    ):  # fmt: skip
        healthy = base(short)
        sick = healthy.layer(layer, kernel_initializer=init.RandomNormal(stddev=deviation))
        strength = f"{layer} with weights of deviation {deviation:g}"
        yield planted(kind, healthy, strength, sick.but(optimizer=sgd(0.01)), (layer,))
    for short, layers, deviation in (
        ("deep", ("h0", "h1", "h2", "h3", "h4", "out"), 1e-3), ("blobs", ("h1", "h2", "out"), 1e-4),
        ("credit", ("h1", "h2", "out"), 1e-3), ("friedman", ("h1", "h2", "out"), 1e-3),
        ("waves", ("h1", "h2", "out"), 1e-4), ("images", ("c1", "c2", "out"), 1e-3),
        ("bars", ("c1", "c2", "h1", "out"), 1e-3), ("tones", ("c1", "c2", "out"), 1e-3),
        ("digits", ("h1", "out"), 1e-5), ("words", ("words", "h1", "out"), 1e-4),
    ):  # fmt: skip
        sick = healthy = base(short)
        tiny = init.RandomNormal(stddev=deviation)
        for layer in layers:
            which = "embeddings_initializer" if layer == "words" else "kernel_initializer"
            sick = sick.layer(layer, **{which: tiny})
        sick = sick.but(optimizer=sgd(0.05))
        strength = f"all layers with weights of deviation {deviation:g}"
        yield planted(kind, healthy, strength, sick, layers)


def _not_finite() -> Iterator[Plan]:
    kind = "non_finite"
    made: list[tuple[str, str, Any, tuple[Any, ...]]] = [
        ("digits", "logarithm of 0", own.Logarithm, ()),
        ("blobs", "logarithm of what may be negative", own.Logarithm, ()),
        ("credit", "logarithm of what may be negative", own.Logarithm, ()),
        ("friedman", "root of what may be negative", own.Root, ()),
        ("digits", "root of 0, whose slope is infinite", own.Root, ()),
        ("waves", "quotient by 0 in two rows", own.Quotient, (edits.spoiled((4, 5), 0.0),)),
        ("digits", "quotient by 0", own.Quotient, ()),
        ("blobs", "exponential that overflows", own.Exponential, (edits.inputs(40.0),)),
        ("friedman", "exponential that overflows in one row", own.Exponential,
         (edits.spoiled((777,), 120.0),)),
        ("credit", "exponential that overflows in three rows", own.Exponential,
         (edits.spoiled((5, 600, 1200), 200.0, 3),)),
        ("blobs", "quotient by 0 in one row", own.Quotient, (edits.spoiled((901,), 0.0, 2),)),
    ]  # fmt: skip
    for short, strength, layer, changes in made:
        healthy = base(short)
        flat = [p for p in healthy.parts if p.name == "flat"]
        rest = [p for p in healthy.parts if p.name != "flat"]
        sick = healthy.but(parts=(*flat, Part(layer, {"name": "own"}), *rest)).edit(*changes)
        yield planted(kind, healthy, strength, sick, ("own",))
    for short, strength in (("friedman", "a loss of one's own that takes a logarithm of it"),
                            ("credit", "a loss of one's own without a floor")):  # fmt: skip
        healthy = base(short)
        loss = own.logarithmic if short == "friedman" else own.bare_crossentropy
        sick = healthy.but(loss=loss)
        if short == "credit":
            sick = sick.rate(0.1).but(epochs=10)
        yield planted(kind, healthy, strength, sick)
