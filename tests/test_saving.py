"""Models in files: what is kept, what is refused, what is never left behind."""

import json
import os
import tracemalloc

import numpy as np
import pytest

from chainrule import named, ops
from chainrule.errors import ChainruleWarning, FileError
from chainrule.layers import (
    CategoryEncoding,
    Dense,
    Dropout,
    Flatten,
    Input,
    Normalization,
    StringLookup,
)
from chainrule.losses import SparseCategoricalCrossentropy
from chainrule.models import Model, Sequential, container, load_model
from chainrule.optimizers import SGD, Adam

RANDOM = np.random.default_rng(3)
X = RANDOM.standard_normal((40, 2, 3)).astype("float32")
Y = RANDOM.integers(0, 3, 40)


def network(optimizer="adam", loss="sparse_categorical_crossentropy"):
    layers = [Input((2, 3)), Flatten(), Dense(8, activation="relu", name="hidden"), Dropout(0.3)]
    model = Sequential([*layers, Dense(3, activation="softmax")], name="small")
    model.compile(optimizer, loss, metrics=["accuracy"])
    return model


@pytest.mark.parametrize("optimizer", ["adam", SGD(0.1, momentum=0.9, nesterov=True), Adam(0.01)])
def test_a_loaded_model_goes_on_as_if_it_had_not_been_away(tmp_path, optimizer):
    model = network(optimizer)
    model.fit(X, Y, batch_size=8, verbose=0)
    model.save(tmp_path / "m.chainrule")
    loaded = load_model(tmp_path / "m.chainrule")
    assert loaded.name == "small" and loaded.get_config() == model.get_config()
    assert loaded.evaluate(X, Y, verbose=0) == model.evaluate(X, Y, verbose=0)
    for each in (model, loaded):
        each.fit(X, Y, batch_size=8, epochs=2, verbose=0)
    for a, b in zip(model.get_weights(), loaded.get_weights(), strict=True):
        assert np.array_equal(a, b)


def test_what_goes_with_a_model(tmp_path):
    model = network(loss=SparseCategoricalCrossentropy())
    model.label_names = ["猫", "dog", "bird"]
    model.metadata = {"columns": ["a", "b"], "rows": 40}
    model.save(tmp_path / "m.chainrule")
    loaded = load_model(str(tmp_path / "m.chainrule"))
    assert loaded.label_names == model.label_names and loaded.metadata == model.metadata
    assert isinstance(loaded.loss, SparseCategoricalCrossentropy)
    assert load_model(tmp_path / "m.chainrule", compile=False).optimizer is None


def test_normalization_is_part_of_the_model(tmp_path):
    normalization = Normalization()
    normalization.adapt(X.reshape(40, 6) * 5 + 3)
    model = Sequential([Input((6,)), normalization, Dense(2)])
    model.save(tmp_path / "m.chainrule")
    x = X.reshape(40, 6)
    expected = model.predict(x, verbose=0)
    assert np.array_equal(load_model(tmp_path / "m.chainrule").predict(x, verbose=0), expected)


def test_a_model_compiled_with_a_function_loads_without_it(tmp_path):
    model = Sequential([Input((3,)), Dense(1)])
    model.compile("sgd", loss=lambda y, p: (y - p) ** 2)
    model.save(tmp_path / "m.chainrule")
    loaded = load_model(tmp_path / "m.chainrule")
    assert loaded.optimizer is None and loaded.count_params() == 4


def test_other_programs_read_the_arrays(tmp_path):
    safetensors = pytest.importorskip("safetensors.numpy")
    model = network()
    model.save(tmp_path / "m.chainrule")
    arrays = safetensors.load_file(tmp_path / "m.chainrule")
    kernel = next(a for name, a in arrays.items() if a.shape == (6, 8) and "model/" in name)
    assert np.array_equal(kernel, model.get_weights()[0])


