"""Image files of every kind: more than 8 bits, transparency, orientation, odd sizes, damage, formats."""

from __future__ import annotations

import struct
import sys
import types
import warnings
import zlib

import numpy as np
import PIL
import pytest
import torch
from PIL import Image, features

from course_lib.data import DataNotFound, DataWarning, image_files, load

RAMP = np.linspace(0, 1, 16).reshape(4, 4)  # from black to white


def save(folder, name, picture, *, split="train", label="a", **options):
    """Saves a picture or array as folder/split/label/name and returns the path."""
    path = folder / split / label / name
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(picture) if isinstance(picture, np.ndarray) else picture
    picture.save(path, **options)
    return path


def gray(folder, *, size=4, **options):
    """The images of a folder's train split, (N, size, size), as they were read in gray."""
    return load("folder", folder=folder, size=size, channels=1, **options).images[:, 0]


def png_of_16_bits(values, color_type):
    """The bytes of a PNG with 16 bits per channel; Pillow writes none in color. values: (H, W, channels)."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    height, width, _ = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    head = struct.pack(">IIBBBBB", width, height, 16, color_type, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


# --- more than 8 bits ---


@pytest.mark.parametrize(
    ("name", "values", "black", "white"),
    [
        ("full.png", RAMP * 65535, 0, 65535),
        ("twelve_bits.png", RAMP * 4000, 0, 4095),
        ("twelve_bits.tiff", RAMP * 4000, 0, 4095),
        ("full.tif", RAMP * 65535, 0, 65535),
        ("full.pgm", RAMP * 65535, 0, 65535),
        ("eight_bits_in_sixteen.png", RAMP * 200, 0, 255),
    ],
)
def test_images_of_16_bits_keep_their_grays(name, values, black, white, tmp_path):
    values = values.round().astype(np.uint16)
    save(tmp_path, name, values)
    with pytest.warns(DataWarning, match=f"1 image has more than 8 bits .*{black} becomes black and {white} white"):
        images = gray(tmp_path)
    assert np.array_equal(images[0].numpy(), np.rint(values / white * 255))


@pytest.mark.parametrize(
    ("values", "white"),
    [(RAMP, 1), (RAMP * 0.3, 1), (RAMP * 255, 255), (RAMP * 3000 - 1000, None), (RAMP * 1e-3 + 700, None)],
)
def test_float_images_keep_their_grays(values, white, tmp_path):
    values = values.astype(np.float32)
    save(tmp_path, "a.tiff", values)
    with pytest.warns(DataWarning, match=r"floating-point numbers\)\. Their pixels are scaled"):
        images = gray(tmp_path)
    black, white = (0, white) if white else (values.min(), values.max())  # no natural range: all that is used
    exact = (values.astype(np.float64) - black) / (float(white) - black)
    assert np.abs(images[0].numpy() - exact * 255).max() <= 0.51


def test_whole_numbers_of_32_bits_with_negative_ones(tmp_path):
    save(tmp_path, "ct.tiff", (RAMP * 3000 - 1000).astype(np.int32))
    with pytest.warns(DataWarning, match="-1000 becomes black and 2000 white"):
        images = gray(tmp_path)
    assert images.min() == 0 and images.max() == 255 and len(images.unique()) == 16


def test_one_range_holds_for_all_images_of_both_splits(tmp_path):
    dark, light = (RAMP * 1000).astype(np.uint16), (RAMP * 4000).astype(np.uint16)
    save(tmp_path, "dark.png", dark)
    save(tmp_path, "light.png", light, split="test")
    with pytest.warns(DataWarning, match="2 images .* 4095 white"):
        assert gray(tmp_path).max() == 62  # 1000 / 4095, and not stretched to white
    with pytest.warns(DataWarning, match="4095 white"):
        assert gray(tmp_path, split="test").max() == 249


def test_each_kind_of_number_has_its_own_range_and_8_bits_stay_as_they_are(tmp_path):
    save(tmp_path, "1.tiff", RAMP.astype(np.float32))
    save(tmp_path, "2.png", (RAMP * 65535).astype(np.uint16))
    save(tmp_path, "3.png", (RAMP * 100).astype(np.uint8))
    with pytest.warns(DataWarning) as told:
        images = gray(tmp_path)
    assert "0 becomes black and 1 white" in str(told[0].message) and "65535 white" in str(told[0].message)
    assert images.amax((1, 2)).tolist() == [255, 255, 100]


def test_the_range_can_be_given(tmp_path):
    save(tmp_path, "a.tiff", (RAMP * 4000).astype(np.float32))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        images = gray(tmp_path, value_range=(1000, 2000))
    assert (images[0] == 0).sum() == 4 and (images[0] == 255).sum() == 8
    for wrong in ((5, 5), (2, 1), (0, float("nan")), (1,)):
        with pytest.raises(ValueError, match="value_range must be two numbers"):
            gray(tmp_path, value_range=wrong)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_numbers_are_named(value, tmp_path):
    values = RAMP.astype(np.float32)
    save(tmp_path, "good.tiff", values)
    values = values.copy()
    values[1, 1] = value
    save(tmp_path, "hole.tiff", values)
    with pytest.raises(ValueError, match=r"hole\.tiff cannot be read as an image \(it holds values that are infinite"):
        gray(tmp_path)


@pytest.mark.parametrize("color_type", [2, 4, 6], ids=["RGB", "LA", "RGBA"])
def test_color_of_16_bits_is_scaled_too(color_type, tmp_path):
    channels = {2: 3, 4: 2, 6: 4}[color_type]
    values = np.repeat((RAMP * 65535).round()[..., None], channels, axis=2)
    if channels % 2 == 0:
        values[..., -1] = 65535  # opaque
    path = save(tmp_path, "a.png", (RAMP * 255).astype(np.uint8))
    path.write_bytes(png_of_16_bits(values, color_type))
    assert np.abs(gray(tmp_path)[0].numpy().astype(float) - RAMP * 255).max() <= 1


# --- transparency ---


def drawing(ink, *, transparent=(0, 0, 0, 0)):
    """A square of ink on nothing, RGBA, 8 x 8."""
    picture = Image.new("RGBA", (8, 8), transparent)
    picture.paste(ink, (2, 2, 6, 6))
    return picture


def in_mode(picture, mode):
    if mode == "P":
        return picture.convert("P", palette=Image.Palette.ADAPTIVE), {}
    if mode == "P with one transparent color":
        flat = Image.new("P", picture.size, 0)
        flat.putpalette([0, 0, 0, *picture.getpixel((4, 4))[:3]])
        flat.paste(1, (2, 2, 6, 6))
        return flat, {"transparency": 0}
    if mode == "RGB with one transparent color":
        flat = Image.new("RGB", picture.size, (1, 2, 3))
        flat.paste(picture.getpixel((4, 4))[:3], (2, 2, 6, 6))
        return flat, {"transparency": (1, 2, 3)}
    return picture.convert(mode), {}


MODES = ["RGBA", "LA", "P with one transparent color", "RGB with one transparent color"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("ink", [0, 90, 200, 255])
def test_what_is_drawn_on_nothing_can_be_seen(ink, mode, tmp_path):
    picture, options = in_mode(drawing((ink, ink, ink, 255)), mode)
    save(tmp_path, "a.png", picture, **options)
    image = gray(tmp_path, size=8)[0]
    assert (image[2:6, 2:6] == ink).all()
    assert (image[0] == (0 if ink == 255 else 255)).all()


@pytest.mark.parametrize("hidden", [(0, 0, 0, 0), (255, 255, 255, 0), (255, 0, 255, 0)])
@pytest.mark.parametrize("suffix", ["png", "webp", "tiff"])
def test_the_color_of_what_is_transparent_does_not_count(suffix, hidden, tmp_path):
    save(tmp_path, f"a.{suffix}", drawing((30, 30, 30, 255), transparent=hidden), lossless=True)
    image = gray(tmp_path, size=8)[0]
    assert (image[2:6, 2:6] == 30).all() and (image[0] == 255).all()


def test_half_transparent_pixels_are_mixed_and_opaque_pictures_stay(tmp_path):
    save(tmp_path, "1.png", Image.new("RGBA", (4, 4), (0, 0, 0, 128)))
    save(tmp_path, "2.png", Image.new("RGBA", (4, 4), (250, 250, 250, 255)))
    save(tmp_path, "3.png", Image.new("RGBA", (4, 4), (0, 0, 0, 0)))
    assert gray(tmp_path).amax((1, 2)).tolist() == [127, 250, 255]


def test_a_transparent_value_of_16_bits(tmp_path):
    values = np.full((4, 4), 7, dtype=np.uint16)
    values[1:3, 1:3] = 20_000
    save(tmp_path, "a.png", values, transparency=7)
    with pytest.warns(DataWarning, match="more than 8 bits"):
        image = gray(tmp_path)[0]
    assert image[0, 0] == 255 and 0 < image[1, 1] < 255


# --- other modes, orientation, sizes, names ---


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK", "YCbCr"])
def test_every_mode_is_read_in_color_and_in_gray(mode, tmp_path):
    if mode == "YCbCr" and int(PIL.__version__.partition(".")[0]) < 13:
        pytest.skip("Pillow before 13 cannot read such a TIFF")
    picture = Image.new("RGB", (6, 6), (255, 255, 255))
    picture.paste((0, 0, 0), (0, 0, 3, 6))
    save(tmp_path, "a.tiff" if mode in ("CMYK", "YCbCr") else "a.png", picture.convert(mode))
    for channels in (1, 3):
        image = load("folder", folder=tmp_path, size=6, channels=channels).images[0]
        assert image[:, :, :3].max() < 60 and image[:, :, 3:].min() > 200


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
def test_the_camera_says_which_side_is_up(suffix, orientation, tmp_path):
    stored = np.zeros((8, 8), dtype=np.uint8)
    stored[0:4, 0:4] = 200  # in the corner at the top left, as it is stored
    exif = Image.Exif()
    exif[0x0112] = orientation
    save(tmp_path, f"a.{suffix}", stored, exif=exif)
    image = gray(tmp_path, size=8)[0].float()
    quarters = {(r, c): image[r : r + 4, c : c + 4].mean() for r in (0, 4) for c in (0, 4)}
    expected = {1: (0, 0), 2: (0, 4), 3: (4, 4), 4: (4, 0), 5: (0, 0), 6: (0, 4), 7: (4, 4), 8: (4, 0)}
    assert max(quarters, key=quarters.__getitem__) == expected[orientation]


def test_an_image_of_16_bits_is_turned_too(tmp_path):
    stored = np.zeros((4, 4), dtype=np.uint16)
    stored[0, 0] = 65535
    exif = Image.Exif()
    exif[0x0112] = 3
    save(tmp_path, "a.png", stored, exif=exif)
    with pytest.warns(DataWarning):
        assert gray(tmp_path)[0, 3, 3] == 255


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (3, 2), (2000, 1500)])
def test_any_size_becomes_a_square(size, tmp_path):
    save(tmp_path, "a.png", Image.new("RGB", size, (10, 20, 30)))
    images = load("folder", folder=tmp_path, size=8).images
    assert images.shape == (1, 3, 8, 8)
    assert torch.equal(images, torch.tensor([10, 20, 30], dtype=torch.uint8)[None, :, None, None].expand(1, 3, 8, 8))


def test_names_that_are_not_ascii_and_links(tmp_path):
    first = save(tmp_path, "Käse 1.png", np.full((4, 4), 50, np.uint8), label="été 夏")
    save(tmp_path / "elsewhere", "x.png", np.full((4, 4), 60, np.uint8))
    try:
        (first.parent / "link.png").symlink_to(tmp_path / "elsewhere" / "train" / "a" / "x.png")
        (tmp_path / "train" / "linked class").symlink_to(tmp_path / "elsewhere" / "train" / "a")
        (first.parent / "round").symlink_to(first.parent)
    except OSError:
        pytest.skip("this system makes no symbolic links")
    data = load("folder", folder=tmp_path, size=4)
    assert data.class_names == ("linked class", "été 夏") and data.labels.tolist() == [0, 1, 1]
    assert data.images.amax((1, 2, 3)).tolist() == [60, 50, 60]


def test_the_first_picture_of_an_animation(tmp_path):
    frames = [Image.new("L", (4, 4), shade) for shade in (10, 200)]
    save(tmp_path, "a.gif", frames[0], save_all=True, append_images=frames[1:])
    save(tmp_path, "b.tiff", frames[0], save_all=True, append_images=frames[1:])
    assert gray(tmp_path).amax((1, 2)).tolist() == [10, 10]


# --- damage ---


def damaged(folder, kind):
    pixels = np.random.default_rng(0).integers(0, 255, (64, 64, 3))
    path = save(folder, f"{kind}.png", pixels.astype(np.uint8), label="b")
    whole = path.read_bytes()
    if kind == "huge":
        head = whole[12:16] + struct.pack(">II", 100_000, 100_000) + whole[24:29]
        path.write_bytes(whole[:12] + head + struct.pack(">I", zlib.crc32(head)) + whole[33:])
    elif kind == "gone":
        path.unlink()
        path.symlink_to(folder / "nowhere.png")
    elif kind == "header":
        path.write_bytes(whole[:24] + b"\xff\xff\xff\xff\xff" + whole[29:])
    else:
        contents = {"garbage": b"no image", "truncated": whole[: len(whole) // 2], "empty": b""}
        path.write_bytes(contents.get(kind, b"<!DOCTYPE html><title>404</title>"))
    return path


KINDS = ["garbage", "truncated", "empty", "page", "huge", "header", "gone"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_file_is_named_and_nothing_else(kind, tmp_path):
    save(tmp_path, "good.png", np.zeros((4, 4), np.uint8))
    damaged(tmp_path, kind)
    says = rf"b.{kind}\.png cannot be read as an image \(.+\)\. Repair or remove"
    with pytest.raises(ValueError, match=says) as error:
        gray(tmp_path)
    assert "good.png" not in str(error.value)


def test_all_damaged_files_are_named_at_once(tmp_path):
    for kind in KINDS[:4]:
        damaged(tmp_path, kind)
    with pytest.raises(ValueError) as error:
        gray(tmp_path)
    assert all(f"{kind}.png" in str(error.value) for kind in KINDS[:4])
    for number in range(9):
        (tmp_path / "train" / "b" / f"z{number}.png").write_bytes(b"?")
    with pytest.raises(ValueError, match="and 8 more of 13"):
        gray(tmp_path)


def test_a_mode_that_pillow_cannot_convert_is_named(tmp_path):
    save(tmp_path, "a.tiff", Image.new("LAB", (4, 4)))
    with pytest.raises(ValueError, match=r"a\.tiff cannot be read as an image \(conversion from LAB"):
        gray(tmp_path)


def test_a_photo_from_a_phone_under_another_name(tmp_path, monkeypatch):
    path = save(tmp_path, "IMG_1.jpg", np.zeros((4, 4), np.uint8))
    path.write_bytes(b"\0\0\0\x18ftypheic" + bytes(40))
    monkeypatch.setattr(image_files, "can_be_read", lambda suffix: suffix != ".heic")
    with pytest.raises(ValueError, match=r"IMG_1\.jpg .*HEIC photo under another name.*pillow-heif"):
        image_files.read_images([path], size=4, channels=1)


# --- formats ---


@pytest.mark.parametrize("suffix", ["jfif", "JPG", "jpe", "Jpeg", "dib", "tga", "apng", "ppm", "ico", "mpo"])
def test_less_common_endings_are_images(suffix, tmp_path):
    formats = {"jfif": "jpeg", "jpe": "jpeg", "jpg": "jpeg", "mpo": "jpeg", "apng": "png"}
    picture = Image.new("RGB", (32, 32), (90, 90, 90))
    save(tmp_path, f"a.{suffix}", picture, format=formats.get(suffix.lower(), suffix.lower()))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert gray(tmp_path).float().mean().round() == 90


@pytest.mark.parametrize(("suffix", "feature"), [("avif", "avif"), ("webp", "webp"), ("jp2", "jpg_2000")])
def test_formats_that_not_every_pillow_has(suffix, feature, tmp_path):
    save(tmp_path, "a.png", Image.new("RGB", (32, 32), (200, 200, 200)))
    if features.check(feature):
        save(tmp_path, f"b.{suffix}", Image.new("RGB", (32, 32), (90, 90, 90)))
        assert abs(float(gray(tmp_path)[1].float().mean()) - 90) < 4
    else:
        (tmp_path / "train" / "a" / f"b.{suffix}").write_bytes(b"?")
        with pytest.warns(DataWarning, match=f"1 file is not taken: 1 .{suffix}"):
            assert len(gray(tmp_path)) == 1


@pytest.fixture
def without_plugins(monkeypatch):
    """A Pillow that reads neither HEIC nor AVIF."""
    monkeypatch.setattr(image_files, "_PLUGINS", ())
    monkeypatch.setattr(features, "check", lambda feature: False)
    image_files._readable.cache_clear()
    yield
    image_files._readable.cache_clear()


def test_what_cannot_be_read_is_said_with_what_to_do(tmp_path, without_plugins):
    save(tmp_path, "a.png", np.zeros((4, 4), np.uint8))
    for name in ("1.heic", "2.HEIC", "3.avif", "notes.txt", "Thumbs.db", ".DS_Store", "._a.png", "README"):
        (tmp_path / "train" / "a" / name).write_bytes(b"?")
    with pytest.warns(DataWarning) as told:
        assert len(gray(tmp_path)) == 1
    said = str(told[0].message)
    assert "5 files are not taken: 2 .heic (cannot be read here; save them as JPEG, or: pip install pillow-h" in said
    assert "1 .avif (cannot be read here" in said and "1 .txt (no ending of an image)" in said
    assert "1 without an ending" in said and "Thumbs" not in said


def test_a_class_of_nothing_but_unreadable_files_is_an_error(tmp_path, without_plugins):
    save(tmp_path, "a.png", np.zeros((4, 4), np.uint8))
    (tmp_path / "train" / "b").mkdir()
    (tmp_path / "train" / "b" / "1.heic").write_bytes(b"?")
    with pytest.raises(DataNotFound, match=r"class folder .*b holds no images, only 1 \.heic .*pillow-heif"):
        gray(tmp_path)


def test_a_plugin_that_is_installed_is_used(tmp_path, monkeypatch):
    """pillow-heif registers its reader when it is told to; here a stand-in that reads PNG under the name .heic."""
    plugin = types.ModuleType("pillow_heif")
    plugin.__spec__ = types.SimpleNamespace(name="pillow_heif")
    plugin.register_heif_opener = lambda: Image.register_extension("PNG", ".heic")
    monkeypatch.setitem(sys.modules, "pillow_heif", plugin)
    monkeypatch.setattr(Image, "EXTENSION", dict(Image.registered_extensions()))
    image_files._readable.cache_clear()
    try:
        save(tmp_path, "a.heic", np.full((4, 4), 70, np.uint8), format="png")
        assert gray(tmp_path).max() == 70
    finally:
        image_files._readable.cache_clear()
