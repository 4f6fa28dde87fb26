"""Weights of PyTorch modules: the same numbers on both sides."""

import json
import pickle

import numpy as np
import pytest

from chainrule import layers, models
from chainrule.errors import ArgumentError, ChainruleError, FileError, ShapeError
from chainrule.interop.torch import load_state_dict, to_state_dict
from chainrule.layers import (
    BatchNormalization,
    Dense,
    Dropout,
    GroupNormalization,
    Input,
    Layer,
    LayerNormalization,
    PReLU,
    RMSNormalization,
)
from peers import peer

torch = peer("torch")
safetensors = peer("safetensors.torch")
nn = torch.nn
RANDOM = np.random.default_rng(6)
X = RANDOM.standard_normal((9, 5)).astype("float32")


def noised(module):
    with torch.no_grad():
        for value in (*module.parameters(), *module.buffers()):
            if value.dtype.is_floating_point:
                value.copy_(torch.from_numpy(RANDOM.uniform(0.1, 1, value.shape)))
    return module.eval()


def outputs(module, x=X):
    with torch.no_grad():
        return module(torch.from_numpy(x)).numpy()


def perceptron():
    module = nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 8),
                           nn.LayerNorm(8), nn.Linear(8, 8), nn.Linear(8, 3))  # fmt: skip
    model = models.Sequential([
        Input((5,)), Dense(8), BatchNormalization(epsilon=1e-5), models.Sequential([
            Input((8,)), Dense(8, name="inner"), LayerNormalization(epsilon=1e-5)], name="nested"),
        Dense(8), Dropout(0.5), Dense(3, name="out")])  # fmt: skip
    module[2] = nn.Identity()
    return noised(module), model


@pytest.mark.parametrize("source", ["state_dict", "arrays", "file"])
def test_there_and_back(tmp_path, source):
    module, model = perceptron()
    state = module.state_dict()
    if source == "arrays":
        state = {name: value.numpy() for name, value in state.items()}
    if source == "file":
        safetensors.save_file(state, tmp_path / "w.safetensors")
        state = tmp_path / "w.safetensors"
    load_state_dict(model, state)
    np.testing.assert_allclose(model.predict(X, verbose=0), outputs(module), rtol=1e-4, atol=1e-4)
    layers = ["dense", "batch_normalization", "nested.inner", "nested.layer_normalization"]
    found = to_state_dict(model)
    assert {name.rsplit(".", 1)[0].rstrip("_0123456789") for name in found} >= {*layers[1:]}
    names = dict(zip("013456", dict.fromkeys(n.rsplit(".", 1)[0] for n in found), strict=True))
    again = noised(perceptron()[0])
    weights = {k: torch.from_numpy(v) for k, v in to_state_dict(model, names).items()}
    again.load_state_dict(weights)
    assert np.array_equal(outputs(again), outputs(module))


class Embedding(Layer):
    """What an embedding is, as a layer of one's own."""

    def build(self, input_shape):
        self.table = self.add_weight((7, 4), name="embeddings")

    def call(self, x):
        return x @ self.table


def test_every_kind_of_layer():
    cases = [
        (nn.Linear(5, 4, bias=False), Dense(4, use_bias=False)),
        (nn.Linear(5, 4), Dense(4)),
        (nn.BatchNorm1d(5, affine=False), BatchNormalization(epsilon=1e-5, center=False,
                                                             scale=False)),
        (nn.LayerNorm(5), LayerNormalization(epsilon=1e-5)),
        (nn.RMSNorm(5, eps=1e-6), RMSNormalization()),
        (nn.PReLU(5), PReLU()),
        (nn.PReLU(), PReLU(shared_axes=1)),
    ]  # fmt: skip
    for module, layer in cases:
        model = models.Sequential([Input((5,)), layer])
        load_state_dict(model, noised(module).state_dict(), {"": layer.name})
        np.testing.assert_allclose(model.predict(X, verbose=0), outputs(module), rtol=1e-4,
                                   atol=1e-5)  # fmt: skip
    module, layer = nn.Embedding(7, 4), Embedding()
    model = models.Sequential([Input((7,)), layer])
    load_state_dict(model, noised(module).state_dict(), {"": layer.name})
    one_hot = np.eye(7, dtype="float32")
    expected = outputs(module, np.arange(7))
    np.testing.assert_allclose(model.predict(one_hot, verbose=0), expected, rtol=1e-6)


