"""A model on a table with text, gaps and numbers; the saved model takes rows as they are."""

from pathlib import Path

import numpy as np

from chainrule.data import TablePreprocessing
from chainrule.data.columns import choose_features
from chainrule.data.preprocessing import as_records
from chainrule.data.tables import as_table
from chainrule.layers import Dense, Input
from chainrule.models import Sequential, load_model
from chainrule.utils import set_random_seed

set_random_seed(7)
random = np.random.default_rng(7)
age = random.integers(18, 80, 500).astype(float)
city = random.choice(["Bern", "Oslo", "Rome"], 500)
bought = (age > 45) ^ (city == "Oslo")
age[::20] = np.nan

table = as_table({"age": age, "city": city})
preprocessing = TablePreprocessing(choose_features(table, ["age", "city"]).columns)
model = Sequential(
    [Input(()), preprocessing, Dense(32, activation="relu"), Dense(2, activation="softmax")]
)
model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(as_records(table), bought.astype(int), epochs=40, validation_split=0.2, verbose=0)
model.label_names = ["no", "yes"]
model.save("shop.chainrule")

model = load_model("shop.chainrule")
visitors = as_records(as_table({"age": [30, 70, 30], "city": ["Oslo", "Oslo", "Rome"]}))
for visitor, answer in zip(visitors, model.predict(visitors, verbose=0), strict=True):
    print(*visitor, "->", model.label_names[answer.argmax()])
Path("shop.chainrule").unlink()
