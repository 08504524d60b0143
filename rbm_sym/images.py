"""Pictures of weights and samples: the rows of a matrix as tiles of one picture."""

import math
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image

from rbm_sym.internal.files import whole_file


def scale_to_unit_interval(ndar: ArrayLike, eps: float = 1e-8) -> np.ndarray:
    """Shift and scale an array to values from 0 to (almost) 1.

    Parameters
    ----------
    ndar : array of numbers of any shape, not empty
        It is not changed.
    eps : float
        Added to the range of values before dividing by it, so that a constant array gives zeros.

    Returns
    -------
    array of the same shape; of the same dtype if that is a float, else float64

    Raises
    ------
    ValueError
        If `ndar` is empty.

    Examples
    --------
    >>> import numpy as np
    >>> from rbm_sym import scale_to_unit_interval
    >>> scale_to_unit_interval(np.array([-2.0, 0.0, 2.0])).round(6)
    array([0. , 0.5, 1. ])
    """
    ndar = np.asarray(ndar)
    if ndar.size == 0:
        raise ValueError(f"ndar has the shape {ndar.shape}; it must hold at least one number")
    if ndar.dtype.kind != "f":
        ndar = ndar.astype(np.float64)
    shifted = ndar - ndar.min()
    # The factor is a Python float, so that it is rounded to the array's precision only once.
    return shifted * (1.0 / (float(shifted.max()) + eps))


def tile_raster_images(
    X: ArrayLike | tuple[ArrayLike | None, ...],
    img_shape: tuple[int, int],
    tile_shape: tuple[int, int],
    tile_spacing: tuple[int, int] = (0, 0),
    scale_rows_to_unit_interval: bool = True,
    output_pixel_vals: bool = True,
) -> np.ndarray:
    """Show each row of a matrix as a small picture, a tile of a large one.

    Parameters
    ----------
    X : array, shape (pictures, height * width), or a tuple of four
        A row is a picture. A tuple has the channels red, green, blue and alpha, each such an array
        or None. A channel that is None is 0 everywhere; an alpha of None is opaque everywhere.
    img_shape : (height, width) of one picture, in pixels
    tile_shape : (rows, columns) of pictures
        Pictures fill the tiles row by row. Tiles without a picture stay 0; pictures without a tile
        are left out.
    tile_spacing : (vertical, horizontal) gap between tiles, in pixels
    scale_rows_to_unit_interval : bool
        Whether each picture is scaled to [0, 1] by itself; if not, its values stay as they are.
    output_pixel_vals : bool
        Whether to multiply by 255 and cut off the fraction.

    Returns
    -------
    array, shape (h, w), or (h, w, 4) for a tuple
        h is rows * (height + gap) - gap, and w likewise. uint8 in [0, 255] if
        `output_pixel_vals`; else the dtype of X (of its first channel that is not None).

    Raises
    ------
    ValueError
        If a shape is wrong. If `output_pixel_vals` is True, also if a value is NaN or infinite, or,
        unless rows are scaled, if a picture has values that are not in [0, 1].

    Examples
    --------
    Two pictures of 2 × 2 pixels, side by side:

    >>> import numpy as np
    >>> from rbm_sym import tile_raster_images
    >>> pictures = np.array([[0.0, 0.0, 0.0, 1.0], [1.0, 0.0, 0.0, 0.0]])
    >>> tile_raster_images(pictures, img_shape=(2, 2), tile_shape=(1, 2), tile_spacing=(1, 1))
    array([[  0,   0,   0, 254,   0],
           [  0, 254,   0,   0,   0]], dtype=uint8)
    """
    img_shape = checked_pair(img_shape, "img_shape", least=1)
    tile_shape = checked_pair(tile_shape, "tile_shape", least=1)
    tile_spacing = checked_pair(tile_spacing, "tile_spacing", least=0)
    layout = img_shape, tile_shape, tile_spacing, scale_rows_to_unit_interval, output_pixel_vals
    return tile_channels(X, *layout) if isinstance(X, tuple) else tile_rows(X, *layout)


def tile_channels(
    channels: tuple[ArrayLike | None, ...],
    img_shape: tuple[int, int],
    tile_shape: tuple[int, int],
    tile_spacing: tuple[int, int],
    scale_rows: bool,
    pixel_values: bool,
) -> np.ndarray:
    """`tile_raster_images` of a tuple: the tiled channels along a last axis."""
    if len(channels) != 4:
        raise ValueError(f"X is a tuple of {len(channels)}; it must be (red, green, blue, alpha)")
    tiled = [
        None
        if channel is None
        else tile_rows(channel, img_shape, tile_shape, tile_spacing, scale_rows, pixel_values)
        for channel in channels
    ]
    given = [channel for channel in tiled if channel is not None]
    dtype = np.uint8 if pixel_values else given[0].dtype if given else np.float64
    picture = np.zeros((*sheet_shape(img_shape, tile_shape, tile_spacing), 4), dtype=dtype)
    picture[..., 3] = 255 if pixel_values else 1
    for index, channel in enumerate(tiled):
        if channel is not None:
            picture[..., index] = channel
    return picture


