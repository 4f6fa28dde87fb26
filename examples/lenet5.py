"""LeNet-5 as published, on handwritten digits.

Source: LeCun, Bottou, Bengio and Haffner, "Gradient-based learning applied to document
recognition", Proceedings of the IEEE 86 (1998), sections II-B, II-C and III. What differs: Adam in
the place of the stochastic diagonal Levenberg-Marquardt method; 4,000 digits in the place of
60,000; codes of the classes that are drawn here, in the style of figure 3; j, which is left open.
"""

import numpy as np

from chainrule import layers, ops
from chainrule.datasets import digits
from chainrule.initializers import RandomUniform
from chainrule.losses import SparseCategoricalCrossentropy
from chainrule.models import Sequential
from chainrule.optimizers import Adam
from chainrule.utils import set_random_seed

# Table I: the maps of S2 that each map of C3 sees.
SEEN = ["012", "123", "234", "345", "450", "501", "0123", "1234", "2345", "3450", "4501", "5012"]
SEEN += ["0134", "1245", "0235", "012345"]

# The codes of the classes: pictures of 12 by 7, +1 where there is ink and -1 elsewhere.
CODES = """
....... ....... ....... ....... ....... ....... ....... ....... ....... .......
..###.. ...#... .#####. .#####. .....#. ####### ..####. ####### .#####. .#####.
.##.##. ..##... ##...## ##...## ....##. ##..... .##.... .....## ##...## ##...##
##...## .###... .....## .....## ...###. ##..... ##..... .....## ##...## ##...##
##...## ...#... ....##. .....## ..##.#. ######. ##..... ....##. ##...## ##...##
##...## ...#... ...##.. ..####. .##..#. .....## ######. ....##. .#####. .######
##...## ...#... ..##... .....## ####### .....## ##...## ...##.. ##...## .....##
##...## ...#... .##.... .....## .....#. .....## ##...## ...##.. ##...## .....##
.##.##. ...#... ##..... ##...## .....#. ##...## ##...## ..##... ##...## ....##.
..###.. .#####. ####### .#####. .....#. .#####. .#####. ..##... .#####. .####..
....... ....... ....... ....... ....... ....... ....... ....... ....... .......
....... ....... ....... ....... ....... ....... ....... ....... ....... .......
"""


def codes():
    """Return the pictures as rows of 84 numbers."""
    rows = [line.split() for line in CODES.split("\n") if line]
    pictures = ["".join(row[digit] for row in rows) for digit in range(10)]
    return np.array([[1.0 if place == "#" else -1.0 for place in p] for p in pictures], "float32")


def squash(x):
    """Return ``A tanh(S x)``, which is most curved at +1 and -1 (appendix A)."""
    return 1.7159 * ops.tanh(2 / 3 * x)


def begin(inputs):
    """Return the first values of weights into units of so many inputs (appendix A)."""
    return RandomUniform(-2.4 / inputs, 2.4 / inputs)


class Subsampling(layers.Layer):
    """S2 and S4: the sum of 2 by 2 places, times a coefficient and plus a bias for each map."""

    def build(self, input_shape):
        self.coefficient = self.add_weight((input_shape[-1],), begin(4), name="coefficient")
        self.bias = self.add_weight((input_shape[-1],), "zeros", name="bias")

    def call(self, x):
        return squash(4 * ops.average_pool(x, 2) * self.coefficient + self.bias)


class C3(layers.Layer):
    """16 maps of 5 by 5, each of which sees some of the 6 maps below."""

    def build(self, input_shape):
        pairs = [int(s) * len(SEEN) + c for c, seen in enumerate(SEEN) for s in seen]
        self.places = np.eye(6 * len(SEEN), dtype="float32")[pairs]
        self.kernel = self.add_weight((5 * 5, len(pairs)), begin(4 * 5 * 5), name="kernel")
        self.bias = self.add_weight((len(SEEN),), "zeros", name="bias")

    def call(self, x):
        kernel = ops.reshape(ops.matmul(self.kernel, self.places), (5, 5, 6, len(SEEN)))
        return squash(ops.conv(x, kernel) + self.bias)


class Penalties(layers.Layer):
    """The output: how far F6 is from the code of each class (equation 7), as negative numbers.

    One more, -j, stands for "no digit"; so the loss of equation 9,
    ``y_right + log(exp(-j) + sum_i exp(-y_i))``, is the cross-entropy.
    """

    j = 1.0

    def call(self, x):
        distance = ops.sum(ops.square(x[:, None, :] - codes()), axis=-1)
        return ops.concatenate([-distance, ops.zeros_like(distance[:, :1]) - self.j], axis=1)


set_random_seed(5)
(x_train, y_train), (x_test, y_test) = digits.load_data()
# 32 by 32 places; the paper is -0.1 and the ink 1.175, so that mean and variance are about 0 and 1.
frame = ((0, 0), (2, 2), (2, 2))
x_train, x_test = (np.pad(x / 255.0, frame)[..., None] * 1.275 - 0.1 for x in (x_train, x_test))

model = Sequential(
    [
        layers.Input((32, 32, 1)),
        layers.Conv2D(6, 5, activation=squash, kernel_initializer=begin(25), name="C1"),
        Subsampling(name="S2"),
        C3(name="C3"),
        Subsampling(name="S4"),
        layers.Conv2D(120, 5, activation=squash, kernel_initializer=begin(400), name="C5"),
        layers.Flatten(),
        layers.Dense(84, activation=squash, kernel_initializer=begin(120), name="F6"),
        Penalties(name="output"),
    ]
)
model.summary()
model.compile(Adam(2e-3), SparseCategoricalCrossentropy(from_logits=True))
model.fit(x_train, y_train, batch_size=16, epochs=8, verbose=2)
read = model.predict(x_test, verbose=0)[:, :10].argmax(axis=1)
print(f"Test accuracy: {(read == y_test).mean():.4f}")