def test_groups_of_channels():
    x = RANDOM.standard_normal((3, 4, 6)).astype("float32")
    module, layer = noised(nn.GroupNorm(2, 6)), GroupNormalization(2, epsilon=1e-5)
    model = models.Sequential([Input((4, 6)), layer])
    load_state_dict(model, module.state_dict(), {"": layer.name})
    expected = outputs(module, np.ascontiguousarray(x.transpose(0, 2, 1))).transpose(0, 2, 1)
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, rtol=1e-4, atol=1e-5)
    slopes = models.Sequential([Input((4, 6)), PReLU(shared_axes=1, name="slopes")])
    state = noised(nn.PReLU(6)).state_dict()
    load_state_dict(slopes, state, {"": "slopes"})
    again = to_state_dict(slopes, {"": "slopes"})
    assert {k: v.tolist() for k, v in again.items()} == {"weight": state["weight"].tolist()}


def test_a_layer_of_two_nested_models_is_one():
    shared = Dense(3, name="shared")
    inner = [models.Sequential([Input((3,)), shared], name=name) for name in "ab"]
    x = Input((3,))
    model = models.Model(x, Dense(2, name="out")(inner[0](x) + inner[1](x)))
    assert list(to_state_dict(model)) == ["a.shared.weight", "a.shared.bias", "out.weight",
                                          "out.bias"]  # fmt: skip
    load_state_dict(model, to_state_dict(model))


class Named(nn.Module):
    def __init__(self):
        super().__init__()
        self.decoder, self.encoder = nn.Linear(5, 5), nn.Linear(5, 5)


def same_shapes():
    return models.Sequential([Input((5,)), Dense(5, name="first"), Dense(5, name="second")])


def test_modules_of_one_shape_in_a_file_are_not_guessed(tmp_path):
    path = tmp_path / "w.safetensors"
    safetensors.save_file(noised(Named()).state_dict(), path)
    model = same_shapes()
    before = model.get_weights()
    with pytest.raises(ArgumentError) as raised:
        load_state_dict(model, path)
    text = str(raised.value)
    assert "decoder, encoder have the same shapes" in text
    assert "    encoder: bias [5], weight [5, 5]\n  model:\n    first: bias [5]" in text
    assert "names={'decoder': 'first'" in text
    assert np.array_equal(before[0], model.get_weights()[0])
    load_state_dict(model, path, {"encoder": "first", "decoder": "second"})
    state = safetensors.load_file(path)
    assert np.array_equal(model.get_weights()[0], state["encoder.weight"].T)


def test_the_order_of_a_dict_and_names_decide():
    module = noised(Named())
    model = same_shapes()
    load_state_dict(model, module.state_dict())
    assert np.array_equal(model.get_weights()[0], module.decoder.weight.detach().numpy().T)
    model = models.Sequential([Input((5,)), Dense(5, name="encoder"), Dense(5, name="decoder")])
    load_state_dict(model, module.state_dict())
    assert np.array_equal(model.get_weights()[0], module.encoder.weight.detach().numpy().T)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ({"encoder": "first", "decoder": "frist"}, "a layer 'frist'.*did you mean 'first'"),
        ({"encodr": "first", "decoder": "second"}, "a module 'encodr'.*mean 'encoder'"),
        ({"encoder": "first"}, "no module for second"),
        ({"encoder": "first", "decoder": "first"}, "no module for second"),
    ],
)
def test_names_that_do_not_fit(names, words):
    with pytest.raises(ArgumentError, match=words):
        load_state_dict(same_shapes(), Named().state_dict(), names)


def test_shapes_that_do_not_fit():
    model = models.Sequential([Input((5,)), Dense(4, name="a"), Dense(5, name="b")])
    before = model.get_weights()
    with pytest.raises(ArgumentError, match=r"by their shapes[\s\S]*state_dict:[\s\S]*model:"):
        load_state_dict(model, Named().state_dict())
    with pytest.raises(ShapeError, match=r"'decoder' do not fit layer 'a'"):
        load_state_dict(model, Named().state_dict(), {"decoder": "a", "encoder": "b"})
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_half_precision(tmp_path):
    for kind in (torch.bfloat16, torch.float16):
        module = noised(nn.Linear(5, 4)).to(kind)
        for source in (module.state_dict(), tmp_path / "w.safetensors"):
            safetensors.save_file(module.state_dict(), tmp_path / "w.safetensors")
            model = models.Sequential([Input((5,)), Dense(4, name="d")])
            load_state_dict(model, source, {"": "d"})
            assert np.array_equal(model.get_weights()[0], module.weight.float().detach().T)


