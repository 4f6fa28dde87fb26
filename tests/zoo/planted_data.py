"""Faults in data and targets, and in how the last layer fits the loss."""

from __future__ import annotations

from collections.abc import Iterator

from . import edits
from .bases import CLASSES, adam, base, sgd
from .plan import Edit, Plan, part, planted


def data_faults() -> Iterator[Plan]:
    """Yield all runs of this family."""
    yield from _not_normalized()
    yield from _constant()
    yield from _leaking()
    yield from _shuffled()
    yield from _imbalanced()
    yield from _out_of_range()
    yield from _mismatched()
    yield from _with_logits()
    yield from _twice()


def _not_normalized() -> Iterator[Plan]:
    kind = "input_not_normalized"
    cases: list[tuple[str, str, Edit, float]] = [
        ("digits", "pixels to 255", edits.inputs(255.0), 0.1),
        ("tanh", "pixels to 255", edits.inputs(255.0), 0.05),
        ("images", "pixels to 255", edits.inputs(255.0), 0.05),
        ("bars", "pixels to 255", edits.inputs(255.0), 0.05),
        ("blobs", "1,000 times as large", edits.inputs(1000.0), 0.05),
        ("blobs", "300 added", edits.inputs(1.0, 300.0), 0.05),
        ("blobs", "columns over 5 powers of ten", edits.mixed(5.0, 1), 0.05),
        ("credit", "500 times as large", edits.inputs(500.0), 0.05),
        ("credit", "columns over 4 powers of ten", edits.mixed(4.0, 2), 0.05),
        ("friedman", "200 times as large", edits.inputs(200.0), 0.01),
        ("friedman", "a column of years", edits.inputs([1.0] * 9 + [10.0], [0.0] * 9 + [2000.0]),
         0.01),
        ("waves", "1,000 added", edits.inputs(1.0, 1000.0), 0.05),
        ("spirals", "1e-4 times as large", edits.inputs(1e-4), 0.1),
        ("spoken", "200 times as large", edits.inputs(200.0), 0.05),
        ("tones", "5,000 times as large", edits.inputs(5000.0), 0.05),
        ("sums", "300 times as large", edits.inputs([300.0, 1.0]), 0.01),
    ]  # fmt: skip
    for short, strength, change, rate in cases:
        healthy = base(short)
        sick = healthy.edit(change).but(optimizer=sgd(rate))
        yield planted(kind, healthy, strength, sick)


def _constant() -> Iterator[Plan]:
    for short, columns, value in (
        ("blobs", (3,), 0.0), ("blobs", (0, 5, 7), 1.0), ("credit", (2,), -1.0),
        ("credit", (0, 1, 2, 3), 0.0), ("friedman", (9,), 0.5), ("friedman", (2, 3), 0.0),
        ("waves", (1,), 1.0), ("spirals", (0,), 0.0), ("spoken", (4,), 0.0),
    ):  # fmt: skip
        healthy = base(short)
        strength = f"{len(columns)} of {value:g}"
        yield planted("constant_feature", healthy, strength,
                      healthy.edit(edits.constant(columns, value)))  # fmt: skip


def _leaking() -> Iterator[Plan]:
    for short, column, noise in (
        ("blobs", None, 0.0), ("blobs", 3, 0.01), ("credit", None, 0.0), ("credit", 7, 0.02),
        ("credit", None, 0.1), ("friedman", None, 0.0), ("friedman", 8, 0.01),
        ("waves", None, 0.005),
        ("spirals", None, 0.05), ("friedman", None, 0.02),
    ):  # fmt: skip
        healthy = base(short)
        change = edits.leaking(noise) if column is None else edits.instead(column, noise)
        where = "a further column" if column is None else f"column {column}"
        yield planted("leaking_feature", healthy, f"{where} with noise of {noise:g}",
                      healthy.edit(change))  # fmt: skip


def _shuffled() -> Iterator[Plan]:
    for short, share, seed in (
        ("digits", 1.0, 0), ("digits", 0.97, 1), ("tanh", 1.0, 2), ("blobs", 1.0, 3),
        ("blobs", 0.97, 4), ("credit", 1.0, 5), ("friedman", 1.0, 6), ("friedman", 0.98, 7),
        ("waves", 1.0, 8), ("images", 1.0, 9), ("bars", 1.0, 10), ("tones", 1.0, 11),
        ("spoken", 1.0, 12), ("words", 1.0, 13),
    ):  # fmt: skip
        healthy = base(short)
        sick = healthy.edit(edits.shuffled(share, seed)).but(validation=True)
        yield planted("labels_shuffled", healthy, f"{share:.0%} of the rows", sick)


def _imbalanced() -> Iterator[Plan]:
    kind = "labels_imbalanced"
    for short, share in (("credit", 0.03), ("credit", 0.01), ("spirals", 0.03), ("spirals", 0.01),
                         ("words", 0.02), ("sentences", 0.01)):  # fmt: skip
        healthy = base(short)
        sick = healthy.edit(edits.rare(share))
        yield planted(kind, healthy, f"1 in {share:.0%} of the rows", sick)
    for short, share in (("digits", 0.95), ("blobs", 0.96), ("images", 0.95), ("tones", 0.97),
                         ("bars", 0.98)):  # fmt: skip
        healthy = base(short)
        sick = healthy.edit(edits.frequent(share))
        yield planted(kind, healthy, f"one class in {share:.0%} of the rows", sick)


