"""Runs with nothing wrong, the usual and the unusual: what the doctor must leave alone."""

from __future__ import annotations

from collections.abc import Iterator

from chainrule import initializers as init
from chainrule import regularizers
from chainrule.optimizers import schedules

from . import edits
from .bases import BASES, adam, base, conv, dense, sgd, stack
from .data import Array, Data
from .plan import Plan, part


def healthy() -> Iterator[Plan]:
    """Yield all healthy runs, with names of their own."""
    yield from BASES.values()
    for short, strength, plan in (*_trained_otherwise(), *_built_otherwise(), *_unusual()):
        yield plan.but(name=f"healthy: {base(short).name}, {strength}")


Named = Iterator[tuple[str, str, Plan]]


def _trained_otherwise() -> Named:
    """Other optimizers, batch sizes and schedules."""
    for short, optimizer in (
        ("digits", sgd(0.1)), ("digits", sgd(0.5)), ("digits", part("RMSprop", learning_rate=1e-3)),
        ("digits", part("Nadam", learning_rate=1e-3)),
        ("digits", part("Adagrad", learning_rate=0.03)),
        ("digits", part("AdamW", learning_rate=1e-3, weight_decay=0.01)),
        ("digits", part("Adamax", learning_rate=3e-3)),
        ("digits", part("Lion", learning_rate=3e-4)),
        ("digits", part("Adadelta", learning_rate=1.0)), ("deep", adam(1e-3)), ("tanh", adam(1e-3)),
        ("tanh", part("SGD", learning_rate=0.05, momentum=0.9, nesterov=True)),
        ("blobs", sgd(0.1)), ("blobs", sgd(0.05, 0.9)),
        ("blobs", part("RMSprop", learning_rate=2e-3)),
        ("credit", part("AdamW", learning_rate=2e-3, weight_decay=0.004)),
        ("spirals", sgd(0.3, 0.9)),
        ("friedman", sgd(0.03)), ("friedman", part("RMSprop", learning_rate=2e-3)),
        ("friedman", part("Nadam", learning_rate=2e-3)), ("waves", sgd(0.1, 0.9)),
        ("images", sgd(0.1, 0.9)), ("images", part("RMSprop", learning_rate=2e-3)),
        ("bars", adam(2e-3)), ("tones", sgd(0.1, 0.9)),
        ("spoken", part("RMSprop", learning_rate=5e-3)),
        ("sums", sgd(0.1, 0.9)), ("words", part("Nadam", learning_rate=2e-3)),
    ):  # fmt: skip
        momentum = optimizer.options.get("momentum")
        rate = f"{optimizer.kind} {optimizer.options['learning_rate']:g}"
        strength = rate + (f", momentum {momentum:g}" if momentum else "")
        strength += ", Nesterov" if optimizer.options.get("nesterov") else ""
        yield short, strength, base(short).but(optimizer=optimizer)
    for short, size, optimizer, epochs in (
        ("digits", 8, sgd(0.03), 2), ("digits", 128, adam(3e-3), 8),
        ("digits", 500, adam(5e-3), 20),
        ("blobs", 4, adam(5e-4), 4), ("blobs", 256, adam(1e-2), 12), ("friedman", 8, adam(1e-3), 6),
        ("friedman", 300, adam(1e-2), 30), ("tones", 128, adam(1e-2), 14),
        ("credit", 1, sgd(0.01), 3),
        ("products", 1000, sgd(0.5), 60),
    ):  # fmt: skip
        plan = base(short).but(batch_size=size, optimizer=optimizer, epochs=epochs)
        yield short, f"batches of {size}", plan
    yield "digits", "cosine decay", base("digits").rate(schedules.CosineDecay(3e-3, 376))
    yield (
        "deep",
        "clipped gradients",
        base("deep").but(optimizer=part("SGD", learning_rate=0.1, clipnorm=1.0)),
    )
    yield (
        "images",
        "exponential decay",
        base("images").rate(schedules.ExponentialDecay(4e-3, 50, 0.8)),
    )
    yield (
        "blobs",
        "warm-up",
        base("blobs").rate(schedules.CosineDecay(1e-4, 230, warmup_target=5e-3, warmup_steps=50)),
    )
    yield "digits", "one epoch", base("digits").but(epochs=1)
    yield (
        "spoken",
        "clipped by the global norm",
        base("spoken").but(optimizer=part("Adam", learning_rate=1e-2, global_clipnorm=1.0)),
    )


