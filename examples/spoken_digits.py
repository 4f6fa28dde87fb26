"""Spoken digits by a recurrent network, with parts of each recording masked while it learns.

Six people say the digits 0 to 9. A recording is a sequence of frames of 13 MFCCs, from 6 to 92 of
them; what is shorter than 60 is followed by zeros, which `Masking` leaves out.
"""

import numpy as np

from chainrule.datasets import spoken_digits
from chainrule.layers import GRU, Dense, Dropout, FrequencyMasking, Input, Masking, TimeMasking
from chainrule.models import Sequential
from chainrule.optimizers import Adam
from chainrule.optimizers.schedules import CosineDecay
from chainrule.utils import pad_sequences, set_random_seed

LENGTH, BATCH, EPOCHS = 60, 32, 25

set_random_seed(1)
(train, y_train), (test, y_test) = spoken_digits.load_data()
frames = np.concatenate(train)
mean, deviation = frames.mean(axis=0), frames.std(axis=0)


def padded(recordings):
    """Return recordings of mean 0 and deviation 1 as one array [n, t, d]."""
    normal = [(one - mean) / deviation for one in recordings]
    return pad_sequences(normal, maxlen=LENGTH, dtype="float32", padding="post", truncating="post")


# SpecAugment: each step hides other frames and other coefficients.
model = Sequential(
    [
        Input((LENGTH, 13)),
        Masking(),
        TimeMasking(5, p=0.2),
        FrequencyMasking(3),
        GRU(128),
        Dropout(0.3),
        Dense(10, activation="softmax"),
    ]
)
steps = len(train) // BATCH * EPOCHS
model.compile(
    Adam(CosineDecay(3e-3, steps)), "sparse_categorical_crossentropy", metrics=["accuracy"]
)
model.fit(padded(train), y_train, batch_size=BATCH, epochs=EPOCHS)

loss, accuracy = model.evaluate(padded(test), y_test, verbose=0)
print(f"test accuracy {accuracy:.4f} ({len(test)} recordings)")
