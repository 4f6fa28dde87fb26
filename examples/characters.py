"""An LSTM learns to write film reviews letter by letter.

It reads 32 places of the text at once, 40 letters a step, and at each letter says which comes next.
The state goes on from step to step, while derivatives go back to the step's beginning: truncated
back-propagation through time. To write, it is given its own letters one at a time.

Sources: Williams and Peng, "An efficient gradient-based algorithm for on-line training of recurrent
network trajectories", Neural Computation 2 (1990); Graves, "Generating sequences with recurrent
neural networks", arXiv 1308.0850, section 2.
"""

import numpy as np

from chainrule.callbacks import LambdaCallback
from chainrule.datasets import movie_reviews
from chainrule.layers import LSTM, Dense, Embedding, Input, TextVectorization
from chainrule.models import Sequential
from chainrule.optimizers import Adam
from chainrule.utils import set_random_seed

PLACES, STEP, LETTERS = 32, 40, 400_000

set_random_seed(1)
(text, _), _ = movie_reviews.load_data()
text = "\n".join(text)[:LETTERS]
vectorize = TextVectorization(max_tokens=60, standardize="lower", split="character")
vectorize.adapt([text])
letters = vectorize.get_vocabulary()
steps = (len(text) - 1) // (PLACES * STEP)


def in_steps(numbers):
    """Return [steps * places, letters of a step]: what a row begins goes on in the next step."""
    cut = numbers[: steps * PLACES * STEP].reshape(PLACES, steps, STEP)
    return np.ascontiguousarray(cut.transpose(1, 0, 2)).reshape(-1, STEP)


def network(places, step):
    """Return a model that says for each letter which comes next."""
    return Sequential(
        [
            Input((step,), dtype="int64"),
            Embedding(len(letters), 32),
            LSTM(160, return_sequences=True, stateful=True, name="memory"),
            Dense(len(letters), activation="softmax"),
        ],
        name=f"places_{places}",
    )


numbers = vectorize([text])[0]
model = network(PLACES, STEP)
model.compile(Adam(0.004), "sparse_categorical_crossentropy", metrics=["accuracy"])
memory = model.get_layer("memory")
forget = LambdaCallback(on_epoch_begin=lambda epoch, logs=None: memory.reset_state())
x, y = in_steps(numbers[:-1]), in_steps(numbers[1:])
history = model.fit(
    x, y, batch_size=PLACES, epochs=4, shuffle=False, callbacks=[forget], verbose=2
).history
bits = history["loss"][-1] / np.log(2)
print(f"{bits:.2f} bits a letter; without looking at any other: {np.log2(len(letters)):.2f}")

writer = network(1, 1)
writer.set_weights(model.get_weights())
random = np.random.default_rng(7)


def written(begin, temperature, length=160):
    """Return a text that begins so: low temperatures choose likely letters, high ones any."""
    writer.get_layer("memory").reset_state()
    text = begin
    for letter in vectorize([begin])[0]:
        likely = writer.predict_on_batch(np.array([[letter]]))[0, 0]
    while len(text) < length and not text.endswith("\n"):
        weights = np.log(np.maximum(likely.astype(float), 1e-9)) / temperature
        weights[:2] = -np.inf  # neither padding nor an unknown letter
        chances = np.exp(weights - weights.max())
        letter = random.choice(len(letters), p=chances / chances.sum())
        text += letters[letter]
        likely = writer.predict_on_batch(np.array([[letter]]))[0, 0]
    return text.strip()


for temperature in (0.3, 0.6, 1.0):
    for begin in ("the film ", "a "):
        print(f"{temperature}: {written(begin, temperature)}")