def _built_otherwise() -> Named:
    """Other depths, widths and activations."""
    digits = base("digits")
    flat, out = digits.parts[0], digits.parts[-1]
    for name, hidden, optimizer in (
        ("no hidden layer", [], sgd(0.1)),
        ("512 units", [dense("h1", 512)], adam(1e-3)),
        ("8 layers of relu", stack("h", 8, 48, "relu", kernel_initializer="he_normal"), adam(1e-3)),
        ("5 layers of selu", stack("h", 5, 48, "selu", kernel_initializer="lecun_normal"),
         sgd(0.03)),
        ("3 layers of gelu", stack("h", 3, 48, "gelu"), adam(1e-3)),
        ("3 layers of elu", stack("h", 3, 48, "elu"), sgd(0.05)),
        ("silu", stack("h", 2, 64, "silu"), adam(1e-3)),
        ("leaky relu", stack("h", 3, 48, "leaky_relu"), adam(1e-3)),
        ("one sigmoid layer", [dense("h1", 64, "sigmoid")], adam(5e-3)),
        ("two sigmoid layers", stack("h", 2, 64, "sigmoid"), adam(5e-3)),
        ("5 layers of tanh", stack("h", 5, 48, "tanh"), sgd(0.05, 0.9)),
        ("bottleneck of 8", [dense("h1", 64), dense("h2", 8), dense("h3", 32)], adam(2e-3)),
        ("last layer all 0", [dense("h1", 64)], adam(1e-3)),
        ("10 normalized layers",
         [p for i in range(10) for p in (dense(f"h{i}", 32), part("BatchNormalization", f"n{i}"))],
         adam(3e-3)),
        ("normalized layers",
         [p for i in range(4) for p in (dense(f"h{i}", 32), part("LayerNormalization", f"n{i}"))],
         adam(2e-3)),
        ("orthogonal", stack("h", 3, 64, "tanh", kernel_initializer="orthogonal"), sgd(0.1)),
    ):  # fmt: skip
        last = out.but(kernel_initializer="zeros") if name == "last layer all 0" else out
        yield "digits", name, digits.but(parts=(flat, *hidden, last), optimizer=optimizer, epochs=5)
    images = base("images")
    norms = [part("BatchNormalization", name, momentum=0.9) for name in ("n1", "n2")]
    yield "images", "normalized", images.but(parts=(
        conv("c1", 8, activation=None), norms[0], part("ReLU", "a1"), part("MaxPooling2D", "p1"),
        conv("c2", 16, activation=None), norms[1], part("ReLU", "a2"),
        part("GlobalAveragePooling2D", "mean"), out), epochs=5, optimizer=adam(1e-2))  # fmt: skip
    yield "images", "strides, tanh", images.but(parts=(
        conv("c1", 8, activation="tanh", strides=2), conv("c2", 16, activation="tanh", strides=2),
        part("Flatten", "flat"), out))  # fmt: skip
    yield "images", "depthwise", images.but(parts=(
        conv("c1", 8), part("DepthwiseConv2D", "d1", kernel_size=3, activation="relu"),
        part("MaxPooling2D", "p1"), part("Flatten", "flat"), dense("h1", 32), out))  # fmt: skip
    spoken = base("spoken")
    for name, layer in (
        ("gru", part("GRU", "r1", units=32)),
        ("bidirectional", part("Bidirectional", "r1", layer=part("LSTM", "inner", units=16))),
    ):
        yield "spoken", name, spoken.but(parts=(layer, out))
    two = (part("LSTM", "r1", units=24, return_sequences=True), part("LSTM", "r2", units=24))
    yield "spoken", "two layers", spoken.but(parts=(*two, out))
    words = base("words")
    yield "words", "dropout", words.after("mean", part("Dropout", "drop", rate=0.5))
    yield (
        "tones",
        "gru",
        base("tones").but(
            parts=(part("GRU", "r1", units=16), base("tones").parts[-1]), optimizer=adam(2e-2)
        ),
    )


