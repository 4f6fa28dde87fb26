"""Models as structures: stacking, building, weights, summary, memory."""

import numpy as np
import pytest

from chainrule import ops
from chainrule.errors import ArgumentError, GraphError, NotBuiltError, ShapeError
from chainrule.layers import Dense, Dropout, Flatten, Input
from chainrule.models import Model, Sequential
from chainrule.models.memory import size

X = np.random.default_rng(0).standard_normal((20, 4)).astype("float32")


def stack():
    return Sequential([Input((4,)), Dense(8, activation="relu"), Dense(3)], name="stack")


def test_a_stack_with_input_is_built_at_once():
    model = stack()
    assert model.built and model.count_params() == 67
    assert model.input_shape == (None, 4) and model.output_shape == (None, 3)
    assert [w.shape for w in model.get_weights()] == [(4, 8), (8,), (8, 3), (3,)]


def test_input_shape_of_the_first_layer():
    model = Sequential([Flatten(input_shape=(2, 2)), Dense(3)])
    assert model.built and model.output_shape == (None, 3)


def test_a_stack_without_input_is_built_by_data():
    model = Sequential([Dense(8), Dense(3)])
    assert not model.built
    with pytest.raises(NotBuiltError, match="input"):
        model.memory()
    assert model.predict(X, verbose=0).shape == (20, 3)
    assert model.built and model.count_params() == 67
    other = Sequential([Dense(8), Dense(3)])
    other.build((None, 4))
    assert other.count_params() == 67


def test_add_and_pop():
    model = Sequential([Input((4,))])
    model.add(Dense(8))
    model.add(Dense(3))
    assert model.output_shape == (None, 3)
    assert model.pop() is not None
    assert model.output_shape == (None, 8) and model.count_params() == 40
    assert model.predict(X, verbose=0).shape == (20, 8)
    model.add(Dense(2))
    assert model.predict(X, verbose=0).shape == (20, 2)


def test_a_model_that_was_trained_may_grow():
    model = stack()
    model.compile("sgd", "mse")
    model.fit(X, X[:, :3], verbose=0)
    model.add(Dense(1))
    model.compile("sgd", "mse")
    model.fit(X, X[:, 0], verbose=0)
    assert model.predict(X, verbose=0).shape == (20, 1)


@pytest.mark.parametrize("layer", [Dense, "dense", None, 3])
def test_only_layers_are_stacked(layer):
    with pytest.raises(ArgumentError, match="made of layers"):
        Sequential([layer])


def test_stack_refuses():
    with pytest.raises(ArgumentError, match="first layer"):
        Sequential([Dense(3), Input((4,))])
    with pytest.raises(ArgumentError, match="two layers are called 'a'"):
        Sequential([Dense(3, name="a"), Dense(3, name="a")])
    with pytest.raises(ArgumentError, match="no layer"):
        Sequential([]).pop()


def test_calling_a_model_is_predicting():
    model = stack()
    assert np.allclose(np.asarray(model(X)), model.predict(X, verbose=0), atol=1e-6)


def test_weights_go_in_and_out():
    model, other = stack(), stack()
    other.set_weights(model.get_weights())
    assert np.array_equal(model.predict(X, verbose=0), other.predict(X, verbose=0))
    with pytest.raises(ShapeError):
        other.set_weights(model.get_weights()[:2])
    with pytest.raises(ShapeError):
        other.set_weights([w.T for w in model.get_weights()])
    assert np.array_equal(model.predict(X, verbose=0), other.predict(X, verbose=0))


def test_layers_by_name_and_position():
    model = Sequential([Input((4,)), Dense(8, name="hidden"), Dense(3, name="out")])
    assert model.get_layer("out") is model.layers[1] is model.get_layer(index=-1)
    with pytest.raises(ArgumentError, match="did you mean 'hidden'"):
        model.get_layer("hiden")
    with pytest.raises(ArgumentError, match="no layer 5"):
        model.get_layer(index=5)


def test_summary():
    model = Sequential([Input((4,)), Dense(8, name="hidden"), Dropout(0.1, name="d"), Dense(3)])
    model.layers[0].trainable = False
    lines = []
    model.summary(print_fn=lines.append)
    text = "\n".join(lines)
    for words in ("hidden (Dense)", "d (Dropout)", "(None, 8)", "Param #", "Total params: 67",
                  "Trainable params: 27", "Non-trainable params: 40"):  # fmt: skip
        assert words in text


def test_summary_before_building():
    lines = []
    Sequential([Dense(3)]).summary(print_fn=lines.append)
    assert "unbuilt" in lines[0]


def test_memory():
    model = stack()
    assert model.memory().weights == 67 * 4
    model.compile("adam", "mse")
    small, large = model.memory(batch_size=8), model.memory(batch_size=4096)
    assert small.weights == 67 * 4 and small.optimizer >= 2 * 67 * 4
    assert large.buffers > small.buffers
    assert (
        small.total == small.weights + small.optimizer + small.buffers + small.scratch + small.copy
    )
    assert "batches of 8" in str(small) and "optimizer" in str(small)
    with pytest.raises(ArgumentError, match="batch_size"):
        model.memory(0)


@pytest.mark.parametrize(
    ("nbytes", "text"), [(60, "60 bytes"), (2048, "2.0 KiB"), (3 << 30, "3.0 GiB")]
)
def test_sizes(nbytes, text):
    assert size(nbytes) == text


class Own(Model):
    def __init__(self):
        super().__init__()
        self.flatten = Flatten()
        self.hidden = Dense(8)
        self.out = Dense(3, activation="softmax")

    def call(self, inputs):
        return self.out(ops.relu(self.hidden(self.flatten(inputs))))


def test_a_class_of_ones_own_trains():
    model = Own()
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    labels = X[:, :3].argmax(1)
    history = model.fit(X.reshape(20, 2, 2), labels, epochs=60, verbose=0).history["loss"]
    assert history[-1] < history[0]
    assert [layer.name for layer in model.layers] == [
        layer.name for layer in (model.flatten, model.hidden, model.out)
    ]
    assert model.count_params() == 67 and model.output_shape == (None, 3)
    lines = []
    model.summary(print_fn=lines.append)
    assert "(None, 8)" in lines[0]


def test_a_class_of_ones_own_is_built_by_shape():
    model = Own()
    model.build((None, 2, 2))
    assert len(model.get_weights()) == 4


def test_a_class_without_call():
    with pytest.raises(GraphError, match="must define call"):
        Model().build((None, 2))


def test_several_outputs_can_be_predicted():
    class Two(Own):
        def call(self, inputs):
            hidden = self.hidden(self.flatten(inputs))
            return hidden, self.out(hidden)

    first, second = Two().predict(X, verbose=0)
    assert first.shape == (20, 8) and second.shape == (20, 3)
