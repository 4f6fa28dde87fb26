"""A bidirectional LSTM tells sentences for a film from sentences against it.

Sources: Schuster and Paliwal, "Bidirectional recurrent neural networks", IEEE Transactions on
Signal Processing 45 (1997); of the sentences: see `chainrule.datasets.movie_reviews`.
"""

import numpy as np

from chainrule.callbacks import EarlyStopping
from chainrule.datasets import movie_reviews
from chainrule.layers import LSTM, Bidirectional, Dense, Dropout, Embedding, TextVectorization
from chainrule.models import Sequential
from chainrule.utils import bucket_by_length, set_random_seed

set_random_seed(1)
(text_train, y_train), (text_test, y_test) = movie_reviews.load_data()
vectorize = TextVectorization(max_tokens=8000, ragged=True)
vectorize.adapt(text_train)
# Each batch holds sentences of similar length, so that little of it is padding.
training = bucket_by_length(vectorize(text_train[:-800]), y_train[:-800], batch_size=64)
held_out = bucket_by_length(vectorize(text_train[-800:]), y_train[-800:])
test = bucket_by_length(vectorize(text_test), y_test)
print(f"batches of {training.boundaries} words, {training.padding_share:.0%} of them padding")

model = Sequential(
    [
        Embedding(vectorize.vocabulary_size(), 64, mask_zero=True),
        Dropout(0.5),
        Bidirectional(LSTM(64)),
        Dropout(0.5),
        Dense(1, activation="sigmoid"),
    ]
)
model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
stop = EarlyStopping(patience=1, restore_best_weights=True)
model.fit(training, epochs=6, validation_data=held_out, callbacks=[stop], verbose=2)
model.summary()

loss, accuracy = model.evaluate(test, verbose=0)
majority = max(y_test.mean(), 1 - y_test.mean())
print(f"Test accuracy: {accuracy:.4f} (always the same answer: {majority:.4f})")

found = model.predict(test, verbose=0)[:, 0]
surest = np.argsort(-np.abs(found - y_test))[:3]
print("Where it was surest and wrong:")
for row in surest:
    print(f"  {found[row]:.2f} for {text_test[row]}")
own = ["A warm, funny and moving film.", "Dull, lifeless and far too long.", ""]
answers = model.predict(bucket_by_length(vectorize(own)), verbose=0)[:, 0]
for text, answer in zip(own, answers, strict=True):
    print(f"  {answer:.2f} for {text!r}")