def _unusual() -> Named:
    """What looks like a fault and is none."""
    yield "digits", "dropout of 0.5", base("digits").after("h1", part("Dropout", "d", rate=0.5))
    yield (
        "deep",
        "dropout in four places",
        base("deep").but(
            parts=tuple(
                p
                for q in base("deep").parts
                for p in (
                    (q, part("Dropout", f"d{q.name}", rate=0.1)) if q.name[0] == "h" else (q,)
                )
            ),
            epochs=8,
        ),
    )
    yield (
        "digits",
        "L2 of 1e-4",
        base("digits").layer("h1", kernel_regularizer=regularizers.L2(1e-4)),
    )
    yield (
        "friedman",
        "L1 of 1e-4",
        base("friedman").layer("h1", kernel_regularizer=regularizers.L1(1e-4)),
    )
    yield "credit", "1 in 20 % of the rows", base("credit").edit(edits.rare(0.2))
    yield "blobs", "classes of unequal size", base("blobs").edit(edits.rare(0.08, 2))
    yield "blobs", "3 times as large", base("blobs").edit(edits.inputs(3.0))
    yield "blobs", "0.3 times as large", base("blobs").edit(edits.inputs(0.3))
    yield "digits", "pixels from -1 to 1", base("digits").edit(edits.inputs(2.0, -1.0))
    yield "friedman", "columns from 0 to 1", base("friedman").edit(edits.inputs(12**-0.5, 0.5))
    yield "friedman", "targets under noise", base("friedman").edit(edits.noisy(0.5)).but(epochs=8)
    yield "waves", "targets under noise", base("waves").edit(edits.noisy(0.7)).but(epochs=8)
    yield "waves", "huber", base("waves").but(loss="huber")
    yield "friedman", "mae", base("friedman").but(loss="mae")
    yield (
        "blobs",
        "one-hot targets",
        base("blobs").edit(edits.one_hot).but(loss="categorical_crossentropy"),
    )
    yield (
        "digits",
        "logits",
        base("digits")
        .layer("out", activation=None)
        .but(loss=part("SparseCategoricalCrossentropy", from_logits=True)),
    )
    yield (
        "credit",
        "logits",
        base("credit")
        .layer("out", activation=None)
        .but(loss=part("BinaryCrossentropy", from_logits=True)),
    )
    yield "credit", "mse of a sigmoid", base("credit").but(loss="mse", epochs=10)
    yield (
        "digits",
        "a tenth of the labels wrong",
        base("digits").edit(edits.shuffled(0.1)).but(epochs=3),
    )
    yield (
        "digits",
        "one layer frozen",
        base("digits").layer("h1", trainable=False).but(epochs=8, optimizer=adam(1e-2)),
    )
    yield (
        "deep",
        "batch normalization, batches of 16",
        base("deep").after("h1", part("BatchNormalization", "norm")).but(batch_size=16),
    )
    yield "words", "large vocabulary, few seen", base("words").layer("words", input_dim=4000)
    yield (
        "digits",
        "random uniform weights",
        base("digits").layer("h1", kernel_initializer=init.RandomUniform(-0.05, 0.05)),
    )
    for short in ("digits", "credit", "friedman", "tones", "spoken", "words", "images"):
        yield short, "validated", base(short).but(validation=True)
    yield (
        "digits",
        "early stopping",
        base("digits").but(
            validation=True,
            epochs=20,
            callbacks=(part("EarlyStopping", patience=2, restore_best_weights=True),),
        ),
    )
    yield (
        "digits",
        "label smoothing",
        base("digits")
        .edit(edits.one_hot)
        .but(loss=part("CategoricalCrossentropy", label_smoothing=0.1)),
    )
    yield "products", "converged long ago", base("products").but(epochs=40)
    yield "bars", "converged long ago", base("bars").but(epochs=15)
    yield (
        "blobs",
        "float targets",
        base("blobs").edit(lambda data: data.targets(lambda y: y.astype("float32"))),
    )
    yield "credit", "an unimportant rare column", base("credit").edit(_sparse)
    yield "friedman", "a strong column", base("friedman").edit(edits.leaking(0.5))
    yield "credit", "a strong column", base("credit").edit(edits.leaking(0.9))


def _sparse(data: Data) -> Data:
    """A last column that is nearly always 0."""

    def change(x: Array) -> Array:
        x = x.copy()
        x[:, -1] = x[:, -1] > 2.0
        return x

    return data.inputs(change)