def tile_rows(
    X: ArrayLike,
    img_shape: tuple[int, int],
    tile_shape: tuple[int, int],
    tile_spacing: tuple[int, int],
    scale_rows: bool,
    pixel_values: bool,
) -> np.ndarray:
    """`tile_raster_images` of an array: its tiled rows."""
    X = checked_rows(X, img_shape, finite=pixel_values)[: math.prod(tile_shape)]
    if (scale_rows or pixel_values) and X.dtype.kind != "f":
        X = X.astype(np.float64)
    if pixel_values and not scale_rows:
        check_grey_levels(X)
    height, width = img_shape
    sheet = np.zeros(
        sheet_shape(img_shape, tile_shape, tile_spacing), np.uint8 if pixel_values else X.dtype
    )
    for (row, column), picture in zip(np.ndindex(*tile_shape), X, strict=False):
        if scale_rows:
            picture = scale_to_unit_interval(picture)
        top, left = row * (height + tile_spacing[0]), column * (width + tile_spacing[1])
        tile = picture * 255 if pixel_values else picture
        sheet[top : top + height, left : left + width] = tile.reshape(img_shape)
    return sheet


def sheet_shape(
    img_shape: tuple[int, int], tile_shape: tuple[int, int], tile_spacing: tuple[int, int]
) -> tuple[int, ...]:
    """The height and width of all tiles together with the gaps between them."""
    return tuple(
        (size + gap) * number - gap
        for size, number, gap in zip(img_shape, tile_shape, tile_spacing, strict=True)
    )


def checked_pair(pair: ArrayLike, name: str, least: int) -> tuple[int, int]:
    """Two integers of at least `least`, or a ValueError."""
    numbers = np.asarray(pair)
    if numbers.shape != (2,) or numbers.dtype.kind not in "iu" or numbers.min() < least:
        raise ValueError(f"{name} is {pair!r}; it must be two whole numbers of at least {least}")
    return tuple(numbers.tolist())


def checked_rows(X: ArrayLike, img_shape: tuple[int, int], finite: bool) -> np.ndarray:
    """X as a matrix whose rows are pictures of that shape, or a ValueError."""
    X = np.asarray(X)
    pixels = math.prod(img_shape)
    if X.ndim != 2 or X.shape[1] != pixels or X.dtype.kind not in "fiub":
        raise ValueError(
            f"X is {X.dtype} of shape {X.shape}; for pictures of img_shape {img_shape} it must "
            f"be numbers of shape (pictures, {pixels})"
        )
    if finite and not np.isfinite(X).all():
        raise ValueError("X holds NaN or infinite values; pixels can show only finite ones")
    return X


def check_grey_levels(X: np.ndarray) -> None:
    """Raise ValueError unless 255 times each value is a uint8, its fraction cut off.

    So values a little outside of [0, 1], as rounding makes them, are taken.
    """
    low, high = (X.min(), X.max()) if X.size else (0, 0)
    if not (255 * low > -1 and 255 * high < 256):
        raise ValueError(
            f"X goes from {low} to {high}; scale its values to [0, 1], or each row by "
            "scale_rows_to_unit_interval=True"
        )


def save_picture(pixels: np.ndarray, path: str | Path) -> None:
    """Write a picture in the format that the file's suffix names, such as .png.

    It is written under another name and then renamed, so that a file at `path` is always a whole
    picture.

    Parameters
    ----------
    pixels : uint8 array, shape (height, width) for grey or (height, width, 4) for RGBA
    path : str or path

    Raises
    ------
    ValueError
        If `pixels` has another shape or dtype, or no picture format has this suffix.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> import numpy as np
    >>> from PIL import Image
    >>> from rbm_sym import save_picture
    >>> save_picture(np.zeros((28, 14), dtype="uint8"), "picture.png")
    >>> with Image.open("picture.png") as picture:
    ...     print(picture.size)
    (14, 28)
    """
    pixels, path = np.asarray(pixels), Path(path)
    is_grey, is_colour = pixels.ndim == 2, pixels.ndim == 3 and pixels.shape[2] == 4
    if pixels.dtype != np.uint8 or not (is_grey or is_colour) or pixels.size == 0:
        raise ValueError(
            f"pixels is {pixels.dtype} of shape {pixels.shape}; "
            "it must be uint8 of shape (height, width) or (height, width, 4)"
        )
    check_picture_path(path)
    with whole_file(path) as unfinished:
        Image.fromarray(pixels).save(unfinished)


def check_picture_path(path: str | Path) -> None:
    """Raise ValueError unless a picture format has the suffix of `path`."""
    if Image.registered_extensions().get(Path(path).suffix.lower()) not in Image.SAVE:
        raise ValueError(f"{path}: no picture format has this suffix; use .png")


def picture_shape(n_pixels: int) -> tuple[int, int]:
    """(height, width) of a picture: square, or as near to it as whole numbers allow."""
    height = math.isqrt(n_pixels)
    while n_pixels % height:
        height -= 1
    return height, n_pixels // height
