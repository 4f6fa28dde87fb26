"""Strings of three to seven spoken digits, of which no one says where each digit begins.

Recordings are strung together at random: those of the training data to train on, each round anew,
and those that the network has not heard to test with. The loss sums over all ways to lay the string
over the frames (connectionist temporal classification).

Source: Graves, Fernandez, Gomez and Schmidhuber, "Connectionist temporal classification: labelling
unsegmented sequence data with recurrent neural networks", ICML 2006.
"""

import numpy as np

from chainrule import metrics, ops
from chainrule.datasets import spoken_digits
from chainrule.layers import GRU, Bidirectional, Dense, Dropout, Masking
from chainrule.models import Sequential
from chainrule.optimizers import Adam
from chainrule.optimizers.schedules import CosineDecay
from chainrule.utils import pad_sequences, set_random_seed

FRAMES = 230  # that a string may have: hardly one of seven digits needs more
ROUNDS, STRINGS, BATCH = 8, 1504, 16


def drawn(recordings, digits, rng):
    """Return the frames of one string, and its digits."""
    while True:
        chosen = rng.integers(0, len(digits), rng.integers(3, 8))
        frames = np.concatenate([recordings[i] for i in chosen])
        if len(frames) <= FRAMES:
            return frames, digits[chosen]


def strings(recordings, digits, count, rng):
    """Return frames [n, t, 13] and labels [n, l]; class 0 is the blank, so digit d is class d + 1.

    Zeros fill up what is shorter: no frame is all zeros, and no label is the blank.
    """
    frames, labels = zip(*(drawn(recordings, digits, rng) for _ in range(count)), strict=True)
    x = pad_sequences(frames, maxlen=FRAMES, dtype="float32", padding="post")
    return x, pad_sequences([digits + 1 for digits in labels], maxlen=7, padding="post")


def said(labels):
    """Return e.g. ``3 1 4`` for decoded labels, which end with -1."""
    return " ".join(str(label - 1) for label in labels if label > 0)


set_random_seed(1)
rng = np.random.default_rng(1)
(x_train, y_train), (x_test, y_test) = spoken_digits.load_data()
every_frame = np.concatenate(x_train)
mean, deviation = every_frame.mean(axis=0), every_frame.std(axis=0)
x_train, x_test = ([(x - mean) / deviation for x in xs] for xs in (x_train, x_test))

model = Sequential(
    [
        Masking(0.0),
        Bidirectional(GRU(64, return_sequences=True)),
        Dropout(0.3),
        Bidirectional(GRU(64, return_sequences=True)),
        Dropout(0.3),
        Dense(11),  # the logits of the blank and the ten digits, in each frame
    ]
)
rate = CosineDecay(3e-3, decay_steps=ROUNDS * STRINGS // BATCH)
model.compile(Adam(rate, clipnorm=1.0), "ctc", metrics=[metrics.CharacterErrorRate(name="errors")])
for _ in range(ROUNDS):
    x, y = strings(x_train, y_train, STRINGS, rng)
    model.fit(x, y, batch_size=BATCH, verbose=2)

x, y = strings(x_test, y_test, 600, rng)
logits, lengths = model.predict(x, verbose=0), (x != 0).any(axis=2).sum(axis=1)
for strategy in ("greedy", "beam_search"):
    labels, _ = ops.ctc_decode(logits, lengths, strategy=strategy, beam_width=20)
    decoded = labels.numpy()[0]
    errors = metrics.CharacterErrorRate()(y, decoded)
    whole = np.mean([said(a) == said(b) for a, b in zip(y, decoded, strict=True)])
    print(f"{strategy:11} character error rate {errors:.2%}, strings without error {whole:.1%}")
for heard, true in list(zip(decoded, y, strict=True))[:5]:
    print(f"said: {said(true):13}  heard: {said(heard)}")
