"""Sound files and features: every format, what is broken, values by formulas in float64."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest
import scipy.fft
import scipy.signal
import soundfile

from chainrule.data.audio import header, read
from chainrule.errors import (
    ArgumentError,
    AudioError,
    DataError,
    FileError,
    MissingDependencyError,
    ShapeError,
)
from chainrule.preprocessing.audio import (
    add_noise,
    change_speed,
    cmvn,
    cmvn_by_speaker,
    deltas,
    frame,
    log_mel,
    mfcc,
    pitch,
    resample,
)
from chainrule.utils import load_audio, save_audio

RANDOM = np.random.default_rng(5)


def sweep(seconds=0.5, rate=16000, low=100.0, high=3000.0):
    t = np.arange(int(seconds * rate)) / rate
    return (0.5 * scipy.signal.chirp(t, low, seconds, high)).astype(np.float32)


def content(x, rate=16000, form="WAV", subtype=None):
    file = io.BytesIO()
    soundfile.write(file, x, rate, format=form, subtype=subtype)
    return file.getvalue()


FORMS = [
    ("WAV", "PCM_16", 4e-5),
    ("WAV", "PCM_24", 1e-6),
    ("WAV", "PCM_U8", 1e-2),
    ("WAV", "FLOAT", 0),
    ("WAV", "ULAW", 3e-2),
    ("WAVEX", "PCM_16", 4e-5),
    ("RF64", "PCM_16", 4e-5),
    ("FLAC", "PCM_16", 4e-5),
    ("OGG", "VORBIS", 0.15),
    ("OGG", "OPUS", 0.25),
    ("MP3", None, 0.15),
]


@pytest.mark.parametrize(("form", "subtype", "off"), FORMS)
def test_every_format_is_read(form, subtype, off, tmp_path):
    x = sweep()
    given = content(x, 16000, form, subtype)
    found, rate = load_audio(given)
    assert rate == 16000 and found.dtype == np.float32 and found.shape == x.shape
    np.testing.assert_allclose(found, x, atol=max(off, 1e-7))
    path = tmp_path / "wrong.name"
    path.write_bytes(given)
    assert header(path) == (len(x), 16000)
    np.testing.assert_array_equal(load_audio(path)[0], found)
    with open(path, "rb") as file:
        np.testing.assert_array_equal(load_audio(file)[0], found)


@pytest.mark.parametrize(("form", "subtype", "off"), FORMS)
@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.5, 0.9, 0.999])
def test_a_file_cut_anywhere_is_refused(form, subtype, off, share):
    whole = content(sweep(2.0), 16000, form, subtype)
    cut = whole[: int(share * len(whole))]
    with pytest.raises(AudioError, match=rf"a sound of {len(cut)} bytes (is|cannot)"):
        load_audio(cut)


def test_an_ogg_file_without_its_last_page_is_refused():
    whole = content(RANDOM.normal(0, 0.2, 200000), 16000, "OGG", "VORBIS")
    last = whole.rindex(b"OggS")
    assert whole.count(b"OggS") > 4
    assert len(load_audio(whole)[0]) == 200000
    with pytest.raises(AudioError, match="it is cut: the last page of the stream is missing"):
        load_audio(whole[:last])


def test_what_is_no_sound_is_refused_by_name(tmp_path):
    (tmp_path / "empty.wav").touch()
    (tmp_path / "text.wav").write_text("this is not a sound at all")
    (tmp_path / "no_samples.wav").write_bytes(content(np.zeros(0)))
    (tmp_path / "nan.wav").write_bytes(content(np.array([0.0, np.nan]), subtype="FLOAT"))
    (tmp_path / "a.wav").write_bytes(content(sweep(), form="AIFF", subtype="PCM_16"))
    told = {
        "empty.wav": r"is empty \(0 bytes\)",
        "text.wav": "is not a sound .* it begins with b'this is not '",
        "no_samples.wav": "it holds not one sample",
        "nan.wav": "samples that are not finite",
        "a.wav": "it is AIFF; expected FLAC",
        "none.wav": "there is no file",
        ".": "is a folder, not a sound",
    }
    for name, words in told.items():
        with pytest.raises(AudioError, match=words) as error:
            load_audio(tmp_path / name)
        assert name.strip(".") in str(error.value) and "\n" not in str(error.value)
    with pytest.raises(AudioError, match="no ordinary file"):
        load_audio("/dev/zero")
    assert issubclass(AudioError, DataError) and issubclass(AudioError, FileError)


def test_a_wav_of_unknown_length_is_read_to_its_end():
    whole = content(sweep())
    at = whole.index(b"data") + 4
    streamed = whole[:at] + b"\xff\xff\xff\xff" + whole[at + 4 :]
    np.testing.assert_array_equal(load_audio(streamed)[0], load_audio(whole)[0])


def test_one_sample_and_silence_are_sounds():
    one, rate = load_audio(content(np.array([0.5]), 8000))
    assert one.tolist() == [0.5] and rate == 8000
    assert load_audio(content(np.array([0.5]), 8000), 16000)[0].shape == (2,)
    assert not load_audio(content(np.zeros(500)))[0].any()


def test_channels_are_averaged_or_kept():
    x = RANDOM.uniform(-0.9, 0.9, (300, 3)).astype(np.float32)
    given = content(x, subtype="FLOAT")
    np.testing.assert_allclose(load_audio(given)[0], x.mean(axis=1), rtol=1e-6, atol=1e-7)
    np.testing.assert_array_equal(load_audio(given, mono=False)[0], x)
    assert load_audio(given, 8000, mono=False)[0].shape == (150, 3)
    assert read(given)[0].shape == (300, 3)


@pytest.mark.parametrize(
    ("rate", "new"), [(44100, 16000), (8000, 16000), (22050, 11025), (7999, 8000)]
)
def test_resampling_keeps_a_tone_and_its_length(rate, new):
    seconds, tone = 1.0, 440.0
    x = np.sin(2 * np.pi * tone * np.arange(int(seconds * rate)) / rate)
    y = resample(x, rate, new)
    assert y.dtype == np.float32 and len(y) == round(len(x) * new / rate)
    wanted = np.sin(2 * np.pi * tone * np.arange(len(y)) / new)
    np.testing.assert_allclose(y[200:-200], wanted[200:-200], atol=2e-3)


def test_resampling_leaves_nothing_above_half_of_the_lower_rate():
    x = np.sin(2 * np.pi * 6000 * np.arange(16000) / 16000)  # beyond 4000 Hz
    assert np.abs(resample(x, 16000, 8000)[200:-200]).max() < 1e-3
    for length in (0, 1, 2, 5):
        assert len(resample(np.ones(length), 44100, 16000)) == (
            max(round(length / 2.75625), 1) if length else 0
        )
    with pytest.raises(ArgumentError, match="expected more than 0"):
        resample(x, 16000, 0)


def mel_by_formula(x, rate, bins, low=20.0, high=None, length=0.025, step=0.01, floor=2.0**-23):
    """Kaldi's log-mel energies by their formulas, in float64."""
    width, hop = int(length * rate), int(step * rate)
    size, high = 2 ** math.ceil(math.log2(width)), high or rate / 2
    window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(width) / (width - 1))) ** 0.85
    mel = lambda f: 1127 * np.log1p(np.asarray(f) / 700)  # noqa: E731
    edges = np.linspace(mel(low), mel(high), bins + 2)
    bin_mels = mel(np.arange(size // 2 + 1) * rate / size)
    up = (bin_mels - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    down = (edges[2:, None] - bin_mels) / (edges[2:] - edges[1:-1])[:, None]
    weights = np.maximum(np.minimum(up, down), 0)
    weights[:, -1] = 0  # Kaldi leaves the last bin out
    frames = []
    for i in range((len(x) + hop // 2) // hop):
        at = hop * i + hop // 2 - width // 2 + np.arange(width)
        at = np.where(at < 0, -at - 1, at)
        at = np.where(at >= len(x), 2 * len(x) - 1 - at, at)
        frame = x[at].astype(np.float64)
        frame = frame - frame.mean()
        frame = frame - 0.97 * np.concatenate([frame[:1], frame[:-1]])
        frames.append(np.abs(np.fft.rfft(frame * window, size)) ** 2)
    return np.log(np.maximum(np.array(frames) @ weights.T, floor))


@pytest.mark.parametrize(
    ("rate", "bins", "low", "high"),
    [
        (16000, 40, 20.0, None),
        (8000, 23, 20.0, None),
        (44100, 64, 100.0, 8000.0),
    ],
)
def test_log_mel_is_kaldis_formula(rate, bins, low, high):
    x = sweep(0.3, rate) + RANDOM.normal(0, 0.01, int(0.3 * rate)).astype(np.float32)
    found = log_mel(x, rate, bins, min_freq=low, max_freq=high)
    wanted = mel_by_formula(x, rate, bins, low, high)
    assert found.dtype == np.float32 and found.shape == wanted.shape == (30, bins)
    np.testing.assert_allclose(found, wanted, rtol=2e-3, atol=2e-3)


def test_mfcc_is_the_liftered_cosine_transform_of_log_mel():
    x = sweep() + RANDOM.normal(0, 0.01, 8000).astype(np.float32)
    energies = log_mel(x, 16000, 23).astype(np.float64)
    lifter = 1 + 11 * np.sin(np.pi * np.arange(13) / 22)
    wanted = scipy.fft.dct(energies, type=2, norm="ortho")[:, :13] * lifter
    np.testing.assert_allclose(mfcc(x, 16000), wanted, rtol=1e-3, atol=2e-3)
    assert mfcc(x, 16000, num_coefficients=23).shape == (50, 23)


@pytest.mark.parametrize("features", [log_mel, mfcc, pitch])
def test_features_of_no_sound_one_sample_and_silence(features):
    width = features(np.zeros(8000), 8000).shape[1]
    assert features(np.zeros(0), 8000).shape == (0, width)
    assert features(np.ones(1), 8000).shape == (0, width)
    assert features(np.ones(40), 8000).shape == (1, width)
    silent = features(np.zeros(8000), 8000)
    assert silent.shape == (100, width) and np.isfinite(silent).all()
    assert not cmvn(silent).any() and not cmvn(deltas(silent)).any()
    with pytest.raises(DataError, match="NaN or infinity"):
        features(np.array([0.0, np.inf]), 8000)
    with pytest.raises(ShapeError, match="of one channel"):
        features(np.zeros((100, 2)), 8000)
    np.testing.assert_array_equal(features(np.ones((500, 1)), 8000), features(np.ones(500), 8000))


def test_features_are_the_same_each_time():
    x = RANDOM.normal(0, 0.1, 4000)
    for features in (log_mel, mfcc, pitch):
        np.testing.assert_array_equal(features(x, 8000), features(x, 8000))


def test_arguments_of_features_are_checked():
    x = np.zeros(800)
    with pytest.raises(ArgumentError, match="half of the sample rate"):
        log_mel(x, 8000, max_freq=5000.0)
    with pytest.raises(ArgumentError, match="half of the sample rate"):
        log_mel(x, 8000, min_freq=4000.0)
    with pytest.raises(ArgumentError, match="num_mel_bins is 2"):
        mfcc(x, 8000, num_mel_bins=2)
    with pytest.raises(ArgumentError, match="num_coefficients is 24; expected 1 to 23"):
        mfcc(x, 8000, num_coefficients=24)
    with pytest.raises(ArgumentError, match="less than one sample"):
        log_mel(x, 8000, frame_step=1e-5)
    with pytest.raises(ArgumentError, match="at least two samples"):
        log_mel(x, 8000, frame_length=1e-4)
    with pytest.raises(ArgumentError, match="sample_rate is 0"):
        log_mel(x, 0)
    with pytest.raises(ArgumentError, match="at least 4000 samples"):
        pitch(x, 2000)


def test_pitch_follows_a_voice_that_rises_and_falls():
    for low, high, sign in ((100, 200, 1), (250, 120, -1)):
        phase = 2 * np.pi * np.cumsum(np.linspace(low, high, 8000)) / 16000
        voice = sum(np.sin(k * phase) / k for k in range(1, 6)) * 0.2
        found = pitch(voice, 16000)
        assert found.shape == (50, 4)
        np.testing.assert_allclose(
            found[40, 1] - found[10, 1],
            2.0 * math.log((low + 0.8 * (high - low)) / (low + 0.2 * (high - low))),  # scaled by 2
            atol=0.1,
        )
        assert np.all(sign * found[15:35, 2] > 0)
        hertz = np.exp(found[:, 3])
        np.testing.assert_allclose(hertz[25], (low + high) / 2, rtol=0.03)


def test_deltas_are_slopes_as_kaldi_has_them():
    import kaldi_native_fbank

    for frames, order, window in ((1, 2, 2), (2, 1, 3), (7, 3, 1), (20, 2, 2), (5, 0, 2)):
        x = RANDOM.normal(size=(frames, 3)).astype(np.float32)
        options = kaldi_native_fbank.DeltaOptions(order=order, window=window)
        wanted = kaldi_native_fbank.compute_deltas(options, x)
        np.testing.assert_allclose(deltas(x, order, window), wanted, rtol=1e-5, atol=1e-6)
    assert deltas(np.zeros((0, 3))).shape == (0, 9)
    line = np.arange(9.0)[:, None] * 3
    np.testing.assert_allclose(deltas(line)[2:-2, 1], 3.0, rtol=1e-6)
    for wrong in ((-1, 2), (1, 0), (1.5, 2)):
        with pytest.raises(ArgumentError):
            deltas(line, *wrong)
    with pytest.raises(ShapeError, match="expected frames"):
        deltas(np.zeros(3))


def test_frames_are_pieces_of_the_sound():
    x = np.arange(10)
    for length, step in ((3, 2), (4, 4), (10, 1), (1, 3), (2, 5)):
        n = (10 - length) // step + 1
        want = [x[i * step : i * step + length].tolist() for i in range(n)]
        assert frame(x, length, step).tolist() == want
    assert frame(x, 4, 3, pad_end=True).tolist()[-1] == [9, 0, 0, 0]
    assert len(frame(x, 4, 3, pad_end=True)) == 4
    assert frame(x, 11, 1).shape == (0, 11) and frame([], 3, 1, pad_end=True).shape == (0, 3)
    both = np.stack([x, -x], 1)
    assert frame(both, 4, 3).shape == (3, 4, 2) and frame(both, 4, 3)[1, 2].tolist() == [5, -5]
    for wrong in ((0, 1), (1, 0), (1.5, 1)):
        with pytest.raises(ArgumentError):
            frame(x, *wrong)
    with pytest.raises(ShapeError, match="single number"):
        frame(3.0, 1, 1)


def test_normalization_by_recording_and_by_speaker():
    parts = [RANDOM.normal(3 * i, 1 + i, (20 + i, 4)).astype(np.float32) for i in range(4)]
    one = cmvn(parts[2])
    np.testing.assert_allclose(one.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(one.std(axis=0), 1, rtol=1e-5)
    np.testing.assert_allclose(
        cmvn(parts[2], variance=False).std(axis=0), parts[2].std(axis=0), rtol=1e-5
    )
    found = cmvn_by_speaker(parts, ["a", "b", "a", "b"])
    for mine in ((0, 2), (1, 3)):
        both = np.concatenate([found[i] for i in mine])
        np.testing.assert_allclose(both.mean(axis=0), 0, atol=1e-6)
        np.testing.assert_allclose(both.std(axis=0), 1, rtol=1e-5)
    assert abs(found[0].mean()) > 0.1
    far = np.float32(1e4) + RANDOM.normal(0, 1, (50, 1)).astype(np.float32)
    np.testing.assert_allclose(cmvn(far).std(), 1, rtol=1e-3)
    assert cmvn(np.zeros((0, 4))).shape == (0, 4) and not cmvn(np.full((3, 2), 0.1)).any()
    with pytest.raises(DataError, match="2 sequences, but 1 speakers"):
        cmvn_by_speaker(parts[:2], ["a"])
    with pytest.raises(ShapeError, match="number of features"):
        cmvn_by_speaker([np.zeros((2, 3)), np.zeros((2, 4))], ["a", "a"])


def test_noise_is_added_at_its_loudness():
    x, noise = sweep(), RANDOM.normal(size=50000)
    for snr in (-5.0, 0.0, 20.0):
        for other in (noise, noise[:100]):
            added = add_noise(x, other, snr, seed=3).astype(np.float64) - x
            ratio = 10 * np.log10(np.mean(x.astype(np.float64) ** 2) / np.mean(added**2))
            assert ratio == pytest.approx(snr, abs=0.01)
    assert np.any(add_noise(x, noise, 0, seed=3) != add_noise(x, noise, 0, seed=4))
    np.testing.assert_array_equal(add_noise(x, noise, 0, 3), add_noise(x, noise, 0, 3))
    assert not add_noise(np.zeros(10), noise, 10).any()
    assert add_noise(np.zeros(0), noise, 10).shape == (0,)
    with pytest.raises(DataError, match="empty or silent"):
        add_noise(x, np.zeros(4), 10)
    with pytest.raises(ArgumentError, match="expected decibels"):
        add_noise(x, noise, float("nan"))


def test_speed_changes_length_and_height():
    x = np.sin(2 * np.pi * 500 * np.arange(16000) / 16000)
    y = change_speed(x, 1.25)
    assert len(y) == 12800
    assert np.argmax(np.abs(np.fft.rfft(y))) * 16000 / len(y) == pytest.approx(625, abs=2)
    for wrong in (0, -1.0, "fast", True):
        with pytest.raises(ArgumentError, match="above 0"):
            change_speed(x, wrong)


def test_sounds_are_written_and_read_again(tmp_path):
    x = RANDOM.uniform(-0.9, 0.9, (100, 2))
    for name in ("a.wav", "b.flac", "c.ogg", "d.WAV"):
        save_audio(tmp_path / name, x, 22050)
        found, rate = load_audio(tmp_path / name, mono=False)
        assert found.shape == x.shape and rate == 22050
    np.testing.assert_allclose(load_audio(tmp_path / "a.wav", mono=False)[0], x, atol=4e-5)
    save_audio(tmp_path / "loud.wav", [2.0, -2.0], 8000)
    np.testing.assert_allclose(load_audio(tmp_path / "loud.wav")[0], [1, -1], atol=1e-4)
    for path, words in (
        (tmp_path / "x.txt", "cannot write"),
        (tmp_path / "no" / "a.wav", "cannot"),
    ):
        with pytest.raises(FileError, match=words):
            save_audio(path, x, 8000)
    with pytest.raises(DataError, match="expected"):
        save_audio(tmp_path / "a.wav", np.zeros((2, 2, 2)), 8000)
    with pytest.raises(ArgumentError, match="sample_rate is 0"):
        save_audio(tmp_path / "a.wav", x, 0)


@pytest.mark.parametrize(
    ("package", "call"),
    [
        ("soundfile", lambda: load_audio(b"")),
        ("soxr", lambda: resample(np.ones(10), 8000, 16000)),
        ("kaldi_native_fbank", lambda: log_mel(np.ones(10), 8000)),
    ],
)
def test_a_missing_package_is_told_in_a_line(package, call, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, package, None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'chainrule\[audio\]'") as error:
        call()
    assert "\n" not in str(error.value) and package.replace("_", "-") in str(error.value)
