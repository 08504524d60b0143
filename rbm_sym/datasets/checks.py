"""Checks of every data set, whatever file it comes from."""

import math

import numpy as np

from rbm_sym.internal.memory import check_memory

PARTS = ("train", "valid", "test")

# Labels become floatX, and float32 holds integers exactly only up to this number.
MOST_LABELS = 2**24


def checked_sets(sets, source):
    """The three sets as floats in [0, 1] and int32 labels; raises unless they fit one another."""
    sets = [
        (checked_pictures(x, f"{source}: {part}_x"), checked_labels(y, f"{source}: {part}_y"))
        for part, (x, y) in zip(PARTS, sets, strict=True)
    ]
    for part, (x, y) in zip(PARTS, sets, strict=True):
        if len(x) != len(y):
            raise ValueError(
                f"{source}: {part}_x has {len(x)} pictures and {part}_y {len(y)} labels; "
                "every picture needs one label"
            )
    pixels = [x.shape[1] for x, _ in sets]
    if len(set(pixels)) > 1:
        raise ValueError(
            f"{source}: the pictures of {', '.join(PARTS)} have {pixels} pixels; "
            "they must have the same number of pixels"
        )
    return sets


def checked_pictures(x, name):
    """The pictures as rows of floats in [0, 1], copied into new memory."""
    if x.dtype.kind not in "fiub":
        raise ValueError(f"{name} is of dtype {x.dtype}; save pictures as uint8 or floats")
    if x.ndim not in (2, 3):
        raise ValueError(
            f"{name} has the shape {x.shape}; "
            "it must be (pictures, pixels) or (pictures, height, width)"
        )
    if x.size == 0:
        raise ValueError(f"{name} has the shape {x.shape}; it must hold at least one picture")
    dtype = np.dtype(np.float32) if x.dtype == np.uint8 else np.result_type(x.dtype, np.float32)
    check_memory(x.size * dtype.itemsize, f"{name} is too large; take fewer pictures")
    x = np.ascontiguousarray(x).reshape(len(x), -1)
    if x.dtype == np.uint8:
        return np.divide(x, 256, dtype=dtype)
    # A copy, since x may be a read-only view of a whole file.
    x = np.array(x, dtype=dtype)
    low, high = float(x.min()), float(x.max())
    if math.isnan(low):
        raise ValueError(f"{name} holds NaN; every grey level must be a number in [0, 1]")
    if low < 0 or high > 1:
        raise ValueError(
            f"{name} goes from {low} to {high}; "
            "scale the grey levels to [0, 1] or save them as uint8"
        )
    return x


def checked_labels(y, name):
    """The labels as int32."""
    if y.dtype.kind not in "iu" or y.ndim != 1:
        raise ValueError(
            f"{name} is of dtype {y.dtype} and shape {y.shape}; "
            "labels must be integers of the shape (pictures,)"
        )
    if y.size and not 0 <= y.min() <= y.max() < MOST_LABELS:
        raise ValueError(
            f"{name} goes from {y.min()} to {y.max()}; labels must lie in [0, {MOST_LABELS})"
        )
    return y.astype(np.int32)