def _out_of_range() -> Iterator[Plan]:
    kind = "labels_out_of_range"
    for short, strength, change in (
        ("credit", "-1 and 1 for a sigmoid", edits.targets(2.0, -1.0)),
        ("spirals", "1 and 2 for a sigmoid", edits.targets(1.0, 1.0)),
        ("words", "0 and 5 for a sigmoid", edits.targets(5.0)),
        ("sentences", "-1 and 1 for a sigmoid", edits.targets(2.0, -1.0)),
        ("credit", "0 and 100 for a sigmoid", edits.targets(100.0)),
    ):
        healthy = base(short)
        yield planted(kind, healthy, strength, healthy.edit(change))
    for short, activation, strength, change in (
        ("friedman", "tanh", "numbers to 30 for a tanh", edits.targets(10.0, 3.0)),
        ("waves", "sigmoid", "negative numbers for a sigmoid", edits.targets(3.0)),
        ("friedman", "relu", "negative numbers for a relu", edits.targets(1.0, -3.0)),
        ("sums", "tanh", "numbers to 20 for a tanh", edits.targets(7.0)),
        ("waves", "softplus", "negative numbers for a softplus", edits.targets(1.0, -2.0)),
        ("friedman", "sigmoid", "numbers around 50 for a sigmoid", edits.targets(10.0, 50.0)),
    ):
        healthy = base(short)
        sick = healthy.layer("out", activation=activation).edit(change)
        yield planted(kind, healthy, strength, sick)
    for short, strength, change, units in (
        ("blobs", "class numbers 0, 3, 6, ...", edits.numbered(3), 13),
        ("tones", "class numbers 0, 5, 10, 15", edits.numbered(5), 16),
        ("digits", "class numbers from 10", edits.numbered(1, 10), 20),
        ("bars", "class numbers 0, 10, 20, 30", edits.numbered(10), 31),
    ):
        healthy = base(short)
        sick = healthy.layer("out", units=units).edit(change)
        yield planted(kind, healthy, strength, sick)
    for short, label in (("blobs", 0), ("credit", 1), ("images", 7)):
        healthy = base(short)
        yield planted(kind, healthy, f"all rows of class {label}",
                      healthy.edit(edits.only_class(label)))  # fmt: skip


def _mismatched() -> Iterator[Plan]:
    kind = "loss_mismatch"
    for short, activation, loss in (
        ("digits", None, CLASSES), ("blobs", None, CLASSES), ("tones", None, CLASSES),
        ("credit", None, "binary_crossentropy"), ("spirals", "tanh", "binary_crossentropy"),
        ("words", None, "binary_crossentropy"), ("digits", "relu", CLASSES),
        ("blobs", "tanh", CLASSES), ("bars", "sigmoid", CLASSES),
        ("credit", "softmax", "binary_crossentropy"), ("spirals", "softmax", "mse"),
        ("friedman", None, "poisson"), ("waves", None, "binary_crossentropy"),
        ("friedman", None, "binary_crossentropy"),
    ):  # fmt: skip
        healthy = base(short)
        sick = healthy.layer("out", activation=activation).but(loss=loss)
        strength = f"{loss} of {activation or 'linear'} outputs"
        # Numbers below 0 or above 1 are out of the range of these losses too.
        also = ("labels_out_of_range",) if short in ("friedman", "waves") else ()
        yield planted(kind, healthy, strength, sick, (), also)
    for short, loss, activation in (
        ("blobs", "kl_divergence", None), ("digits", "categorical_crossentropy", None),
        ("tones", "categorical_crossentropy", "tanh"),
    ):  # fmt: skip
        healthy = base(short)
        sick = healthy.edit(edits.one_hot).but(loss=loss).layer("out", activation=activation)
        strength = f"{loss} of {activation or 'linear'} outputs"
        yield planted(kind, healthy, strength, sick)


def _with_logits() -> Iterator[Plan]:
    many = part("SparseCategoricalCrossentropy", from_logits=True)
    two = part("BinaryCrossentropy", from_logits=True)
    for short, optimizer in (
        ("digits", None), ("tanh", None), ("blobs", adam(1e-3)), ("images", None), ("bars", None),
        ("tones", None), ("spoken", None), ("credit", None), ("spirals", None), ("words", None),
    ):  # fmt: skip
        healthy = base(short)
        activation = healthy.parts[-1].options["activation"]
        sick = healthy.but(loss=many if activation == "softmax" else two)
        sick = sick.but(optimizer=optimizer or sick.optimizer)
        strength = f"{activation} and from_logits=True, {sick.optimizer.kind}"
        yield planted("softmax_with_logits", healthy, strength, sick, ("out",))


def _twice() -> Iterator[Plan]:
    for short, last in (
        ("digits", part("Softmax", "again")),
        ("tanh", part("Activation", "again", activation="softmax")),
        ("blobs", part("Softmax", "again")),
        ("images", part("Activation", "again", activation="softmax")),
        ("bars", part("Softmax", "again")),
        ("tones", part("Activation", "again", activation="softmax")),
        ("spoken", part("Softmax", "again")), ("deep", part("Softmax", "again")),
    ):  # fmt: skip
        healthy = base(short)
        sick = healthy.after("out", last)
        yield planted("softmax_twice", healthy, str(last.kind), sick, ("out", "again"))
