"""A perceptron with one hidden layer learns handwritten digits, is saved, and is used again."""

from chainrule.callbacks import EarlyStopping
from chainrule.datasets import digits
from chainrule.layers import Dense, Dropout, Flatten, Input, Rescaling
from chainrule.models import Sequential, load_model
from chainrule.utils import set_random_seed

set_random_seed(7)
(x_train, y_train), (x_test, y_test) = digits.load_data()

model = Sequential(
    [
        Input((28, 28)),
        Rescaling(1 / 255),
        Flatten(),
        Dense(128, activation="relu"),
        Dropout(0.2),
        Dense(10, activation="softmax"),
    ]
)
model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
model.summary()
model.fit(
    x_train,
    y_train,
    batch_size=32,
    epochs=30,
    validation_split=0.2,
    callbacks=[EarlyStopping(patience=5, restore_best_weights=True)],
)
model.save("digits.chainrule")

model = load_model("digits.chainrule")
loss, accuracy = model.evaluate(x_test, y_test, verbose=0)
print(f"Test accuracy: {accuracy:.4f}, loss {loss:.4f}")
print("The first five digits are", y_test[:5], "and are read as", end=" ")
print(model.predict(x_test[:5], verbose=0).argmax(axis=1))