@pytest.mark.parametrize("name", ["w.pt", "w.pth", "w.safetensors"])
def test_pickles_are_refused(tmp_path, name):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "evil"), "w"))

    (tmp_path / name).write_bytes(pickle.dumps(Evil()))
    with pytest.raises(FileError, match=r"is a pickle[\s\S]*weights_only=True"):
        load_state_dict(same_shapes(), tmp_path / name)
    torch.save(Named().state_dict(), tmp_path / name)
    with pytest.raises(FileError, match="is a pickle"):
        load_state_dict(same_shapes(), tmp_path / name)
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize(
    "entries",
    [
        {"w": {"dtype": "F32", "shape": [3], "data_offsets": [0, 4]}},
        {"w": {"dtype": "F32", "shape": [1], "data_offsets": [1, 5]}},
        {"w": {"dtype": "F99", "shape": [1], "data_offsets": [0, 4]}},
        {"w": {"dtype": "F32", "shape": [1], "data_offsets": ["0", 4]}},
        {"w": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}},
        {"w": 3},
    ],
)
def test_files_that_lie(tmp_path, entries):
    text = json.dumps(entries).encode()
    content = len(text).to_bytes(8, "little") + text + bytes(4)
    for length in (len(content), 5, 20):
        (tmp_path / "w.safetensors").write_bytes(content[:length])
        with pytest.raises(FileError, match=r"w\.safetensors"):
            load_state_dict(same_shapes(), tmp_path / "w.safetensors")
    with pytest.raises(ChainruleError, match="cannot read"):
        load_state_dict(same_shapes(), tmp_path / "none.safetensors")


def test_a_header_is_utf_8(tmp_path):
    text = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}})
    for encoding in ("utf-8", "utf-16-le", "utf-32-le"):
        head = text.encode(encoding)
        content = len(head).to_bytes(8, "little") + head + bytes(4)
        (tmp_path / "w.safetensors").write_bytes(content)
        words = "is not JSON" if encoding != "utf-8" else "w"
        with pytest.raises(ChainruleError, match=words):
            load_state_dict(same_shapes(), tmp_path / "w.safetensors")


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(9, 4)
        self.both = nn.LSTM(4, 3, num_layers=2, bidirectional=True, batch_first=True)
        self.gated = nn.GRU(6, 5, batch_first=True)
        self.simple = nn.RNN(5, 2, batch_first=True, bias=False)
        self.out = nn.Linear(2, 1)

    def forward(self, x):
        y, _ = self.both(self.words(x))
        y, _ = self.gated(y)
        y, _ = self.simple(y)
        return self.out(y[:, -1])


def recurrent():
    return models.Sequential(
        [
            Input((6,)),
            layers.Embedding(9, 4, name="words"),
            layers.Bidirectional(layers.LSTM(3, return_sequences=True, name="a"), name="low"),
            layers.Bidirectional(layers.LSTM(3, return_sequences=True, name="b"), name="high"),
            layers.GRU(5, return_sequences=True, name="gated"),
            layers.SimpleRNN(2, use_bias=False, name="simple"),
            Dense(1, name="out"),
        ]
    )


def test_recurrent_layers_in_both_directions():
    net, model = noised(Recurrent()), recurrent()
    words = RANDOM.integers(0, 9, (5, 6))

    def theirs():
        with torch.no_grad():
            return net(torch.from_numpy(words)).numpy()

    load_state_dict(model, net.state_dict())  # by the order of what has the same shapes
    np.testing.assert_allclose(model.predict(words, verbose=0), theirs(), rtol=1e-5)
    model.set_weights([w - 0.3 for w in model.get_weights()])
    names = {name: name for name in ("words", "gated", "simple", "out")}
    for place, (outer, inner) in {"l0": ("low", "a"), "l1": ("high", "b")}.items():
        names[f"both.{place}"] = f"{outer}.forward_{inner}"
        names[f"both.{place}_reverse"] = f"{outer}.backward_{inner}"
    state = to_state_dict(model, names)
    assert set(state) == set(net.state_dict())
    net.load_state_dict({name: torch.from_numpy(array) for name, array in state.items()})
    np.testing.assert_allclose(model.predict(words, verbose=0), theirs(), rtol=1e-4, atol=1e-6)
    again = recurrent()
    load_state_dict(again, state, names)
    np.testing.assert_allclose(again.predict(words, verbose=0), theirs(), rtol=1e-4, atol=1e-6)


def test_cells_and_what_pytorch_does_not_have():
    cell = noised(nn.LSTMCell(3, 2))
    layer = layers.RNN(layers.LSTMCell(2, name="cell"))
    layer.build_for((None, 4, 3))
    load_state_dict(layer, cell.state_dict())
    x, state = RANDOM.standard_normal((2, 4, 3)).astype("float32"), None
    with torch.no_grad():
        for i in range(4):
            state = cell(torch.from_numpy(x[:, i]), state)
    np.testing.assert_allclose(layer(x).numpy(), state[0].numpy(), rtol=1e-5)
    assert list(to_state_dict(layer, {"": "cell"})) == list(cell.state_dict())
    with pytest.raises(ArgumentError, match="reset_after=True"):
        to_state_dict(models.Sequential([Input((3, 2)), layers.GRU(2, reset_after=False)]))
    with pytest.raises(ArgumentError, match="do not fit each other"):
        model = models.Sequential([Input((4, 3)), layers.LSTM(2)])
        load_state_dict(model, nn.LSTM(3, 2, proj_size=1).state_dict())
