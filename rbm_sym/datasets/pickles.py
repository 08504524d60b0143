"""Pickles of arrays, read without calling anything that they ask for."""

import io
import math
import pickle
import re

import numpy as np

from rbm_sym.internal.reading import in_short

MEND = "save tuples or lists of float or integer arrays only"


class Recorded:
    """A call that a pickle asks for: noted, not made."""

    def __init__(self, *arguments):
        self.arguments = arguments

    def __setstate__(self, state):
        self.state = state


class RecordedBytes(Recorded):
    """Bytes as protocols 0 to 2 write them: an encoded text, or bytes() if there are none."""

    def bytes(self):
        text, encoding = self.arguments or ("", "latin1")
        if encoding != "latin1":
            raise pickle.UnpicklingError(f"its bytes are encoded as {encoding!r:.100}, not latin1")
        return text.encode("latin1")


class RecordedDtype(Recorded):
    def dtype(self):
        code, byte_order = self.arguments[0], self.state[1]
        if not re.fullmatch("[<>|=](f[248]|[iu][1248])", f"{byte_order}{code}"):
            raise pickle.UnpicklingError(f"its arrays are of dtype {code!r:.100}; {MEND}")
        return np.dtype(f"{byte_order}{code}")


class RecordedArray(Recorded):
    def array(self):
        *_, shape, dtype, is_fortran, data = self.state
        return array_from_bytes(data, shape, dtype, "F" if is_fortran else "C")


class RecordedBuffer(Recorded):
    """An array as protocol 5 writes it."""

    def array(self):
        data, dtype, shape, order = self.arguments
        return array_from_bytes(data, shape, dtype, order)


def array_from_bytes(data, shape, dtype, order):
    """The array in these bytes; raises if their number does not fit its shape and dtype."""
    if isinstance(data, RecordedBytes):
        data = data.bytes()
    elif isinstance(data, str):  # Python 2's str, as the encoding latin1 reads it
        data = data.encode("latin1")
    dtype = dtype.dtype()
    if not all(isinstance(length, int) for length in shape):
        raise pickle.UnpicklingError("an array's shape is not made of integers")
    if math.prod(shape) * dtype.itemsize != len(data):
        raise pickle.UnpicklingError(f"an array's {len(data):,} bytes do not fit its shape")
    return np.frombuffer(data, dtype).reshape(shape, order=order)


ADMITTED = {
    ("numpy", "dtype"): RecordedDtype,
    ("numpy", "ndarray"): RecordedArray,
    ("numpy.core.multiarray", "_reconstruct"): RecordedArray,
    ("numpy._core.multiarray", "_reconstruct"): RecordedArray,
    ("numpy.core.numeric", "_frombuffer"): RecordedBuffer,
    ("numpy._core.numeric", "_frombuffer"): RecordedBuffer,
    ("_codecs", "encode"): RecordedBytes,
    ("__builtin__", "bytes"): RecordedBytes,
}


def refuse(unpickler):
    raise pickle.UnpicklingError(f"it holds a dictionary, a set or an extension code; {MEND}")


class ArrayUnpickler(pickle._Unpickler):
    """Reads arrays in tuples and lists; nothing that the file names is ever called.

    It builds on the unpickler written in Python, not on the one in C. The memo of the latter is an
    array, for which a single number in a file can claim gigabytes.
    """

    dispatch = pickle._Unpickler.dispatch | dict.fromkeys(
        # Nothing is hashed: a deeply nested tuple would overflow the C stack.
        pickle.EMPTY_DICT + pickle.DICT + pickle.SETITEM + pickle.SETITEMS
        + pickle.EMPTY_SET + pickle.ADDITEMS + pickle.FROZENSET
        # An extension code may name an object in a cache, which `find_class` never sees.
        + pickle.EXT1 + pickle.EXT2 + pickle.EXT4,
        refuse,
    )  # fmt: skip
    # The unpickler would fill a bytearray with zeros before it reads it, however long it claims to
    # be; so it is read as bytes.
    dispatch[pickle.BYTEARRAY8[0]] = pickle._Unpickler.load_binbytes8

    def find_class(self, module, name):
        if (module, name) not in ADMITTED:
            asked = f"{module}.{name}"
            raise pickle.UnpicklingError(f"it asks for {asked!r:.100}; {MEND}")
        return ADMITTED[module, name]


def read_pickle(data, source):
    """The three sets in a pickle of Python 2 or 3, of any protocol."""
    try:
        train, valid, test = ArrayUnpickler(io.BytesIO(data), encoding="latin1").load()
        return [(x.array(), y.array()) for x, y in (train, valid, test)]
    except pickle.UnpicklingError as problem:
        raise ValueError(f"{source}: pickle refused: {problem}") from None
    except Exception as problem:  # hostile bytes can cause any of them
        raise ValueError(
            f"{source}: neither a pickle of three (pictures, labels) pairs of arrays "
            f"nor an .npz nor an IDX file ({in_short(problem)})"
        ) from problem
