"""Image files: what each kind becomes, against Pillow and Keras; broken ones are refused."""

from __future__ import annotations

import io
import os
import subprocess
import sys

import numpy as np
import pytest

from chainrule import utils
from chainrule.data import images as module
from chainrule.data.images import Form, attempts, decode, read
from chainrule.errors import (
    ArgumentError,
    ChainruleError,
    DataError,
    DataWarning,
    FileError,
    ImageError,
    MissingDependencyError,
)

Image = pytest.importorskip("PIL.Image")

RANDOM = np.random.default_rng(3)
PIXELS = RANDOM.integers(0, 256, (21, 34, 3)).astype("uint8")
SMOOTH = np.linspace(0, 255, 60 * 80 * 3).reshape(60, 80, 3).astype("uint8")
MODES = {"grayscale": "L", "rgb": "RGB", "rgba": "RGBA"}


def content(image, kind="png", **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def of(array):
    return Image.fromarray(np.asarray(array, "uint8"))


@pytest.mark.parametrize("colours", MODES)
@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK", "YCbCr", "LA", "RGBA"])
def test_each_mode_becomes_each_colour(mode, colours):
    image = of(PIXELS).convert(mode)
    kind = "tiff" if mode in ("CMYK", "YCbCr") else "png"
    found = read(content(image, kind), Form(None, colours))
    assert found.dtype == np.uint8 and found.shape == (21, 34, module.CHANNELS[colours])
    through = image if mode in ("1", "L") else image.convert("RGB")  # all is opaque
    expected = np.asarray(through.convert(MODES[colours]))
    assert np.array_equal(found.squeeze(), expected)


@pytest.mark.parametrize("kind", ["png", "bmp", "gif", "jpeg", "ppm", "tiff", "webp"])
def test_each_kind_of_file(kind):
    found = read(content(of(SMOOTH), kind), Form())
    assert found.shape == (60, 80, 3)
    assert np.abs(found.astype(int) - SMOOTH).mean() < 12


def test_what_is_transparent_becomes_white():
    pixels = np.zeros((1, 3, 4), "uint8")
    pixels[0, :, 3] = [0, 128, 255]
    for colours in ("rgb", "grayscale"):
        found = read(content(Image.fromarray(pixels)), Form(None, colours))
        assert np.array_equal(found[0, :, 0], [255, 127, 0])
    assert np.array_equal(read(content(Image.fromarray(pixels)), Form(None, "rgba")), pixels)
    # A palette with a colour that is transparent, and gray with one.
    palette = of(np.zeros((2, 2, 3))).convert("P")
    assert (read(content(palette, transparency=0), Form()) == 255).all()
    gray = Image.new("L", (2, 2), 7)
    assert (read(content(gray, transparency=7), Form()) == 255).all()
    assert (read(content(gray, transparency=8), Form()) == 7).all()


def test_sixteen_bits_become_eight():
    values = np.array([[0, 128, 129, 257 * 100, 65535]], "uint16")
    for kind in ("png", "tiff"):
        found = read(content(Image.fromarray(values), kind), Form(None, "grayscale"))
        assert found[0, :, 0].tolist() == [0, 0, 1, 100, 255]
    found = read(content(Image.fromarray(values)), Form())
    assert found.shape == (1, 5, 3) and found[0, 3].tolist() == [100] * 3
    fractions = np.array([[0, 0.5, 1]], "float32")
    assert read(content(Image.fromarray(fractions), "tiff"), Form())[0, :, 1].tolist() == [
        0,
        128,
        255,
    ]
    for bad in (np.array([[0, 70000]], "int32"), np.array([[-1.0, 2.0]], "float32")):
        with pytest.raises(ImageError, match="its values go from"):
            read(content(Image.fromarray(bad), "tiff"), Form())


@pytest.mark.parametrize("orientation", range(1, 9))
def test_photos_are_turned_upright(orientation):
    from PIL import ImageOps

    image = of(PIXELS)
    notes = Image.Exif()
    notes[0x0112] = orientation
    packed = content(image, "png", exif=notes)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(packed))))
    assert np.array_equal(read(packed, Form()), expected)
    # Sideways at half the size, where a JPEG is decoded at less.
    large = of(np.kron(SMOOTH[:, :, :1], np.ones((10, 10, 3))))
    packed = content(large, "jpeg", exif=notes, quality=95)
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(packed)))
    found = read(packed, Form((24, 40))).astype(int)
    assert np.abs(found - np.asarray(upright.resize((40, 24), 2))).max() < 8
    # Not at less where that is not twice as much, on the side that will be across.
    packed = content(of(RANDOM.integers(0, 256, (100, 1600, 3))), "jpeg", exif=notes)
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(packed)))
    size = (16, 48) if orientation > 4 else (48, 16)
    assert np.array_equal(read(packed, Form(size)), np.asarray(upright.resize(size[::-1], 2)))


