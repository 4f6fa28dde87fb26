"""Spectrograms against Keras and SciPy; masks, shifts, speed and noise: what they draw and do."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import scipy.signal

import chainrule
from chainrule import executors, layers, ops
from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph import constant, scope
from chainrule.layers import (
    Dense,
    Flatten,
    FrequencyMasking,
    GlobalAveragePooling1D,
    Input,
    Masking,
    MelSpectrogram,
    RandomNoise,
    RandomSpeed,
    RandomTimeShift,
    STFTSpectrogram,
    TimeMasking,
    deserialize,
    serialize,
)
from chainrule.models import Sequential, load_model
from chainrule.utils import set_random_seed
from peers import peer

RANDOM = np.random.default_rng(2)
SOUNDS = (RANDOM.normal(0, 0.1, (3, 3000)) + np.sin(np.arange(3000) * 0.3)).astype("float32")
FRAMES = RANDOM.normal(size=(40, 30, 8)).astype("float32") + 3

AUGMENTATIONS = {
    "time": lambda **o: TimeMasking(9, 2, **o),
    "frequency": lambda **o: FrequencyMasking(4, 2, **o),
    "shift": lambda **o: RandomTimeShift(0.4, **o),
    "speed": lambda **o: RandomSpeed(0.3, **o),
    "noise": lambda **o: RandomNoise((0, 20), **o),
}
EACH = pytest.mark.parametrize("name", AUGMENTATIONS)


def at(seed, step, call):
    """Return what `call` draws in a step of training with this key."""
    with scope.tracing(constant(np.array([seed, step], np.int64)), True):
        return np.asarray(call())


def theirs(name, arguments, x):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.asarray(getattr(peer("keras").layers, name)(**arguments)(x))


STFTS = [
    {},
    {"mode": "magnitude", "frame_length": 200, "frame_step": 80, "window": "hamming"},
    {"mode": "psd", "scaling": "spectrum", "periodic": True, "padding": "same"},
    {"mode": "real", "frame_length": 100, "fft_length": 128, "scaling": None},
    {"mode": "imag", "window": None, "frame_length": 64, "frame_step": 64},
    {"mode": "stft", "expand_dims": True, "frame_length": 128},
    {"mode": "log", "expand_dims": True, "padding": "same", "frame_step": 100},
]


@pytest.mark.parametrize("number", range(len(STFTS)))
def test_transforms_are_those_of_keras(number):
    arguments, channels = STFTS[number], 1 + number % 2
    x = SOUNDS[:, : 1200 * channels].reshape(3, 1200, channels)
    ours = STFTSpectrogram(**arguments)(x)
    want = theirs("STFTSpectrogram", arguments, x)
    assert ours.shape == want.shape
    np.testing.assert_allclose(ours.numpy(), want, rtol=1e-3, atol=3e-4)
    assert STFTSpectrogram(**arguments).compute_output_shape((None, *x.shape[1:])) == (
        None,
        *want.shape[1:],
    )


@pytest.mark.parametrize("expand", [False, True])
def test_channels_first_are_channels_last_turned(expand):
    x = SOUNDS[:, :2400].reshape(3, 1200, 2)
    first = STFTSpectrogram(data_format="channels_first", expand_dims=expand)
    last = STFTSpectrogram(expand_dims=expand)(x).numpy()
    found = first(x.transpose(0, 2, 1)).numpy()
    turned = (0, 2, 3, 1) if expand else (0, 2, 1)
    np.testing.assert_allclose(found.transpose(turned), last, atol=1e-5)


def test_the_transform_is_that_of_scipy_and_learns():
    layer = STFTSpectrogram("stft", 256, 128, scaling=None, periodic=True, expand_dims=True)
    found = layer(SOUNDS[:, :, None]).numpy()[..., 0]
    window = scipy.signal.get_window("hann", 256)
    _, _, want = scipy.signal.stft(
        SOUNDS, window=window, nperseg=256, noverlap=128, boundary=None, padded=False
    )
    want = want.transpose(0, 2, 1) * window.sum()
    np.testing.assert_allclose(found[..., :129] + 1j * found[..., 129:], want, atol=2e-4)
    assert [v.shape for v in layer.trainable_variables] == [(256, 1, 129)] * 2
    model = Sequential(
        [Input((3000, 1)), STFTSpectrogram(frame_length=64), GlobalAveragePooling1D(), Dense(1)]
    )
    model.compile("sgd", "mse")
    before = model.layers[0].get_weights()[0].copy()
    model.fit(SOUNDS[:, :, None], np.ones((3, 1)), verbose=0)
    assert np.isfinite(model.layers[0].get_weights()[0]).all()
    assert np.any(model.layers[0].get_weights()[0] != before)
    still = STFTSpectrogram(trainable=False)
    still(SOUNDS[:, :, None])
    assert not still.trainable_variables and len(still.variables) == 2


MELS = [
    {"fft_length": 256, "sequence_stride": 100, "sampling_rate": 8000, "num_mel_bins": 20},
    {"fft_length": 512, "sequence_length": 400, "sequence_stride": 160, "window": "hamming"},
    {"fft_length": 256, "sequence_stride": 64, "mag_exp": 1.0, "power_to_db": False},
    {"fft_length": 256, "sequence_stride": 64, "max_freq": 4000, "min_freq": 200, "top_db": 20.0},
    {"fft_length": 256, "sequence_stride": 64, "ref_power": 5.0, "min_power": 1e-3},
    {"fft_length": 128, "sequence_stride": 64, "window": None, "num_mel_bins": 10},
    {"fft_length": 300, "sequence_stride": 77, "num_mel_bins": 10},
    {},
]


@pytest.mark.parametrize("arguments", MELS, ids=range(len(MELS)))
def test_mel_spectrograms_are_those_of_keras(arguments):
    layer = MelSpectrogram(**arguments)
    want = theirs("MelSpectrogram", arguments, SOUNDS[0])
    found = layer(SOUNDS[0]).numpy()
    assert found.shape == want.shape
    np.testing.assert_allclose(found, want, rtol=1e-3, atol=1e-2)
    batch = layer(SOUNDS).numpy()
    np.testing.assert_allclose(batch[1], layer(SOUNDS[1]).numpy(), rtol=1e-4, atol=1e-3)
    assert layer.compute_output_shape((None, 3000)) == (None, *batch.shape[1:])
    assert layer.compute_output_shape((3000,)) == batch.shape[1:]


def test_mel_spectrograms_of_silence_and_of_little():
    layer = MelSpectrogram(fft_length=64, sequence_stride=32, num_mel_bins=8)
    silent = layer(np.zeros((2, 200))).numpy()
    np.testing.assert_allclose(silent, -100.0, atol=1e-4)  # 10 log10(1e-10)
    assert layer(np.ones((1, 1))).shape == (1, 8, 1)
    assert layer(np.zeros((0, 200))).shape == (0, 8, 7)
    for wrong in (np.zeros((2, 0)), np.zeros((2, 3, 4))):
        with pytest.raises(ShapeError, match="expected sounds"):
            layer(wrong)


def test_arguments_of_spectrograms():
    for arguments, words in (
        ({"mode": "angle"}, "unknown mode"),
        ({"frame_step": 300}, "at most"),
        ({"fft_length": 100}, "at least"),
        ({"window": "round"}, "unknown window"),
        ({"window": [1.0]}, r"expected \[256\]"),
        ({"scaling": "loud"}, "unknown scaling"),
        ({"frame_length": 0}, "frame_length is 0"),
    ):
        with pytest.raises(ArgumentError, match=words):
            STFTSpectrogram(**arguments)
    for arguments, words in (
        ({"sequence_length": 4096}, "more than the fft_length"),
        ({"max_freq": 9000}, "expected 0 <= min_freq"),
        ({"num_mel_bins": 0}, "num_mel_bins is 0"),
        ({"window": "round"}, "unknown window"),
    ):
        with pytest.raises(ArgumentError, match=words):
            MelSpectrogram(**arguments)
    with pytest.raises(ShapeError, match="expected sounds"):
        STFTSpectrogram()(np.zeros((2, 300)))


def test_files_of_keras(tmp_path):
    keras = peer("keras")

    def network(of):
        hidden = [of.layers.STFTSpectrogram(frame_length=64, window="hamming"), of.layers.Flatten()]
        return of.Sequential([of.layers.Input((300, 1)), *hidden, of.layers.Dense(2)])

    def mel(of):
        layer = of.layers.MelSpectrogram(fft_length=128, sequence_stride=64, num_mel_bins=10)
        return of.Sequential([of.layers.Input((300,)), layer, of.layers.Flatten()])

    for make, x in ((network, SOUNDS[:, :300, None]), (mel, SOUNDS[:1, :300])):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            first, second = make(keras), make(chainrule)
            first.save(tmp_path / "theirs.keras")
            second.save(tmp_path / "ours.keras")
            want = first.predict(x, verbose=0)
            back = keras.models.load_model(tmp_path / "ours.keras").predict(x, verbose=0)
        found = load_model(tmp_path / "theirs.keras").predict(x, verbose=0)
        np.testing.assert_allclose(found, want, rtol=1e-3, atol=1e-3)
        np.testing.assert_allclose(second.predict(x, verbose=0), back, rtol=1e-3, atol=1e-3)


def masked_spans(y, axis):
    """Return where whole rows or columns of each sample are 0."""
    return (y == 0).all(axis=axis)


def runs(truths):
    return np.sum(np.diff(np.concatenate([[0], truths.astype(int)])) == 1)


def test_masks_are_spans_of_every_width_at_every_place():
    x = np.ones((6000, 12, 5), "float32")
    y = TimeMasking(4, seed=1)(x).numpy()
    assert set(np.unique(y)) == {0.0, 1.0} and ((y == 0).any(2) == (y == 0).all(2)).all()
    rows = masked_spans(y, 2)
    assert max(runs(one) for one in rows) == 1
    widths = np.bincount(rows.sum(1))
    np.testing.assert_allclose(widths / 6000, 1 / 5, atol=0.02)
    begins = np.bincount(rows[rows.sum(1) == 4].argmax(1))
    np.testing.assert_allclose(begins / begins.sum(), 1 / 9, atol=0.03)
    z = FrequencyMasking(2, 2, mask_value=7.0, seed=1)(x).numpy()
    assert set(np.unique(z)) == {1.0, 7.0} and (z == z[:, :1]).all()
    assert (z[:, 0] == 7).sum(1).max() == 4


def test_masks_are_no_longer_than_their_share_and_the_sound():
    x = np.ones((500, 10, 3), "float32")
    y = TimeMasking(100, p=0.2, seed=1)(x).numpy()
    assert masked_spans(y, 2).sum(1).max() == 2
    assert masked_spans(TimeMasking(100, seed=1)(x).numpy(), 2).sum(1).max() == 10
    assert masked_spans(FrequencyMasking(50, seed=1)(x).numpy(), 1).sum(1).max() == 3
    for layer in (TimeMasking(0), TimeMasking(5, 0), TimeMasking(5, p=0.0), FrequencyMasking(0)):
        np.testing.assert_array_equal(layer(x).numpy(), x)
    for shape in ((0, 10, 3), (2, 0, 3), (2, 1, 1)):
        assert TimeMasking(3)(np.ones(shape)).shape == shape
        assert FrequencyMasking(3)(np.ones(shape)).shape == shape


@pytest.mark.parametrize("front", [False, True])
def test_time_masks_lie_within_the_steps_that_count(front):
    x = np.ones((800, 20, 3), "float32")
    x[:, : 12 if front else 0] = 0
    x[:, 20 if front else 8 :] = 0
    masking, layer = Masking(), TimeMasking(100, p=0.5, mask_value=5.0, seed=3)
    with scope.tracing(constant(np.array([0, 0], np.int64)), True):
        inner = masking(x)
        y = layer(inner, training=True)
        known = y.mask.numpy()
    np.testing.assert_array_equal(known, x[:, :, 0] == 1)
    struck = (y.numpy() == 5).all(2)
    assert not struck[~known].any() and struck.sum(1).max() == 4
    assert struck[:, 12:].any(0).all() if front else struck[:, :8].any(0).all()


def test_images_of_spectrograms_are_masked_in_all_channels():
    x = np.ones((50, 9, 6, 2), "float32")
    for layer, axes in ((TimeMasking(5, seed=1), (2, 3)), (FrequencyMasking(4, seed=1), (1, 3))):
        y = layer(x).numpy()
        assert y.shape == x.shape and 0 < (y == 0).mean() < 0.7
        assert ((y == 0).any(axes) == (y == 0).all(axes)).all()


def test_shifts_move_whole_steps():
    x = np.tile(np.arange(1.0, 11.0, dtype="float32"), (2000, 1))
    y = RandomTimeShift(0.3, seed=1)(x).numpy()
    shifts = []
    for one in y:
        s = int(one[0]) - 1 if one[0] else -int(np.argmax(one > 0))
        want = np.zeros(10)
        kept = x[0, max(s, 0) : 10 + min(s, 0)]
        want[max(-s, 0) : max(-s, 0) + len(kept)] = kept
        np.testing.assert_array_equal(one, want)
        shifts.append(s)
    assert sorted(set(shifts)) == [-3, -2, -1, 0, 1, 2, 3]
    frames = RandomTimeShift((0.5, 0.5))(FRAMES).numpy()
    np.testing.assert_array_equal(frames[:, 15:], FRAMES[:, :15])
    assert not frames[:, :15].any()


def test_speed_samples_between_steps():
    x = np.arange(1.0, 101.0, dtype="float32")[None] * np.ones((50, 1), "float32")
    y = RandomSpeed((-0.5, 0.5), seed=1)(x).numpy()
    scale = y[:, 1] - y[:, 0]
    assert 0.5 <= scale.min() < 0.7 and 1.3 < scale.max() <= 1.5
    place = scale[:, None] * np.arange(100)
    np.testing.assert_allclose(y[place <= 98], (1 + place)[place <= 98], rtol=1e-4)
    assert not y[place > 100].any()
    np.testing.assert_array_equal(RandomSpeed(0.0)(x).numpy(), x)


def test_masks_move_with_the_steps():
    x = np.zeros((4, 10, 2), "float32")
    x[:, :6] = 1
    shift = RandomTimeShift((0.2, 0.2))
    with scope.tracing(constant(np.array([0, 0], np.int64)), True):
        y = shift(Masking()(x), training=True)
        assert y.mask.numpy()[0].tolist() == [False] * 2 + [True] * 6 + [False] * 2


def test_noise_has_the_loudness_that_is_asked_for():
    x = np.zeros((200, 4000), "float32")
    x[:, :1000] = np.sin(np.arange(1000))  # the rest is padding
    x[0] = 0
    noise = RandomNoise((0, 20), seed=1)(x).numpy() - x
    assert not noise[0].any()
    ratio = 10 * np.log10(np.mean(x[1, :1000] ** 2) / np.mean(noise[1:] ** 2, axis=1))
    assert -0.5 < ratio.min() < 2 and 18 < ratio.max() < 20.5
    fixed = RandomNoise(10)(x).numpy()[1] - x[1]
    assert 10 * np.log10(np.mean(x[1, :1000] ** 2) / np.mean(fixed**2)) == pytest.approx(
        10, abs=0.5
    )


@EACH
def test_nothing_changes_outside_of_training(name):
    layer = AUGMENTATIONS[name]()
    np.testing.assert_array_equal(layer(FRAMES, training=False).numpy(), FRAMES)
    model = Sequential([Input((30, 8)), layer, Flatten(), Dense(2)])
    shown = model.predict(FRAMES, verbose=0)
    assert np.array_equal(shown, model(FRAMES).numpy())
    assert not np.array_equal(model(FRAMES, training=True).numpy(), shown)
    with scope.tracing(None, False):
        assert layer(Masking()(FRAMES)).mask is not None
    assert layer((FRAMES * 9).astype("int32"), training=False).dtype == "float32"


@EACH
def test_numbers_follow_from_the_key_or_the_seed(name):
    layer, own = AUGMENTATIONS[name](), AUGMENTATIONS[name](seed=5)
    first = at(1, 0, lambda: layer(FRAMES))
    assert np.array_equal(first, at(1, 0, lambda: layer(FRAMES)))
    assert not np.array_equal(first, at(1, 1, lambda: layer(FRAMES)))
    assert np.array_equal(at(1, 4, lambda: own(FRAMES)), at(2, 4, lambda: own(FRAMES)))
    same = at(3, 0, lambda: layer(np.repeat(FRAMES[:1], 40, axis=0)))
    assert len(np.unique(same.reshape(40, -1), axis=0)) > 1
    again = deserialize(serialize(own))
    assert again.get_config() == own.get_config()
    assert np.array_equal(at(0, 0, lambda: again(FRAMES)), at(0, 0, lambda: own(FRAMES)))


@EACH
def test_training_has_the_same_bits_for_any_number_of_threads(name):
    found = []
    for threads in (1, 2, 3):
        before = executors.num_threads()
        executors.set_num_threads(threads)
        try:
            set_random_seed(4)
            stack = [Masking(), AUGMENTATIONS[name](), GlobalAveragePooling1D(), Dense(2)]
            model = Sequential([Input((30, 8)), *stack])
            model.compile("sgd", "mse")
            model.fit(FRAMES, np.ones((40, 2)), batch_size=16, epochs=2, verbose=0)
            found.append(model.get_weights())
        finally:
            executors.set_num_threads(before)
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(("make", "words"), [
    (lambda: TimeMasking(-1), "time_mask_param is -1"),
    (lambda: TimeMasking(3, p=2), "p is 2"),
    (lambda: TimeMasking(3, 1.5), "num_masks is 1.5"),
    (lambda: FrequencyMasking(True), "freq_mask_param is True"),
    (lambda: RandomTimeShift(2.0), "factor is 2.0"),
    (lambda: RandomSpeed((-1.0, 0.5)), "factor is"),
    (lambda: RandomNoise("loud"), "snr is 'loud'"),
    (lambda: RandomNoise(float("nan")), "expected decibels"),
])  # fmt: skip
def test_arguments_of_augmentations(make, words):
    with pytest.raises(ArgumentError, match=words):
        make()


def test_shapes_that_are_no_sounds_are_refused():
    for layer in (TimeMasking(3), FrequencyMasking(3)):
        with pytest.raises(ShapeError, match=r"expected frames \[n, t, d\]"):
            layer(np.zeros((4, 5)))
    for layer in (RandomTimeShift(), RandomSpeed(), RandomNoise()):
        with pytest.raises(ShapeError, match=r"expected \[n, t\], or frames"):
            layer(np.zeros(5))


def test_gradients_pass_what_stays():
    x = ops.as_value(np.ones((3, 10, 4), "float32"))
    with scope.tracing(constant(np.array([0, 0], np.int64)), True):
        with chainrule.GradientTape() as tape:
            tape.watch(x)
            y = TimeMasking(5, 2)(x, training=True)
            loss = ops.sum(y)
        slope = tape.gradient(loss, x).numpy()
    np.testing.assert_array_equal(slope, y.numpy())


def test_the_layers_are_found_by_name():
    for name in (
        "TimeMasking",
        "FrequencyMasking",
        "RandomTimeShift",
        "RandomSpeed",
        "RandomNoise",
    ):
        assert name in layers.__all__ and name in layers.registry
