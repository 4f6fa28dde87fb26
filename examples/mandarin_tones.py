"""The four tones of Mandarin, told apart by the pitch of real recordings of unseen syllables.

The recordings are those of Debian's package gcin-voice: about 1,200 syllables, each said by a man
and by a woman. To get them:

    apt install gcin-voice                                       # on Debian or Ubuntu, or
    apt download gcin-voice && dpkg-deb -x gcin-voice_*.deb .    # without installing it
    python mandarin_tones.py usr/share/gcin-voice/ogg

Folders are called by syllable and tone: ㄇㄚ (high), ㄇㄚ2 (rising), ㄇㄚ3 (low), ㄇㄚ4 (falling).
"""

import sys
from pathlib import Path

import numpy as np

from chainrule.layers import (
    GRU,
    Bidirectional,
    Dense,
    Dropout,
    GaussianNoise,
    Input,
    Masking,
    TimeMasking,
)
from chainrule.models import Sequential
from chainrule.optimizers import Adam
from chainrule.optimizers.schedules import CosineDecay
from chainrule.preprocessing.audio import cmvn_by_speaker, pitch
from chainrule.utils import load_audio, pad_sequences, set_random_seed

FOLDER = Path(sys.argv[1] if len(sys.argv) > 1 else "/usr/share/gcin-voice/ogg")
TONES = {"": "high", "2": "rising", "3": "low", "4": "falling"}  # and 1, the neutral one, of few
FRAMES, BATCH, EPOCHS, RATE = 64, 32, 30, 16000


def recordings(folder):
    """Return pitch [t, 4], tone, syllable and speaker of each recording."""
    for place in sorted(path for path in folder.iterdir() if path.is_dir()):
        syllable = place.name.rstrip("1234")
        tone = place.name[len(syllable) :]
        if tone in TONES:
            for path in sorted(place.glob("*.ogg")):
                samples, rate = load_audio(path, RATE)
                frames = pitch(samples, rate, max_freq=600.0)
                yield frames, list(TONES).index(tone), syllable, path.stem


def train(folder):
    """Print how many tones of unseen syllables are right, and which are taken for which."""
    set_random_seed(3)
    frames, tones, syllables, speakers = zip(*recordings(folder), strict=True)
    # A man's high tone may be lower than a woman's low one.
    normal = cmvn_by_speaker(frames, speakers)
    x = pad_sequences(normal, FRAMES, dtype="float32", padding="post", truncating="post")
    y = np.array(tones)
    unseen = set(np.random.default_rng(0).permutation(sorted(set(syllables)))[::5])
    test = np.array([syllable in unseen for syllable in syllables])

    model = Sequential(
        [
            Input(x.shape[1:]),
            Masking(),
            GaussianNoise(0.1),
            TimeMasking(8),
            Bidirectional(GRU(64)),
            Dropout(0.5),
            Dense(len(TONES), activation="softmax"),
        ]
    )
    rate = CosineDecay(4e-3, np.sum(~test) // BATCH * EPOCHS)
    model.compile(Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x[~test], y[~test], batch_size=BATCH, epochs=EPOCHS, verbose=2)
    found = model.predict(x[test], verbose=0).argmax(axis=1)

    print(f"{np.sum(~test)} recordings to learn from, {np.sum(test)} of {len(unseen)} others")
    print(f"accuracy {np.mean(found == y[test]):.4f}")
    print("".join(f"{name:>9}" for name in ("", *TONES.values())), " (taken for)")
    for k, name in enumerate(TONES.values()):
        counts = np.bincount(found[y[test] == k], minlength=len(TONES))
        print(f"{name:>9}" + "".join(f"{count:9}" for count in counts))


if FOLDER.is_dir():
    train(FOLDER)
else:
    print(f"there is no folder {str(FOLDER)!r}\n{__doc__}")
