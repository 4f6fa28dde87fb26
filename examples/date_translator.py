"""Dates as people write them, in English, German, French and Chinese, become 2021-03-03.

An encoder reads the letters in both directions; a decoder writes the ten characters one by one and
looks back at the letters through attention. While it learns, the decoder is given the right
characters so far (teacher forcing); afterwards its own.

Sources: Sutskever, Vinyals and Le, arXiv 1409.3215, section 2; Luong, Pham and Manning, arXiv
1508.04025, section 3.1.
"""

import datetime

import numpy as np

from chainrule.layers import (
    GRU,
    Attention,
    Bidirectional,
    Concatenate,
    Dense,
    Embedding,
    Input,
    TextVectorization,
)
from chainrule.models import Model
from chainrule.optimizers import Adam
from chainrule.optimizers.schedules import CosineDecay
from chainrule.utils import set_random_seed

DAYS, UNSEEN, BATCH, EPOCHS = 12_000, 1_000, 64, 4
SIGNS, START = "0123456789-", 11  # what the decoder writes, and what stands before the first

ENGLISH = "January February March April May June July August September October November December"
GERMAN = "Januar Februar März April Mai Juni Juli August September Oktober November Dezember"
FRENCH = "janvier février mars avril mai juin juillet août septembre octobre novembre décembre"
WEEK = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday"
CHINESE = "〇一二三四五六七八九"

set_random_seed(3)
random = np.random.default_rng(3)


def chinese(number):
    """Return a number up to 99 in Chinese characters, as it is read."""
    tens, ones = divmod(number, 10)
    ten = "" if tens == 0 else "十" if tens == 1 else f"{CHINESE[tens]}十"
    return ten + (CHINESE[ones] if ones else "")


def written(day):
    """Return a date in one of the ways in which people write it."""
    d, m, y = day.day, day.month - 1, day.year
    month, name = ENGLISH.split()[m], WEEK.split()[day.weekday()]
    ordinal = f"{d}{'th' if d in (11, 12, 13) else {1: 'st', 2: 'nd', 3: 'rd'}.get(d % 10, 'th')}"
    forms = (
        f"{d} {month} {y}",
        f"{month} {d}, {y}",
        f"{month} the {ordinal}, {y}",
        f"the {ordinal} of {month} {y}",
        f"{name}, {month} {ordinal}, {y}",
        f"{name[:3]} {d} {month[:3]} {y % 100:02}",
        f"{d}-{month[:3].upper()}-{y}",
        f"{m + 1}/{d}/{y}",
        f"{d}.{m + 1}.{y}",
        f"{d}. {GERMAN.split()[m]} {y}",
        f"{'1er' if d == 1 else d} {FRENCH.split()[m]} {y}",
        f"{y}年{m + 1}月{d}日",
        f"{''.join(CHINESE[int(c)] for c in str(y))}年{chinese(m + 1)}月{chinese(d)}日",
    )
    return forms[random.integers(len(forms))]


first = datetime.date(1970, 1, 1)
order = random.permutation((datetime.date(2070, 1, 1) - first).days)
days = [first + datetime.timedelta(int(n)) for n in order[: DAYS + UNSEEN]]
texts = [written(day) for day in days]
y = np.array([[SIGNS.index(c) for c in day.isoformat()] for day in days])
given = np.concatenate([np.full((len(y), 1), START), y[:, :-1]], axis=1)

letters = TextVectorization(
    standardize=None, split="character", output_sequence_length=max(map(len, texts))
)
letters.adapt(texts)
x = letters(texts)

source, so_far = Input(x.shape[1:], dtype="int64"), Input(y.shape[1:], dtype="int64")
read = Embedding(letters.vocabulary_size(), 32, mask_zero=True)(source)
read, ahead, back = Bidirectional(GRU(64, return_sequences=True, return_state=True))(read)
state = Concatenate()([ahead, back])
decoded = GRU(128, return_sequences=True)(Embedding(START + 1, 16)(so_far), initial_state=state)
seen = Attention(use_scale=True, name="attention")([decoded, read])
signs = Dense(len(SIGNS), activation="softmax")(Concatenate()([decoded, seen]))
model = Model([source, so_far], signs)
model.compile(
    Adam(CosineDecay(4e-3, DAYS // BATCH * EPOCHS)),
    "sparse_categorical_crossentropy",
    metrics=["accuracy"],
)
model.summary()
model.fit([x[:DAYS], given[:DAYS]], y[:DAYS], batch_size=BATCH, epochs=EPOCHS, verbose=2)


def translated(x):
    """Return the most likely characters, each given those before it."""
    found = np.full((len(x), 11), START)
    for i in range(10):
        likely = model.predict([x, found[:, :10]], batch_size=256, verbose=0)
        found[:, i + 1] = likely[:, i].argmax(-1)
    return ["".join(SIGNS[n] for n in row) for row in found[:, 1:]]


answers = translated(x[DAYS:])
right = [answer == day.isoformat() for answer, day in zip(answers, days[DAYS:], strict=True)]
for text, answer, good in [*zip(texts[DAYS:], answers, right, strict=True)][:12]:
    print(f"{answer} {' ' if good else '!'} {text}")
print(f"{np.mean(right):.4f} of {UNSEEN} unseen dates are right, every character of them")