def test_every_cut_and_every_flipped_bit_is_seen(tmp_path):
    path = tmp_path / "m.chainrule"
    container.write(path, {"w": np.arange(3.0), "i": np.arange(2)}, {"format": "x"})
    content = path.read_bytes()
    arrays, about = container.read(path)
    assert about["format"] == "x" and arrays["w"].tolist() == [0, 1, 2]
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(FileError):
            container.read(path)
    for bit in range(8 * len(content)):
        changed = bytearray(content)
        changed[bit // 8] ^= 1 << bit % 8
        path.write_bytes(changed)
        with pytest.raises(FileError):
            container.read(path)
    path.write_bytes(content + b"\0")
    with pytest.raises(FileError, match="too long"):
        container.read(path)


def header(entries):
    text = json.dumps({"__metadata__": {"sha256": "0" * 64}, **entries}).encode()
    return len(text).to_bytes(8, "little") + text


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x89PNG\r\n\x1a\n" + bytes(100),
        b"\x80\x04\x95pickle" + bytes(100),
        (2**62).to_bytes(8, "little") + b"{}",
        header({"w": {"dtype": "F32", "shape": [2**40, 2**40], "data_offsets": [0, 4]}}),
        header({"w": {"dtype": "F32", "shape": [-1], "data_offsets": [0, -4]}}),
        header({"w": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}}) + bytes(8),
        header({"w": {"dtype": "OBJ", "shape": [1], "data_offsets": [0, 8]}}) + bytes(8),
        header({"w": {"dtype": ["F32"], "shape": [1], "data_offsets": [0, 4]}}) + bytes(4),
        header({"w": [1, 2]}),
        header({"w": {"dtype": "F32", "shape": [1.0], "data_offsets": [0, 4]}}) + bytes(4),
        b"\x10\0\0\0\0\0\0\0" + b"{" * 16,
    ],
)
def test_foreign_files(tmp_path, content):
    path = tmp_path / "m.chainrule"
    path.write_bytes(content)
    with pytest.raises(FileError, match=r"m\.chainrule"):
        load_model(path)


def test_files_of_another_kind_or_time(tmp_path):
    path = tmp_path / "m.chainrule"
    for about, words in (
        ({"format": "other"}, "not a chainrule file"),
        ({"format": "chainrule", "version": "99"}, "newer chainrule"),
        ({"format": "chainrule", "version": "1", "content": "weights"}, "holds weights"),
        ({"format": "chainrule", "version": "1", "content": "model", "model": "{}"}, "no model"),
    ):
        container.write(path, {}, about)
        with pytest.raises(FileError, match=words):
            load_model(path)


def test_a_layer_that_is_not_known(tmp_path):
    network().save(tmp_path / "m.chainrule")
    arrays, about = container.read(tmp_path / "m.chainrule")
    about["model"] = about["model"].replace("Flatten", "os.system")
    container.write(tmp_path / "m.chainrule", arrays, about)
    with pytest.raises(FileError, match=r"os\.system"):
        load_model(tmp_path / "m.chainrule")


def test_a_missing_file_and_a_missing_folder(tmp_path):
    with pytest.raises(FileError, match="No such file"):
        load_model(tmp_path / "none.chainrule")
    with pytest.raises(FileError, match="cannot write"):
        network().save(tmp_path / "none" / "m.chainrule")


def test_a_save_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "m.chainrule"
    network().save(path)
    content = path.read_bytes()

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(FileError, match="No space left"):
        network().save(path)
    assert path.read_bytes() == content and os.listdir(tmp_path) == ["m.chainrule"]


def test_a_file_replaces_the_old_one_and_keeps_its_permissions(tmp_path):
    path = tmp_path / "m.chainrule"
    path.write_bytes(b"old")
    path.chmod(0o640)
    network().save(path)
    assert path.stat().st_mode & 0o777 == 0o640
    assert load_model(path).count_params() == network().count_params()


class Own(Model):
    def __init__(self):
        super().__init__()
        self.hidden = Dense(4, activation="relu")
        self.out = Dense(2)

    def call(self, inputs):
        return self.out(self.hidden(inputs))


def test_weights_of_a_class_of_ones_own(tmp_path):
    first, second = Own(), Own()
    for model in (first, second):
        model.build((None, 3))
    with pytest.raises(FileError, match="save_weights"):
        first.save(tmp_path / "m.keras")
    first.save_weights(tmp_path / "w.chainrule")
    second.load_weights(tmp_path / "w.chainrule")
    for a, b in zip(first.get_weights(), second.get_weights(), strict=True):
        assert np.array_equal(a, b)


def test_weights_of_another_structure(tmp_path):
    network().save(tmp_path / "m.chainrule")
    other = Sequential([Input((3,)), Dense(2)])
    before = other.get_weights()
    with pytest.raises(FileError, match="do not fit"):
        other.load_weights(tmp_path / "m.chainrule")
    assert np.array_equal(before[0], other.get_weights()[0])
    with pytest.raises(FileError, match="no weights yet"):
        Sequential([Dense(2)]).save(tmp_path / "x.chainrule")


