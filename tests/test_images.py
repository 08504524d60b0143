import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from rbm_sym.images import save_picture, scale_to_unit_interval, tile_raster_images

FLOATS = ["float32", "float64"]


def random_rows(n, pixels, dtype="float64", seed=3):
    return np.random.default_rng(seed).normal(size=(n, pixels)).astype(dtype)


# --- scale_to_unit_interval ---------------------------------------------------------------------


@pytest.mark.parametrize("dtype", FLOATS)
def test_scale_goes_from_zero_to_one(dtype):
    ndar = random_rows(4, 6, dtype)
    before = ndar.copy()
    scaled = scale_to_unit_interval(ndar)
    np.testing.assert_array_equal(ndar, before)
    assert scaled.shape == ndar.shape and scaled.dtype == dtype
    assert scaled.min() == 0 and scaled.max() == pytest.approx(1, abs=1e-7)
    span = ndar.max() - ndar.min()
    np.testing.assert_allclose(scaled * span + ndar.min(), ndar, atol=1e-6)


def test_scale_adds_eps_to_the_range():
    np.testing.assert_array_equal(scale_to_unit_interval(np.array([1.0, 4.0]), 1.0), [0, 0.75])
    assert scale_to_unit_interval(np.array([0.0, 1.0]))[1] == 1 / (1 + 1e-8)


def test_scale_of_a_constant_is_zero():
    np.testing.assert_array_equal(scale_to_unit_interval(np.full(3, 7.0)), np.zeros(3))


def test_scale_of_integers_does_not_overflow():
    scaled = scale_to_unit_interval(np.array([-128, 0, 127], np.int8))
    np.testing.assert_allclose(scaled, [0, 128 / 255, 1])


def test_scale_rounds_the_factor_once():
    """In float32 the range plus eps is not rounded before it is inverted."""
    for ndar in random_rows(200, 2, "float32"):
        span = np.float64(ndar.max() - ndar.min())
        expected = (ndar - ndar.min()) * np.float32(1 / (span + 1e-8))
        np.testing.assert_array_equal(scale_to_unit_interval(ndar), expected)


def test_scale_of_nothing():
    with pytest.raises(ValueError, match=r"ndar has the shape \(0, 3\)"):
        scale_to_unit_interval(np.zeros((0, 3)))


# --- tile_raster_images -------------------------------------------------------------------------


def tiled_pixel_by_pixel(X, img_shape, tile_shape, tile_spacing, scale, pixel_values):
    """What `tile_raster_images` promises, pixel by pixel."""
    (height, width), (rows, columns), (down, across) = img_shape, tile_shape, tile_spacing
    sheet = np.zeros(
        (rows * (height + down) - down, columns * (width + across) - across),
        np.uint8 if pixel_values else X.dtype,
    )
    for y, x in np.ndindex(sheet.shape):
        (row, y_inside), (column, x_inside) = divmod(y, height + down), divmod(x, width + across)
        picture = row * columns + column
        if picture < len(X) and y_inside < height and x_inside < width:
            values = scale_to_unit_interval(X[picture]) if scale else X[picture]
            value = values[y_inside * width + x_inside]
            sheet[y, x] = int(value * 255) if pixel_values else value
    return sheet


sizes = st.tuples(st.integers(1, 4), st.integers(1, 4))


@settings(max_examples=150)
@given(
    n=st.integers(0, 10),
    dtype=st.sampled_from(FLOATS),
    img_shape=sizes,
    tile_shape=sizes,
    tile_spacing=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    scale=st.booleans(),
    pixel_values=st.booleans(),
)
def test_tiles(n, dtype, img_shape, tile_shape, tile_spacing, scale, pixel_values):
    """Fewer and more pictures than tiles, gaps, both dtypes, with and without scaling."""
    X = np.abs(np.tanh(random_rows(n, img_shape[0] * img_shape[1], dtype)))
    arguments = (X, img_shape, tile_shape, tile_spacing, scale, pixel_values)
    expected = tiled_pixel_by_pixel(*arguments)
    np.testing.assert_array_equal(tile_raster_images(*arguments), expected, strict=True)