def test_damaged_notes_do_not_matter():
    packed = content(of(PIXELS), "jpeg", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")
    with pytest.warns(UserWarning, match="Corrupt EXIF data"):  # Pillow's own
        assert read(packed, Form()).shape == PIXELS.shape


@pytest.mark.parametrize("name", module.INTERPOLATIONS)
def test_sizes_as_pillow_makes_them(name):
    method = getattr(Image.Resampling, module.INTERPOLATIONS[name])
    for size in [(10, 10), (50, 7), (21, 34), (1, 1)]:
        found = read(content(of(PIXELS)), Form(size, "rgb", name))
        assert np.array_equal(found, np.asarray(of(PIXELS).resize(size[::-1], method)))


def ramp(height, width):
    """Return an image whose red says the row and whose green says the column."""
    rows, columns = np.indices((height, width))
    return of(np.stack([rows, columns, 0 * rows], -1))


@pytest.mark.parametrize(
    ("shape", "size", "first", "last"),
    [
        ((40, 20), (10, 10), (10, 0), (29, 19)),  # rows 10 to 29 are left
        ((20, 40), (10, 10), (0, 10), (19, 29)),
        ((30, 30), (10, 20), (7, 0), (21, 29)),
        ((1, 9), (5, 5), (0, 4), (0, 4)),
        ((9, 1), (1, 9), (4, 0), (4, 0)),
    ],
)
def test_crop_keeps_the_middle(shape, size, first, last):
    found = read(content(ramp(*shape)), Form(size, "rgb", "nearest", "crop")).astype(int)
    assert found.shape == (*size, 3)
    assert (found[0, 0, :2] >= first).all() and (found[-1, -1, :2] <= last).all()
    assert (found[0, 0, :2] <= np.add(first, 4)).all()
    assert (found[-1, -1, :2] >= np.subtract(last, 4)).all()


def test_pad_frames_in_black():
    white = content(Image.new("RGB", (40, 20), "white"))
    found = read(white, Form((10, 10), "rgb", "bilinear", "pad"))
    assert (found[:2] == 0).all() and (found[2:7] == 255).all() and (found[7:] == 0).all()
    found = read(white, Form((30, 20), "grayscale", "bilinear", "pad"))
    assert found.sum() == 255 * 20 * 10 and (found[10:20] == 255).all()
    thin = read(content(Image.new("RGB", (1000, 1), "white")), Form((8, 8), aspect="pad"))
    assert (thin.max(axis=(1, 2)) == 255).sum() == 1


def broken(folder):
    """Return a file of each kind that is broken, with what is said of it."""
    folder.mkdir()
    good = {kind: content(of(PIXELS), kind) for kind in ("png", "jpeg", "gif", "tiff", "webp")}
    for kind, packed in good.items():
        (folder / f"cut.{kind}").write_bytes(packed[: len(packed) // 2])
    (folder / "text.png").write_text("hello, I am text")
    (folder / "empty.png").write_bytes(b"")
    (folder / "head.png").write_bytes(good["png"][:20])
    (folder / "program.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    (folder / "folder.png").mkdir()
    flipped = bytearray(good["png"])
    flipped[len(flipped) // 2] ^= 1
    (folder / "flipped.png").write_bytes(flipped)
    return {
        "flipped.png": "its pixels are damaged, by the checksum",
        "text.png": "is not an image .*: it begins with b'hello, I am",
        "program.png": "is not an image",
        "empty.png": r"is empty \(0 bytes\)",
        "folder.png": "is a folder, not an image",
        "none.png": "there is no file",
        "cut.png": "(?i)truncated",
        "cut.jpeg": "(?i)truncated",
        **dict.fromkeys(["cut.gif", "cut.tiff", "cut.webp"], "cannot be decoded|not an image"),
        "head.png": "cannot be decoded|not an image",
    }


def test_broken_files_are_named(tmp_path):
    for name, words in broken(tmp_path / "a").items():
        path = tmp_path / "a" / name
        with pytest.raises(ImageError, match=words) as caught:
            read(path, Form((8, 8)))
        assert repr(str(path)) in str(caught.value)
        assert isinstance(caught.value, DataError) and isinstance(caught.value, FileError)
    with pytest.raises(ImageError, match="an image of 5 bytes is not an image"):
        read(b"12345", Form())


def test_too_many_pixels_are_refused_before_they_are_decoded(monkeypatch):
    packed = content(Image.new("1", (300, 400)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100_000)
    with pytest.raises(ImageError, match=r"300 x 400 pixels are more|120000 pixels"):
        read(packed, Form((8, 8)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10_000)  # Pillow itself refuses twice the limit
    with pytest.raises(ImageError, match="120000 pixels"):
        read(packed, Form((8, 8)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert read(packed, Form((8, 8))).shape == (8, 8, 3)


def some(folder, n=40):
    paths = []
    for i in range(n):
        path = folder / f"{i}.{'jpg' if i % 2 else 'png'}"
        size = (int(RANDOM.integers(5, 90)), int(RANDOM.integers(5, 90)))
        of(RANDOM.integers(0, 256, (*size, 3))).save(path)
        paths.append(path)
    return paths


def test_the_number_of_threads_changes_nothing(tmp_path):
    paths = some(tmp_path)
    one = decode(paths, (16, 12), threads=1)
    assert one.shape == (40, 16, 12, 3) and one.dtype == np.uint8
    for threads in (2, 3, 8, 64):
        assert np.array_equal(decode(paths, (16, 12), threads=threads), one)
    assert np.array_equal(decode([path.read_bytes() for path in paths], (16, 12)), one)
    assert decode([], 5).shape == (0, 5, 5, 3)


def test_the_first_broken_one_is_told_and_nothing_is_left_running(tmp_path):
    import threading

    paths = some(tmp_path, 20)
    for i in (7, 13):
        paths[i].write_bytes(b"x")
    before = threading.active_count()
    for threads in (1, 2, 5):
        with pytest.raises(ImageError, match=r"7\.jpg"):
            decode(paths, 8, threads=threads)
        found = list(attempts(paths, Form((8, 8)), threads))
        assert [i for i, one in enumerate(found) if isinstance(one, ImageError)] == [7, 13]
    assert threading.active_count() == before


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"size": (0, 3)}, "size of images"),
        ({"size": (2.5, 3)}, "size of images"),
        ({"size": (2, 3, 4)}, "size of images"),
        ({"size": True}, "size of images"),
        ({"color_mode": "gray"}, "unknown color_mode 'gray'; did you mean 'grayscale'"),
        ({"interpolation": "cubic"}, "did you mean 'bicubic'"),
        ({"aspect": "keep"}, "unknown aspect"),
    ],
)
def test_wrong_arguments(options, words):
    with pytest.raises(ArgumentError, match=words):
        decode([], **{"size": 8, **options})


def test_without_pillow():
    code = """
import sys
sys.modules["PIL"] = None
from chainrule import utils
from chainrule.data.images import decode
from chainrule.errors import MissingDependencyError
for call in (lambda: decode(["x.png"], 8), lambda: utils.load_img("x.png"),
             lambda: utils.save_img("x.png", [[[1]]]), lambda: utils.array_to_img([[[1]]])):
    try:
        call()
    except MissingDependencyError as error:
        assert str(error) == (
            "reading images needs the package 'Pillow': pip install 'chainrule[images]'"), error
    else:
        raise SystemExit("no error")
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    assert issubclass(MissingDependencyError, ImportError)


# The functions of utils, beside Keras's


@pytest.fixture(scope="module")
def keras_utils():
    os.environ.setdefault("KERAS_BACKEND", "jax")
    return pytest.importorskip("keras").utils


@pytest.mark.parametrize("colours", MODES)
@pytest.mark.parametrize("mode", ["L", "P", "RGB", "RGBA", "I;16", "CMYK"])
def test_load_img_as_keras(tmp_path, keras_utils, mode, colours):
    if mode == "I;16":
        image = Image.fromarray(RANDOM.integers(0, 65536, (9, 14)).astype("uint16"))
        if colours != "grayscale":  # Pillow, and so Keras, cuts off what is above 255
            return
    else:
        image = of(PIXELS).convert(mode)
        if mode == "CMYK" and colours == "rgba":
            return  # Pillow makes them RGBA in another way than RGB
    path = tmp_path / "x.tif"
    image.save(path)
    for options in (
        {},
        {"target_size": (5, 8), "interpolation": "bilinear"},
        {"target_size": (12, 12)},
        {"target_size": (12, 30), "interpolation": "lanczos", "keep_aspect_ratio": True},
    ):
        ours = utils.load_img(path, colours, **options)
        theirs = keras_utils.load_img(path, color_mode=colours, **options)
        a, b = utils.img_to_array(ours), keras_utils.img_to_array(theirs)
        assert ours.size == theirs.size and a.dtype == b.dtype == np.float32
        if mode == "CMYK" and colours == "grayscale":
            assert np.abs(a - b).max() <= 1
        else:
            assert ours.mode == theirs.mode and np.array_equal(a, b)


def test_load_img_takes_what_keras_takes(tmp_path):
    path = tmp_path / "x.png"
    of(PIXELS).save(path)
    packed = path.read_bytes()
    with open(path, "rb") as file:
        for given in (path, str(path), packed, io.BytesIO(packed), file):
            assert np.array_equal(np.asarray(utils.load_img(given)), PIXELS)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("scale", [True, False])
@pytest.mark.parametrize("order", [None, "channels_last", "channels_first"])
def test_arrays_to_images_and_back_as_keras(keras_utils, channels, scale, order):
    x = RANDOM.integers(0, 256, (5, 7, channels)).astype("float32")
    x = x.transpose(2, 0, 1) if order == "channels_first" else x
    ours = utils.array_to_img(x, order, scale)
    theirs = keras_utils.array_to_img(x, order, scale)
    assert ours.mode == theirs.mode and np.array_equal(np.asarray(ours), np.asarray(theirs))
    back = utils.img_to_array(ours, order)
    assert np.array_equal(back, keras_utils.img_to_array(theirs, order))
    assert back.shape == x.shape
    if not scale:
        assert np.array_equal(back, x)


def test_array_to_img_at_the_edges():
    assert np.asarray(utils.array_to_img(np.full((2, 2, 1), 7.0))).max() == 0
    assert utils.array_to_img(np.full((2, 2, 1), 700), scale=False).mode == "I"
    for bad in (np.zeros((2, 2)), np.zeros((2, 2, 2)), np.zeros((0, 2, 3))):
        with pytest.raises(DataError, match="expected that of an image"):
            utils.array_to_img(bad)
    with pytest.raises(ArgumentError, match="data_format is 'first'"):
        utils.array_to_img(np.zeros((2, 2, 3)), "first")
    with pytest.raises(ChainruleError, match="expected an image"):
        utils.img_to_array(np.zeros(3))


def test_save_img(tmp_path):
    x = np.stack([PIXELS[..., 0]] * 3, -1)
    utils.save_img(tmp_path / "x.png", x, scale=False)
    assert np.array_equal(utils.img_to_array(utils.load_img(tmp_path / "x.png")), x)
    utils.save_img(tmp_path / "x.JPG", x, quality=50)
    with Image.open(tmp_path / "x.JPG") as file:
        assert file.format == "JPEG"
    with pytest.warns(DataWarning, match="no transparency"):
        utils.save_img(tmp_path / "y.jpg", np.zeros((2, 2, 4)))
    for path in (tmp_path / "no" / "x.png", tmp_path / "x.what", tmp_path / "x"):
        with pytest.raises(FileError, match="cannot write the image"):
            utils.save_img(path, x)