def test_a_model_that_takes_text_still_does_after_loading(tmp_path):
    words = np.array([["red"], ["green"], ["blue"], ["red"]] * 5)
    lookup = StringLookup(vocabulary=["red", "green", "blue"])
    encode = CategoryEncoding(num_tokens=4, output_mode="one_hot")
    model = Sequential([lookup, encode, Dense(2, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(words, [0, 1, 1, 0] * 5, epochs=3, verbose=0)
    assert model.memory(4).weights == 40
    model.save(tmp_path / "m.chainrule")
    loaded = load_model(tmp_path / "m.chainrule")
    expected = model.predict(words, verbose=0)
    assert np.array_equal(loaded.predict(words, verbose=0), expected)
    assert np.array_equal(loaded.predict_on_batch(words), expected)
    assert np.allclose(np.asarray(loaded(words.tolist())), expected, atol=1e-6)
    assert loaded.predict([["purple"]], verbose=0).shape == (1, 2)


def told_otherwise(path, change, compiled=None):
    """Change what the file says of the model's layers, or of how it was compiled."""
    arrays, about = container.read(path)
    described = json.loads(about["model"])
    change(described["config"])
    about["model"] = json.dumps(described)
    if compiled is not None:
        about["compile"] = json.dumps(json.loads(about["compile"]) | compiled)
    container.write(path, arrays, about)


def refused_within(path, nbytes):
    tracemalloc.start()
    with pytest.raises(FileError, match=r"far more memory than its file|cannot hold"):
        load_model(path)
    assert tracemalloc.get_traced_memory()[1] < nbytes
    tracemalloc.stop()


X_THEN = {"symbol": 0}


@pytest.mark.parametrize(
    ("function", "args"),
    [
        ("eye", [20_000]),
        ("tri", [20_000]),
        ("arange", [2**27]),
        ("arange", [0, 1, 1e-9]),
        ("linspace", [0, 1, 2**27]),
        ("linspace", [0, X_THEN, 2**27]),
        ("repeat", [X_THEN, [2**27, 1, 1], 1]),
        ("diff", [X_THEN, 10**8]),
        ("add", [X_THEN, {"array": [1], "dtype": "U500000000"}]),
    ],
)
def test_operations_cannot_ask_for_more_memory_than_the_file_has(tmp_path, function, args):
    x, path = Input((3,)), tmp_path / "m.chainrule"
    Model(x, ops.relu(x)).save(path)

    def change(config):
        config["layers"][0]["config"].update(function=function, args=args)

    told_otherwise(path, change)
    refused_within(path, 2e6)


@pytest.mark.parametrize("name", ["sparsemax", "unstack"])
def test_sizes_of_inputs_cannot_either(tmp_path, name):
    x, path = Input((3,)), tmp_path / "m.chainrule"
    found = ops.sparsemax(x) if name == "sparsemax" else ops.unstack(x, axis=1)[0]
    Model(x, found).save(path)
    told_otherwise(path, lambda config: config["entries"][0].update(shape=[2**27]))
    refused_within(path, 2e6)


def test_metrics_cannot_either(tmp_path):
    path = tmp_path / "m.chainrule"
    network().save(path)
    wide = {"metrics": [{"class_name": "AUC", "config": {"num_thresholds": 2**30}}]}
    told_otherwise(path, lambda config: None, wide)
    refused_within(path, 2e6)


def two():
    return Sequential([Input((2, 3)), Flatten(), Dense(4, name="a"), Dense(4, name="b")])


def trained_in_turns(frozen_first):
    """Return a model of which one layer was frozen, first or in the end."""
    model = two()
    model.compile(Adam(0.01, use_ema=True), "mse")
    for frozen in (frozen_first, not frozen_first):
        model.layers[1].trainable = not frozen
        model.fit(X, np.ones((40, 4)), epochs=2, verbose=0)
    return model


def slots(model):
    return {v.name: v.numpy() for v in model.optimizer.variables}


def older(path):
    """Make it a file that does not tell which weights the optimizer had slots for."""
    arrays, about = container.read(path)
    state = json.loads(about["state"])
    del state["slots"]
    about["state"] = json.dumps(state)
    container.write(path, arrays, about)


@pytest.mark.parametrize("frozen_first", [True, False])
@pytest.mark.parametrize("change", [older, lambda path: None])
def test_slots_are_those_of_their_weights(tmp_path, frozen_first, change):
    model, path = trained_in_turns(frozen_first), tmp_path / "m.chainrule"
    model.save(path)
    change(path)
    loaded = load_model(path)
    before, after = slots(model), slots(loaded)
    assert {*before} == {*after}
    assert all(np.array_equal(before[name], after[name]) for name in before)
    for each in (model, loaded):
        each.layers[1].trainable = True
        each.fit(X, np.ones((40, 4)), verbose=0)
    for a, b in zip(model.get_weights(), loaded.get_weights(), strict=True):
        assert np.array_equal(a, b)


def test_slots_in_the_order_of_training_are_read(tmp_path):
    model, path = trained_in_turns(True), tmp_path / "m.chainrule"
    model.save(path)
    older(path)
    arrays, about = container.read(path)
    rest = {k: v for k, v in arrays.items() if not k.startswith("optimizer/")}
    held = {f"optimizer/{i:03}/{v.name}": v.value for i, v in enumerate(model.optimizer.variables)}
    assert [*held] != [k for k in arrays if k.startswith("optimizer/")]
    container.write(path, rest | held, about)
    before, after = slots(model), slots(load_model(path))
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_an_optimizer_of_two_models_is_saved_for_one(tmp_path):
    optimizer, path = Adam(0.01), tmp_path / "m.chainrule"
    for _ in range(2):
        model = two()
        model.compile(optimizer, "mse")
        model.fit(X, np.ones((40, 4)), verbose=0)
    model.save(path)
    assert len(load_model(path).optimizer.variables) == 2 + 2 * 4


@pytest.mark.parametrize("places", [[1, 0], [0, 0], [4], [-1], [True], "01", [0, 1, 2, 3, 10**9]])
def test_places_that_are_none(tmp_path, places):
    path = tmp_path / "m.chainrule"
    trained_in_turns(True).save(path)
    arrays, about = container.read(path)
    about["state"] = json.dumps(json.loads(about["state"]) | {"slots": places})
    container.write(path, arrays, about)
    with pytest.raises(FileError, match="are not places among 4 weights"):
        load_model(path)


def gap(y_true, y_pred):
    return ops.mean(ops.abs(y_true - y_pred), axis=-1)


def falling(step):
    return 0.1 / (ops.cast(step, "float64") + 1.0)


def with_functions(rate=0.01):
    model = two()
    model.compile(Adam(rate), gap, metrics=[gap])
    return model


def uncompiled(path):
    with pytest.warns(ChainruleWarning, match=r"compiled with (falling, )?gap, not known here"):
        return load_model(path)


def goes_on(model, loaded):
    for each in (model, loaded):
        each.fit(X, np.ones((40, 4)), verbose=0)
    same = zip(model.get_weights(), loaded.get_weights(), strict=True)
    return all(np.array_equal(a, b) for a, b in same)


@pytest.mark.parametrize("rate", [0.01, falling])
@pytest.mark.parametrize("again", [False, True])
def test_what_was_compiled_with_functions_goes_on_once_it_is_compiled(tmp_path, rate, again):
    model, path = with_functions(rate), tmp_path / "m.chainrule"
    model.fit(X, np.ones((40, 4)), verbose=0)
    model.save(path)
    loaded = uncompiled(path)
    if again:  # nothing is lost by saving it as it is
        loaded.save(path)
        loaded = load_model(path)
    loaded.compile(Adam(rate), gap)
    assert int(loaded.optimizer.iterations) == 2 and goes_on(model, loaded)
    loaded.compile(Adam(rate), gap)
    assert int(loaded.optimizer.iterations) == 0


@pytest.mark.parametrize("rate", [0.01, falling])
def test_registered_functions_are_found(tmp_path, rate, monkeypatch):
    known = {"test>gap": gap, "test>falling": falling}
    model, path = with_functions(rate), tmp_path / "m.chainrule"
    with monkeypatch.context() as patch:
        patch.setattr(named, "_registered", known)
        model.fit(X, np.ones((40, 4)), verbose=0)
        model.save(path)
        loaded = load_model(path)
        assert loaded.loss.function is gap and goes_on(model, loaded)
        assert loaded.metrics_names == ["loss", "gap"]
    with pytest.raises(FileError, match=r"'test>\w+', which is not registered[\s\S]*fix"):
        load_model(path)
    assert load_model(path, compile=False).optimizer is None


def test_another_optimizer_or_rate_than_that_of_the_file_is_told(tmp_path):
    model, path = with_functions(), tmp_path / "m.chainrule"
    model.fit(X, np.ones((40, 4)), verbose=0)
    model.save(path)
    loaded = uncompiled(path)
    with pytest.warns(UserWarning, match="the state of another optimizer"):
        loaded.compile(SGD(0.01, momentum=0.9), gap)
    assert int(loaded.optimizer.iterations) == 0
    loaded = uncompiled(path)
    with pytest.warns(UserWarning, match=r"rate of 0\.01; the one given to compile holds, 0\.02"):
        loaded.compile(Adam(0.02), gap)
    assert int(loaded.optimizer.iterations) == 2
    load_model(path, compile=False).compile("sgd", gap)
