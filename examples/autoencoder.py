"""A convolutional autoencoder takes noise off images of handwritten digits.

Source: Vincent et al., "Extracting and composing robust features with denoising autoencoders", ICML
2008; here with convolutions, and transposed ones on the way back.
"""

import numpy as np

from chainrule import layers
from chainrule.datasets import digits
from chainrule.models import Sequential
from chainrule.utils import set_random_seed

set_random_seed(5)
(x_train, _), (x_test, _) = digits.load_data()
x_train, x_test = (x[..., None].astype("float32") / 255.0 for x in (x_train, x_test))
random = np.random.default_rng(5)


def noisy(x):
    """Return the images with normal noise, cut to what a pixel can be."""
    return np.clip(x + 0.4 * random.standard_normal(x.shape, "float32"), 0.0, 1.0)


def drawn(image):
    """Return an image as lines of characters."""
    return ["".join(" .:*#"[int(4.99 * place)] for place in row) for row in image[2:26:2, 4:24, 0]]


encoder = Sequential(
    [
        layers.Input((28, 28, 1)),
        layers.Conv2D(16, 3, strides=2, padding="same", activation="relu"),
        layers.Conv2D(8, 3, strides=2, padding="same", activation="relu"),
    ],
    name="encoder",
)
decoder = Sequential(
    [
        layers.Input((7, 7, 8)),
        layers.Conv2DTranspose(8, 4, strides=2, padding="same", activation="relu"),
        layers.Conv2DTranspose(16, 4, strides=2, padding="same", activation="relu"),
        layers.Conv2D(1, 3, padding="same", activation="sigmoid"),
    ],
    name="decoder",
)
model = Sequential([layers.Input((28, 28, 1)), encoder, decoder])
model.compile("adam", "binary_crossentropy")
model.summary()

given = noisy(x_test)
model.fit(noisy(x_train), x_train, batch_size=32, epochs=8, verbose=2)
found = model.predict(given, verbose=0)
for lines in zip(*(drawn(images[0]) for images in (x_test, given, found)), strict=True):
    print("   ".join(lines))
before, after = (np.mean((images - x_test) ** 2) for images in (given, found))
print(f"Mean square error: {before:.4f} with the noise, {after:.4f} without")
print(f"{encoder.predict(given, verbose=0).size // len(given)} numbers an image in between")