def test_tiles_of_the_tutorial():
    """A hundred filters of 28 by 28 pixels, a pixel apart, by the defaults of the rest."""
    X = random_rows(100, 784, "float32")
    sheet = tile_raster_images(X=X, img_shape=(28, 28), tile_shape=(10, 10), tile_spacing=(1, 1))
    assert sheet.shape == (289, 289) and sheet.dtype == np.uint8
    assert not sheet[28::29].any() and not sheet[:, 28::29].any()
    assert set(sheet[29:57, 58:86].flat) >= {0, 255}


def test_pixel_values_are_cut_not_rounded():
    X = np.array([[0.0, 0.5, 0.999, 1.0]])
    sheet = tile_raster_images(X, (2, 2), (1, 1), scale_rows_to_unit_interval=False)
    np.testing.assert_array_equal(sheet, [[0, 127], [254, 255]])
    # The eps in the scaling keeps a double just below 1.
    assert tile_raster_images(X, (2, 2), (1, 1)).max() == 254


def test_values_that_rounding_puts_outside_of_0_to_1_are_shown():
    X = np.array([[-1e-7, 1 + 1e-6, 1, 0], [2, 2, 2, 2]], "float32")
    sheet = tile_raster_images(X, (2, 2), (1, 1), scale_rows_to_unit_interval=False)
    np.testing.assert_array_equal(sheet, [[0, 255], [255, 0]])
    # The second picture has no tile. Nor are values limited where they are not pixels.
    arguments = {"scale_rows_to_unit_interval": False, "output_pixel_vals": False}
    sheet = tile_raster_images(X, (2, 2), (1, 2), **arguments)
    np.testing.assert_array_equal(sheet[:, 2:], np.full((2, 2), 2))


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int8", "int64"])
def test_zeros_and_ones_of_any_dtype_are_black_and_white(dtype):
    X = np.array([[0, 1, 1, 0]], dtype)
    sheet = tile_raster_images(X, (2, 2), (1, 1), scale_rows_to_unit_interval=False)
    np.testing.assert_array_equal(sheet, [[0, 255], [255, 0]])


def test_integers_are_scaled_as_doubles():
    X = np.array([[0, 1, 2, 4]])
    scaled = tile_raster_images(X, (2, 2), (1, 1), output_pixel_vals=False)
    np.testing.assert_allclose(scaled, [[0, 0.25], [0.5, 1]])
    plain = tile_raster_images(
        X, (2, 2), (1, 1), scale_rows_to_unit_interval=False, output_pixel_vals=False
    )
    np.testing.assert_array_equal(plain, X.reshape(2, 2), strict=True)


@pytest.mark.parametrize("pixel_values", [True, False])
def test_colour(pixel_values):
    red, blue = random_rows(3, 6, "float32", seed=1), random_rows(5, 6, "float64", seed=2)
    layout = {"img_shape": (2, 3), "tile_shape": (2, 2), "tile_spacing": (1, 1)}
    layout["output_pixel_vals"] = pixel_values
    picture = tile_raster_images((red, None, blue, None), **layout)
    assert picture.shape == (5, 7, 4)
    assert picture.dtype == (np.uint8 if pixel_values else np.float32)
    np.testing.assert_array_equal(picture[..., 0], tile_raster_images(red, **layout))
    assert not picture[..., 1].any()
    of_blue = tile_raster_images(blue, **layout).astype(picture.dtype)
    np.testing.assert_array_equal(picture[..., 2], of_blue)
    assert (picture[..., 3] == (255 if pixel_values else 1)).all()


def test_colour_with_alpha_only():
    alpha = random_rows(1, 4)
    picture = tile_raster_images((None, None, None, alpha), (2, 2), (1, 1))
    assert not picture[..., :3].any()
    np.testing.assert_array_equal(picture[..., 3], tile_raster_images(alpha, (2, 2), (1, 1)))
    nothing = tile_raster_images((None,) * 4, (2, 2), (1, 1), output_pixel_vals=False)
    np.testing.assert_array_equal(nothing, np.broadcast_to([0.0, 0, 0, 1], (2, 2, 4)))


def test_arguments_are_left_as_they_are():
    X = random_rows(4, 4)
    before = X.copy()
    tile_raster_images(X, [2, 2], np.array([2, 2]))
    np.testing.assert_array_equal(X, before)


