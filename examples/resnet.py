"""A small residual network, made with the functional interface, learns handwritten digits.

Source: He, Zhang, Ren and Sun, "Deep residual learning for image recognition", arXiv 1512.03385,
section 4.2 with n = 1 (6 n + 2 = 8 layers) and half as many filters; where the size changes, the
shortcut is a convolution of 1 by 1.
"""

from chainrule import layers
from chainrule.datasets import digits
from chainrule.models import Model
from chainrule.optimizers import Adam
from chainrule.optimizers.schedules import CosineDecay
from chainrule.utils import set_random_seed


def convolution(x, filters, size, strides=1):
    """Return a convolution without a bias, which the normalization behind it has."""
    x = layers.Conv2D(
        filters, size, strides, "same", use_bias=False, kernel_initializer="he_normal"
    )(x)
    return layers.BatchNormalization(momentum=0.9)(x)


def block(x, filters, strides):
    """Return ``relu(x + f(x))``, f being two convolutions of 3 by 3."""
    y = layers.Activation("relu")(convolution(x, filters, 3, strides))
    y = convolution(y, filters, 3)
    if strides > 1:
        x = convolution(x, filters, 1, strides)
    return layers.Activation("relu")(layers.add([x, y]))


set_random_seed(5)
(x_train, y_train), (x_test, y_test) = digits.load_data()
x_train, x_test = x_train[..., None] / 255.0, x_test[..., None] / 255.0

image = layers.Input((28, 28, 1))
x = layers.RandomTranslation(0.08, 0.08)(image)
x = layers.Activation("relu")(convolution(x, 8, 3))
for filters, strides in ((8, 1), (16, 2), (32, 2)):
    x = block(x, filters, strides)
x = layers.GlobalAveragePooling2D()(x)
model = Model(image, layers.Dense(10, activation="softmax")(x))

model.summary()
epochs, batch = 4, 32
rate = CosineDecay(5e-3, decay_steps=epochs * len(x_train) // batch)
model.compile(Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(x_train, y_train, batch_size=batch, epochs=epochs, verbose=2)
loss, accuracy = model.evaluate(x_test, y_test, verbose=0)
print(f"Test accuracy: {accuracy:.4f}")
