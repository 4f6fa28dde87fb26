"""Keras's files: what Keras writes is read, what is written Keras reads, with the same numbers."""

import json
import sys
import zipfile

import numpy as np
import pytest

import chainrule
from chainrule import activations, layers, models, ops
from chainrule.callbacks import ModelCheckpoint
from chainrule.errors import FileError, MissingDependencyError
from chainrule.models import load_model
from chainrule.models.keras_files import names
from chainrule.models.keras_files.hdf5 import File
from peers import peer

h5py = peer("h5py")
keras = peer("keras")
pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:You passed `rms_scaling:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*jax.nn.one_hot:DeprecationWarning"),
]
KINDS = (".keras", ".h5")
RANDOM = np.random.default_rng(5)


def sample(*shape):
    return RANDOM.standard_normal((6, *shape)).astype("float32")


def noised(model):
    """Give each weight, the moving statistics too, a value of its own."""
    for v in model.weights:
        v.assign(np.abs(RANDOM.standard_normal(v.shape)) + 0.1)
    return model


def close(a, b):
    a, b = (x if isinstance(x, list | tuple) else [x] for x in (a, b))
    assert len(a) == len(b)
    for x, y in zip(a, b, strict=True):
        np.testing.assert_allclose(x, y, rtol=2e-5, atol=2e-5)


def both_ways(ours, theirs, x, folder):
    """Check files of `theirs` in our hands and of `ours` in theirs, whole and weights alone."""
    noised(theirs)
    expected = theirs.predict(x, verbose=0)
    for kind in KINDS:
        theirs.save(folder / f"theirs{kind}")
        close(load_model(folder / f"theirs{kind}").predict(x, verbose=0), expected)
    theirs.save_weights(folder / "theirs.weights.h5")
    for name in ("theirs.weights.h5", "theirs.h5", "theirs.keras"):
        noised(ours).load_weights(folder / name)
        close(ours.predict(x, verbose=0), expected)
    noised(ours)
    expected = ours.predict(x, verbose=0)
    for kind in KINDS:
        ours.save(folder / f"ours{kind}")
        close(keras.models.load_model(folder / f"ours{kind}").predict(x, verbose=0), expected)
        close(load_model(folder / f"ours{kind}").predict(x, verbose=0), expected)
    ours.save_weights(folder / "ours.weights.h5")
    for name in ("ours.weights.h5", "ours.h5"):
        noised(theirs).load_weights(folder / name)
        close(theirs.predict(x, verbose=0), expected)


LAYERS = [
    ("Dense", (5,), {"units": 3, "activation": "gelu", "use_bias": False}),
    ("Dense", (4, 5), {"units": 3, "kernel_regularizer": "L1L2", "bias_constraint": "max_norm",
                       "kernel_initializer": "he_normal", "activity_regularizer": "l2"}),
    ("Dense", (5,), {"units": 3, "kernel_regularizer": "orthogonal_regularizer",
                     "bias_regularizer": "l1", "kernel_constraint": "unit_norm",
                     "bias_initializer": "ones"}),
    ("Activation", (5,), {"activation": "selu"}),
    ("ReLU", (5,), {"max_value": 1.5, "negative_slope": 0.1, "threshold": 0.2}),
    ("LeakyReLU", (5,), {}),
    ("PReLU", (2, 5), {"alpha_initializer": "ones", "alpha_regularizer": "l2",
                       "alpha_constraint": "non_neg", "shared_axes": 1}),
    ("ELU", (5,), {"alpha": 0.5}),
    ("Identity", (5,), {}),
    ("Flatten", (2, 3), {}),
    ("Reshape", (2, 3), {"target_shape": (3, -1)}),
    ("Dropout", (5,), {"rate": 0.5}),
    ("Dropout", (5, 2), {"rate": 0.25, "noise_shape": (None, 1, 2), "seed": 3}),
    ("AlphaDropout", (5,), {"rate": 0.2}),
    ("GaussianDropout", (5,), {"rate": 0.2}),
    ("GaussianNoise", (5,), {"stddev": 0.2}),
    ("SpatialDropout1D", (5, 2), {"rate": 0.2}),
    ("SpatialDropout2D", (5, 2, 3), {"rate": 0.2}),
    ("SpatialDropout3D", (5, 2, 3, 2), {"rate": 0.2}),
    ("ActivityRegularization", (5,), {"l2": 0.1}),
    ("BatchNormalization", (5,), {"momentum": 0.8, "epsilon": 1e-2}),
    ("BatchNormalization", (2, 5), {"axis": 1, "scale": False}),
    ("LayerNormalization", (4, 5), {"axis": (1, 2), "center": False}),
    ("LayerNormalization", (5,), {"rms_scaling": True}),
    ("GroupNormalization", (4, 6), {"groups": 3}),
    ("RMSNormalization", (5,), {"epsilon": 1e-4}),
    ("UnitNormalization", (5,), {}),
    ("Masking", (4, 2), {"mask_value": 0.5}),
    ("SimpleRNN", (4, 2), {"units": 3, "activation": "softsign", "go_backwards": True}),
    ("GRU", (4, 2), {"units": 3, "reset_after": False, "dropout": 0.1, "seed": 3}),
    ("LSTM", (4, 2), {"units": 3, "return_sequences": True, "recurrent_dropout": 0.1}),
    ("Rescaling", (5,), {"scale": 0.5, "offset": [1.0, 2.0, 3.0, 4.0, 5.0]}),
    ("Normalization", (3,), {"mean": [1.0, 2.0, 3.0], "variance": [1.0, 4.0, 9.0]}),
    ("CategoryEncoding", (3,), {"num_tokens": 4, "output_mode": "count"}),
    ("Permute", (2, 3, 4), {"dims": (3, 1, 2)}),
    ("Conv1D", (6, 2), {"filters": 3, "kernel_size": 2, "padding": "causal", "dilation_rate": 2}),
    ("Conv2D", (5, 6, 4), {"filters": 6, "kernel_size": (3, 2), "groups": 2, "strides": 2}),
    ("Conv3D", (3, 4, 4, 1), {"filters": 2, "kernel_size": 2, "kernel_initializer": "he_normal"}),
    ("Conv1DTranspose", (4, 2), {"filters": 3, "kernel_size": 3, "strides": 2, "padding": "same"}),
    ("Conv2DTranspose", (3, 4, 2), {"filters": 2, "kernel_size": 3, "strides": 2,
     "output_padding": (1, 0), "activation": "relu"}),
    ("Conv3DTranspose", (2, 2, 3, 1), {"filters": 2, "kernel_size": 2, "use_bias": False}),
    ("DepthwiseConv1D", (5, 3), {"kernel_size": 2, "depth_multiplier": 2}),
    ("DepthwiseConv2D", (5, 4, 3), {"kernel_size": 3, "padding": "same",
     "depthwise_regularizer": "l2"}),
    ("SeparableConv1D", (5, 3), {"filters": 4, "kernel_size": 3}),
    ("SeparableConv2D", (5, 6, 2), {"filters": 3, "kernel_size": 2, "pointwise_constraint":
     "non_neg", "data_format": "channels_last"}),
    ("EinsumDense", (4, 5), {"equation": "abc,cde->abed", "output_shape": (None, 2, 3),
     "bias_axes": "ed", "activation": "tanh", "kernel_regularizer": "l2"}),
    ("RepeatVector", (5,), {"n": 3}),
    ("Softmax", (4, 5), {"axis": (1, 2)}),
    ("MaxPooling1D", (5, 2), {"pool_size": 3, "strides": 1, "padding": "same"}),
    ("MaxPooling2D", (5, 4, 2), {"pool_size": (3, 2)}),
    ("MaxPooling3D", (3, 4, 4, 2), {}),
    ("AveragePooling1D", (5, 2), {"pool_size": 2, "padding": "same"}),
    ("AveragePooling2D", (5, 4, 2), {"pool_size": 2}),
    ("AveragePooling3D", (3, 4, 4, 2), {"pool_size": (1, 2, 2)}),
    ("GlobalMaxPooling1D", (5, 2), {}),
    ("GlobalMaxPooling2D", (5, 4, 2), {"keepdims": True}),
    ("GlobalMaxPooling3D", (3, 4, 4, 2), {}),
    ("GlobalAveragePooling1D", (5, 2), {}),
    ("GlobalAveragePooling2D", (5, 4, 2), {}),
    ("GlobalAveragePooling3D", (3, 4, 4, 2), {"keepdims": True}),
    ("AdaptiveMaxPooling1D", (4, 2), {"output_size": 2}),
    ("AdaptiveMaxPooling2D", (4, 4, 2), {"output_size": (2, 4)}),
    ("AdaptiveMaxPooling3D", (2, 4, 4, 2), {"output_size": 2}),
    ("AdaptiveAveragePooling1D", (4, 2), {"output_size": 2}),
    ("AdaptiveAveragePooling2D", (4, 4, 2), {"output_size": (2, 4)}),
    ("AdaptiveAveragePooling3D", (2, 4, 4, 2), {"output_size": 2}),
    ("ZeroPadding1D", (5, 2), {"padding": (2, 0)}),
    ("ZeroPadding2D", (5, 4, 2), {"padding": ((1, 0), (0, 2))}),
    ("ZeroPadding3D", (3, 4, 4, 2), {"padding": 2}),
    ("Cropping1D", (5, 2), {"cropping": (2, 0)}),
    ("Cropping2D", (5, 4, 2), {"cropping": ((1, 0), (0, 2))}),
    ("Cropping3D", (3, 4, 4, 2), {}),
    ("UpSampling1D", (5, 2), {"size": 3}),
    ("UpSampling2D", (5, 4, 2), {"size": (1, 3), "interpolation": "bilinear"}),
    ("UpSampling3D", (3, 2, 2, 2), {}),
    ("Resizing", (5, 4, 2), {"height": 3, "width": 8, "interpolation": "bicubic"}),
    ("CenterCrop", (5, 4, 2), {"height": 3, "width": 2}),
    ("AutoContrast", (5, 4, 3), {"value_range": (-3, 3)}),
    ("CutMix", (5, 4, 3), {"factor": 0.5}),
    ("RandomColorJitter", (5, 4, 3), {"brightness_factor": 0.1, "hue_factor": (0.1, 0.2)}),
    ("RandomContrast", (5, 4, 3), {"factor": (0.1, 0.2)}),
    ("RandomCrop", (5, 4, 3), {"height": 5, "width": 4, "seed": 2}),
    ("RandomErasing", (5, 4, 3), {"scale": (0.1, 0.2), "fill_value": 0.5}),
    ("RandomFlip", (5, 4, 3), {"mode": "horizontal", "seed": 1}),
    ("RandomGaussianBlur", (5, 4, 3), {"kernel_size": (3, 5), "sigma": (0.1, 0.7)}),
    ("RandomGrayscale", (5, 4, 3), {"factor": 0.2}),
    ("RandomHue", (5, 4, 3), {"factor": 0.2}),
    ("RandomInvert", (5, 4, 3), {"factor": 0.2}),
    ("RandomRotation", (5, 4, 3), {"factor": 0.1, "fill_mode": "wrap"}),
    # Keras cannot read its own file with a number here.
    ("RandomShear", (5, 4, 3), {"x_factor": (0.1, 0.2), "y_factor": (0.0, 0.1)}),
    ("RandomTranslation", (5, 4, 3), {"height_factor": 0.1, "width_factor": (-0.2, 0.1)}),
    ("RandomZoom", (5, 4, 3), {"height_factor": (0.1, 0.2), "interpolation": "nearest"}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "shape", "options"), LAYERS)
def test_every_layer(tmp_path, name, shape, options):
    def network(of):
        first = [of.layers.Dense(shape[-1])] if name == "Dense" else []
        body = [*first, getattr(of.layers, name)(**options)]
        return of.Sequential([of.layers.Input(shape), *body])

    x = sample(*shape)
    if name == "CategoryEncoding":
        x = RANDOM.integers(0, 4, (6, 3)).astype("float32")
    ours = network(chainrule)
    both_ways(ours, network(keras), x, tmp_path)
    for kind in KINDS:
        assert load_model(tmp_path / f"ours{kind}").get_config() == ours.get_config()


def test_the_table_holds_every_layer_but_those_that_merge():
    elsewhere = {"Add", "Average", "Concatenate", "Dot", "Maximum", "Minimum", "Multiply"}
    elsewhere |= {"Subtract", "InputLayer"}
    # Keras warns of these, or cannot write them as HDF5: `test_augment.py` reads its other files.
    elsewhere |= {"MixUp", "RandomBrightness", "RandomPosterization", "RandomSaturation"}
    elsewhere |= {"Solarization"}
    # `test_recurrent_layers`
    elsewhere |= {"Bidirectional", "Embedding", "GRUCell", "LSTMCell", "RNN", "SimpleRNNCell"}
    elsewhere |= {"StackedRNNCells", "TimeDistributed", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"}
    # `test_audio_layers.py`
    elsewhere |= {"MelSpectrogram", "STFTSpectrogram"}
    # `test_attention`
    elsewhere |= {"AdditiveAttention", "Attention", "GroupQueryAttention", "MultiHeadAttention"}
    assert {name for name, _, _ in LAYERS} == names.LAYERS - elsewhere
    assert all(hasattr(keras.layers, name) for name in names.LAYERS)


def test_every_activation(tmp_path):
    x = sample(8)
    # Of Keras's own, one has no default arguments, and one is 0 everywhere.
    for name in sorted({*activations._BY_NAME} - {"threshold", "sparsemax"}):
        ours = models.Sequential([layers.Input((8,)), layers.Activation(name)])
        ours.save(tmp_path / "m.keras")
        theirs = keras.models.load_model(tmp_path / "m.keras")
        close(theirs.predict(x, verbose=0), ours.predict(x, verbose=0))
        theirs.save(tmp_path / "t.keras")
        close(load_model(tmp_path / "t.keras").predict(x, verbose=0), ours.predict(x, verbose=0))


def graph(of):
    """A network with two inputs, a shared layer, nested models, all merges, operations."""
    new = of.layers
    a, b = new.Input((4,), name="a"), new.Input((4,), name="b")
    shared = new.Dense(4, activation="tanh", name="shared")
    inner = of.Sequential([new.Input((4,)), new.Dense(4), new.BatchNormalization()])
    p, q = new.Input((4,)), new.Input((4,))
    s = new.Subtract()([p, q])
    nested = of.Model([p, q], [new.Dense(4)(s), new.Multiply()([p, s])])
    x, y = inner(shared(a)), shared(b)
    u, v = nested([x, y])
    w = new.Average()([new.Add()([u, v]), new.Maximum()([x, y]), new.Minimum()([x, inner(v)])])
    w = new.Concatenate()([w, new.Dot(axes=1)([u, v]), shared(w)])
    w = new.LayerNormalization()(new.Dropout(0.5)(w)) * 2.0 - 1.0
    return of.Model([a, b], [new.Dense(2, name="first")(w), new.Dense(1, name="second")(-w)])


def test_a_graph(tmp_path):
    both_ways(graph(chainrule), graph(keras), [sample(4), sample(4)], tmp_path)


@pytest.mark.filterwarnings("ignore:Layer .* was passed an input with a mask")
def test_attention(tmp_path):
    def network(of):
        new = of.layers
        # Keras takes the shape of the scores from the query alone, so both are of one length.
        q, v = new.Input((5, 4)), new.Input((5, 4))
        x = new.MultiHeadAttention(2, 3, dropout=0.2, output_shape=4)(q, v, use_causal_mask=True)
        gated = new.MultiHeadAttention(2, 3, use_gate=True, sliding_window=3, seed=4)
        x, w = gated(x, v, key=v, return_attention_scores=True)
        x = x + new.Dense(4)(new.Reshape((5, 10))(w))
        x = new.GroupQueryAttention(3, 4, 2, dropout=0.3, bias_regularizer="l2")(x, v)
        x = new.Attention(score_mode="concat", dropout=0.1, use_scale=True)([x, v, v])
        return of.Model([q, v], new.Dense(2)(new.AdditiveAttention()([x, v])))

    both_ways(network(chainrule), network(keras), [sample(5, 4), sample(5, 4)], tmp_path)


def test_an_encoder_and_a_decoder(tmp_path):
    def network(of):
        new = of.layers
        x, so_far = new.Input((7,), dtype="int32"), new.Input((4,), dtype="int32")
        read = new.Embedding(9, 6, mask_zero=True)(x)
        both = new.Bidirectional(new.GRU(3, return_sequences=True, return_state=True))
        read, ahead, back = both(read)
        state = new.Concatenate()([ahead, back])
        decoder = new.GRU(6, return_sequences=True)
        y = decoder(new.Embedding(5, 3)(so_far), initial_state=state)
        y = new.Concatenate()([y, new.Attention(use_scale=True)([y, read])])
        return of.Model([x, so_far], new.Dense(3, activation="softmax")(y))

    x, so_far = RANDOM.integers(0, 9, (6, 7)), RANDOM.integers(0, 5, (6, 4))
    data = [a.astype("int32") for a in (x, so_far)]
    both_ways(network(chainrule), network(keras), data, tmp_path)


def test_names_of_inputs_and_outputs(tmp_path):
    def network(of):
        new = of.layers
        a, b = new.Input((2,), name="left"), new.Input((3,), name="right")
        c = new.Concatenate()([a, b])
        ends = {"one": new.Dense(2, name="one")(c), "two": new.Dense(1, name="two")(c)}
        return of.Model({"left": a, "right": b}, ends)

    ours, theirs = network(chainrule), network(keras)
    x = {"left": sample(2), "right": sample(3)}
    theirs.save(tmp_path / "t.keras")
    loaded, expected = load_model(tmp_path / "t.keras"), theirs.predict(x, verbose=0)
    found = loaded.predict(x, verbose=0)
    assert list(found) == ["one", "two"]
    close([found[k] for k in expected], [expected[k] for k in expected])
    ours.save(tmp_path / "o.keras")
    expected = ours.predict(x, verbose=0)
    found = keras.models.load_model(tmp_path / "o.keras").predict(x, verbose=0)
    close([found[k] for k in expected], [expected[k] for k in expected])


def test_one_layer_in_two_nested_models(tmp_path):
    def network(of):
        new = of.layers
        shared = new.Dense(3)
        one, two = (of.Sequential([new.Input((3,)), shared, new.Dense(3)]) for _ in range(2))
        x = new.Input((3,))
        return of.Model(x, new.Add()([one(x), two(x)]))

    # Keras cannot read its own files of whole models here, but it reads ours.
    ours, theirs, x = network(chainrule), noised(network(keras)), sample(3)
    theirs.save_weights(tmp_path / "t.weights.h5")
    ours.load_weights(tmp_path / "t.weights.h5")
    expected = ours.predict(x, verbose=0)
    close(expected, theirs.predict(x, verbose=0))
    ours.save(tmp_path / "o.keras")
    loaded = keras.models.load_model(tmp_path / "o.keras")
    close(loaded.predict(x, verbose=0), expected)
    assert load_model(tmp_path / "o.keras").count_params() == loaded.count_params() == 36


def test_frozen_layers_keep_their_order(tmp_path):
    def network(of):
        new = of.layers
        norm = new.BatchNormalization()
        norm.trainable = False
        inner = of.Sequential([new.Input((3,)), new.Dense(3, trainable=False), norm, new.Dense(3)])
        return of.Sequential([new.Input((3,)), inner, new.Dense(2)])

    both_ways(network(chainrule), network(keras), sample(3), tmp_path)


def test_learnt_normalization(tmp_path):
    data = sample(4) * 3 + 1

    def network(of):
        norm = of.layers.Normalization()
        norm.adapt(data)
        return of.Sequential([of.layers.Input((4,)), norm, of.layers.Dense(2)])

    theirs, ours = network(keras), network(chainrule)
    for kind in (*KINDS, ".weights.h5"):
        save = "save_weights" if kind == ".weights.h5" else "save"
        for one, other in ((theirs, ours), (ours, theirs)):
            getattr(one, save)(tmp_path / f"m{kind}")
            expected = one.predict(data, verbose=0)
            if kind != ".keras":
                other.load_weights(tmp_path / f"m{kind}")
                close(other.predict(data, verbose=0), expected)
            if save == "save":
                load = load_model if one is theirs else keras.models.load_model
                close(load(tmp_path / f"m{kind}").predict(data, verbose=0), expected)


def test_classes_of_ones_own(tmp_path):
    def network(of):
        class Own(of.Model):
            def __init__(self):
                super().__init__()
                self.second = of.layers.Dense(2)
                self.blocks = [of.layers.Dense(3), of.layers.Dropout(0.5), of.layers.Dense(3)]
                self.by_name = {"x": of.layers.BatchNormalization()}

            def call(self, inputs):
                for block in self.blocks:
                    inputs = block(inputs)
                return self.second(self.by_name["x"](inputs))

        model = Own()
        model(np.zeros((1, 3), "float32"))
        return model

    ours, theirs, x = noised(network(chainrule)), noised(network(keras)), sample(3)
    theirs.save_weights(tmp_path / "t.weights.h5")
    ours.load_weights(tmp_path / "t.weights.h5")
    close(ours.predict(x, verbose=0), theirs.predict(x, verbose=0))
    noised(ours).save_weights(tmp_path / "o.weights.h5")
    theirs.load_weights(tmp_path / "o.weights.h5")
    close(ours.predict(x, verbose=0), theirs.predict(x, verbose=0))


def small():
    stack = [layers.Input((3,)), layers.Dense(4, activation="relu"), layers.Dense(2)]
    return models.Sequential(stack, name="small")


def test_model_checkpoint(tmp_path):
    model, x, y = small(), sample(3), sample(2)
    model.compile("adam", "mse")
    kinds = ("best.keras", "best.h5", "best.weights.h5")
    model.fit(x, y, verbose=0, callbacks=[ModelCheckpoint(tmp_path / name) for name in kinds])
    expected = model.predict(x, verbose=0)
    for name in ("best.keras", "best.h5"):
        close(keras.models.load_model(tmp_path / name).predict(x, verbose=0), expected)
    again = small()
    again.load_weights(tmp_path / "best.weights.h5")
    close(again.predict(x, verbose=0), expected)
    loaded = load_model(tmp_path / "best.keras")
    loaded.compile("adam", "mse")
    loaded.fit(x, y, verbose=0)


def test_names_of_files_that_do_not_fit(tmp_path):
    with pytest.raises(FileError, match="weights alone\n  fix: use save_weights"):
        small().save(tmp_path / "m.weights.h5")
    with pytest.raises(FileError, match="whole model\n  fix: use save"):
        small().save_weights(tmp_path / "m.keras")
    small().save_weights(tmp_path / "m.weights.h5")
    with pytest.raises(FileError, match=r"m\.weights\.h5' holds weights alone\n  fix: make"):
        load_model(tmp_path / "m.weights.h5")


def test_the_older_layout_of_weights_alone(tmp_path):
    model = small()
    model.save_weights(tmp_path / "m.h5")
    again = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(4, "relu"),
                              keras.layers.Dense(2)])  # fmt: skip
    with h5py.File(tmp_path / "m.h5") as file:
        again_from(file, again)
    for a, b in zip(model.get_weights(), again.get_weights(), strict=True):
        assert np.array_equal(a, b)
    other = small()
    other.load_weights(tmp_path / "m.h5")
    assert np.array_equal(other.get_weights()[2], model.get_weights()[2])


def again_from(file, model):
    legacy = __import__("keras.src.legacy.saving.legacy_h5_format", fromlist=["_"])
    legacy.load_weights_from_hdf5_group(file, model)


def test_a_configuration_of_keras_2(tmp_path):
    dense = {"trainable": True, "dtype": "float32", "units": 2, "activation": "relu",
             "use_bias": True, "kernel_initializer": {"class_name": "GlorotUniform",
                                                      "config": {"seed": None}}}  # fmt: skip
    node = [[["x", 0, 0, {}]]]
    merged = [[["d", 0, 0, {}], ["d", 1, 0, {}]]]
    config = {"name": "m", "layers": [
        {"class_name": "InputLayer", "name": "x", "inbound_nodes": [],
         "config": {"batch_input_shape": [None, 3], "dtype": "float32", "sparse": False,
                    "ragged": False, "name": "x"}},
        {"class_name": "Dense", "name": "d", "config": {"name": "d", **dense},
         "inbound_nodes": [node[0], node[0]]},
        {"class_name": "Add", "name": "add", "config": {"name": "add"}, "inbound_nodes": merged}],
        "input_layers": [["x", 0, 0]], "output_layers": [["add", 0, 0]]}  # fmt: skip
    x = models.Sequential([layers.Input((3,)), layers.Dense(2, activation="relu", name="d")])
    x.save(tmp_path / "m.h5")
    text = {"class_name": "Functional", "config": config}
    with h5py.File(tmp_path / "m.h5", "a") as file:
        file.attrs["model_config"] = json.dumps(text)
    with pytest.raises(FileError, match="checksum does not match"):
        load_model(tmp_path / "m.h5")
    content = (tmp_path / "m.h5").read_bytes().replace(b"chainrule sha256", b"without sha256..")
    (tmp_path / "m.h5").write_bytes(content)
    data = sample(3)
    close(load_model(tmp_path / "m.h5").predict(data, verbose=0), 2 * x.predict(data, verbose=0))


def edited(path, change):
    """Change the configuration in a `.keras` file."""
    with zipfile.ZipFile(path) as file:
        parts = {name: file.read(name) for name in file.namelist()}
    config = json.loads(parts["config.json"])
    change(config["config"]["layers"])
    parts["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in parts.items():
            file.writestr(name, content)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda x: x[1].update(class_name="Conv9D"), r"m\.keras.*layer 'd' \(Conv9D\) is not one"),
        (lambda x: x[1].update(class_name="Lambda"), "code in a file is never run"),
        (lambda x: x[1]["config"].update(lora_rank=4), "lora_rank=4"),
        (lambda x: x[1]["config"].update(dtype="bfloat16"), "computes in 'bfloat16'"),
        (lambda x: x[1]["config"].update(activation={"class_name": "__lambda__", "config": {}}),
         "code as activation"),
        (lambda x: x[1]["config"].update(activation="evil"), "unknown activation"),
        (lambda x: x[0]["config"].update(batch_shape=[None, None]),
         "an axis of features of known size"),
        (lambda x: x[1]["config"].update(units=10**9), "more weights than there are in the file"),
        (lambda x: x[1]["config"].update(units=3), "do not fit layer 'd'"),
    ],
)  # fmt: skip
def test_what_is_not_known_is_named(tmp_path, change, words):
    path = tmp_path / "m.keras"
    models.Sequential([layers.Input((3,)), layers.Dense(4, name="d")]).save(path)
    load_model(path)
    edited(path, change)
    with pytest.raises(FileError, match=words):
        load_model(path)


def test_layers_that_keras_does_not_have(tmp_path):
    class Own(layers.Layer):
        def call(self, x):
            return x

    x = layers.Input((3,))
    for model, words in (
        (models.Sequential([layers.Input((3,)), Own(name="mine")]), "'mine'.*not among the layers"),
        (
            models.Sequential([layers.Input((3,)), layers.Lambda(lambda x: x)]),
            "not among the layers",
        ),
        (models.Sequential([x, layers.StringLookup(vocabulary=["a"])]), "StringLookup.*not among"),
        (models.Model(x, ops.cumsum(x, axis=1)), "'cumsum'.*cannot be written"),
    ):
        for kind in KINDS:
            with pytest.raises(FileError, match=words):
                model.save(tmp_path / f"m{kind}")
            assert not list(tmp_path.iterdir())


@keras.saving.register_keras_serializable()
class Twice(keras.layers.Layer):
    def call(self, x):
        return 2 * x


def test_a_class_of_ones_own_in_a_file_of_theirs(tmp_path):
    class Own(layers.Layer):
        def call(self, x):
            return 2 * x

    theirs = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(2), Twice(name="t")])
    theirs.save(tmp_path / "m.keras")
    with pytest.raises(FileError, match=r"layer 't' \(Twice\) is not one.*custom_objects"):
        load_model(tmp_path / "m.keras")
    loaded, x = load_model(tmp_path / "m.keras", custom_objects={"Twice": Own}), sample(3)
    close(loaded.predict(x, verbose=0), theirs.predict(x, verbose=0))


def test_double_precision(tmp_path):
    model = models.Sequential([layers.Input((3,)), layers.Dense(2, dtype="float64")])
    for kind in KINDS:
        model.save(tmp_path / f"m{kind}")
        assert load_model(tmp_path / f"m{kind}").get_weights()[0].dtype == np.float64


def test_lists_of_names_that_keras_cut_in_parts(tmp_path):
    model = small()
    model.save_weights(tmp_path / "m.h5")
    with h5py.File(tmp_path / "m.h5", "a") as file:
        listed = list(file.attrs["layer_names"])
        del file.attrs["layer_names"], file.attrs["chainrule"]
        file.attrs["layer_names0"], file.attrs["layer_names1"] = listed[:1], listed[1:]
    content = (tmp_path / "m.h5").read_bytes()
    (tmp_path / "m.h5").write_bytes(content.replace(b"chainrule sha256", b"................"))
    other = small()
    other.load_weights(tmp_path / "m.h5")
    assert np.array_equal(other.get_weights()[2], model.get_weights()[2])


KINDS_OF_NUMBERS = ("<f4", ">f4", "<f8", "<f2", "<i4", ">i8", "<u2", "<u8", "<i1")


@pytest.mark.parametrize(("form", "groups"), [("earliest", 60), ("latest", 7), ("v108", 7)])
def test_hdf5_is_read_as_h5py_reads_it(tmp_path, form, groups):
    path = tmp_path / "x.h5"
    with h5py.File(path, "w", libver=form) as file:
        for i in range(groups):
            group = file.create_group(f"group-{i}/é")
            group.attrs["text"], group.attrs["none"] = "ü" * i, ""
            group.attrs["list"] = ["a" * j for j in range(i)] or [""]
            group.attrs["fixed"] = np.array([b"ab", b"c"])
            for kind in KINDS_OF_NUMBERS[:7]:
                group[kind] = RANDOM.integers(0, 100, (i % 3, 2)).astype(kind)
            group["scalar"] = np.float32(i)
    root = File(path.read_bytes()).root()
    with h5py.File(path) as file:
        check_same(file, root)


def check_same(theirs, mine):
    assert set(theirs) == set(mine.children())
    for name, held in theirs.items():
        node = mine.get(name)
        attributes = {k: v for k, v in node.attributes().items() if v is not None}
        assert attributes == {k: plain(v) for k, v in held.attrs.items()}
        if isinstance(held, h5py.Dataset):
            assert node.array().dtype == held.dtype and np.array_equal(node.array(), held[()])
        else:
            check_same(held, node)


def plain(value):
    if isinstance(value, str):
        return value
    return [v.decode() if isinstance(v, bytes) else str(v) for v in value.tolist()]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"dtype": "f4", "compression": "gzip"}, "compressed"),
        ({"dtype": "f4", "chunks": (5, 5)}, "in chunks"),
        ({"dtype": "c8"}, "dtype that is not read"),
    ],
)
def test_hdf5_that_is_not_read_says_so(tmp_path, options, words):
    model = models.Sequential([layers.Input((10,)), layers.Dense(10, use_bias=False)])
    with h5py.File(tmp_path / "m.weights.h5", "w") as file:
        file.create_dataset("layers/dense/vars/0", (10, 10), **options)[:] = 1
    with pytest.raises(FileError, match=rf"m\.weights\.h5' .*{words}"):
        model.load_weights(tmp_path / "m.weights.h5")
    with h5py.File(tmp_path / "m.weights.h5", "w", libver="latest") as file:
        for i in range(20):
            file.create_group(f"layers/{i}")
    with pytest.raises(FileError, match="dense heaps"):
        model.load_weights(tmp_path / "m.weights.h5")


def test_links_to_other_files_are_not_followed(tmp_path):
    model = models.Sequential([layers.Input((10,)), layers.Dense(10, use_bias=False)])
    model.save_weights(tmp_path / "secret.h5")
    for form in ("earliest", "latest"):
        with h5py.File(tmp_path / "m.weights.h5", "w", libver=form) as file:
            file["layers"] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "layers")
        with pytest.raises(FileError, match="nothing at layers/dense"):
            model.load_weights(tmp_path / "m.weights.h5")


def test_arguments_that_no_file_can_hold(tmp_path):
    own = layers.Dense(2, kernel_initializer=lambda shape, dtype: np.ones(shape))
    model = models.Sequential([layers.Input((3,)), own])
    for kind in KINDS:
        with pytest.raises(FileError, match="cannot be written as a file"):
            model.save(tmp_path / f"m{kind}")
    assert not list(tmp_path.iterdir())


def test_weights_of_another_model_change_nothing(tmp_path):
    for name in ("m.weights.h5", "m.h5"):
        small().save_weights(tmp_path / name)
        other = models.Sequential([layers.Input((3,)), layers.Dense(4), layers.Dense(3)])
        before = other.get_weights()
        with pytest.raises(FileError, match="do not fit layer"):
            other.load_weights(tmp_path / name)
        for a, b in zip(before, other.get_weights(), strict=True):
            assert np.array_equal(a, b)


def test_without_h5py(tmp_path, monkeypatch):
    small().save(tmp_path / "m.keras")
    monkeypatch.setitem(sys.modules, "h5py", None)
    load_model(tmp_path / "m.keras")
    with pytest.raises(MissingDependencyError, match=r"pip install 'chainrule\[keras-files\]'"):
        small().save(tmp_path / "m.keras")