UNSCALED = {"scale_rows_to_unit_interval": False}
BAD_ARGUMENTS = {
    "vector": ({"X": np.zeros(4)}, r"X is float64 of shape \(4,\)"),
    "pictures in three dimensions": ({"X": np.zeros((1, 2, 2))}, r"\(pictures, 4\)"),
    "other size": ({"X": np.zeros((1, 5))}, r"img_shape \(2, 2\)"),
    "text": ({"X": np.full((1, 4), "a")}, "X is <U1"),
    "objects": ({"X": np.full((1, 4), None)}, "X is object"),
    "NaN": ({"X": np.full((1, 4), np.nan)}, "NaN"),
    "infinite": ({"X": np.full((1, 4), np.inf)}, "infinite"),
    "three channels": ({"X": (np.zeros((1, 4)),) * 3}, "tuple of 3"),
    "channel of other size": ({"X": (None, np.zeros((1, 5)), None, None)}, "X is float64"),
    "no pixels": ({"img_shape": (0, 2)}, r"img_shape is \(0, 2\)"),
    "one side": ({"img_shape": (2,)}, "img_shape is"),
    "number": ({"tile_shape": 2}, "tile_shape is 2"),
    "no tiles": ({"tile_shape": (1, 0)}, "tile_shape is"),
    "half a tile": ({"tile_shape": (1, 1.5)}, "tile_shape is"),
    "overlap": ({"tile_spacing": (0, -1)}, "tile_spacing is"),
    "below 0": ({"X": np.full((1, 4), -0.1)} | UNSCALED, r"X goes from -0\.1 to -0\.1"),
    "above 1": ({"X": np.array([[0, 0.5, 1, 1.1]])} | UNSCALED, r"X goes from 0\.0 to 1\.1"),
    "grey levels of 8 bits": ({"X": np.full((1, 4), 128, "uint8")} | UNSCALED, "to 128"),
}


@pytest.mark.parametrize(("changed", "named"), BAD_ARGUMENTS.values(), ids=BAD_ARGUMENTS)
def test_bad_arguments(changed, named):
    arguments = {"X": np.zeros((1, 4)), "img_shape": (2, 2), "tile_shape": (1, 1)} | changed
    with pytest.raises(ValueError, match=named) as caught:
        tile_raster_images(**arguments)
    assert "\n" not in str(caught.value)


# --- save_picture -------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 4)])
def test_saved_picture_is_read_back(tmp_path, shape):
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    for path in (tmp_path / "a.png", str(tmp_path / "b.PNG"), tmp_path / "a.png"):
        save_picture(pixels, path)
        with Image.open(path) as picture:
            assert picture.format == "PNG"
            np.testing.assert_array_equal(np.asarray(picture), pixels)
    assert sorted(os.listdir(tmp_path)) == ["a.png", "b.PNG"]


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((2, 2)),
        np.zeros((2, 2), np.int64),
        np.zeros((2, 2, 3), np.uint8),
        np.zeros(4, np.uint8),
        np.zeros((0, 4), np.uint8),
    ],
)
def test_saved_pixels_of_another_kind(tmp_path, pixels):
    with pytest.raises(ValueError, match=r"pixels is .* of shape"):
        save_picture(pixels, tmp_path / "picture.png")
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("name", ["picture", "picture.txt", "picture.xpm"])
def test_saved_under_a_suffix_of_no_format(tmp_path, name):
    with pytest.raises(ValueError, match=f"{name}.*use .png"):
        save_picture(np.zeros((2, 2), np.uint8), tmp_path / name)
    assert not os.listdir(tmp_path)


UNWRITABLE = {
    "absent/a.png": "No such file",
    "before.jpg/a.png": "Not a directory",
    "folder.png": "Is a directory",
    "before.jpg": "cannot write mode RGBA as JPEG",
}


@pytest.mark.parametrize(("name", "reason"), UNWRITABLE.items())
def test_picture_that_cannot_be_written_leaves_nothing(tmp_path, name, reason):
    (tmp_path / "before.jpg").write_bytes(b"before")
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(OSError, match=f"{name}: cannot be written.*{reason}") as caught:
        save_picture(np.zeros((2, 2, 4), np.uint8), tmp_path / name)
    assert "\n" not in str(caught.value)
    assert sorted(os.listdir(tmp_path)) == ["before.jpg", "folder.png"]
    assert (tmp_path / "before.jpg").read_bytes() == b"before"
