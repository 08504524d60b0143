"""The arrays of an `.npz` file, read whole or not at all."""

import io
import math
import zipfile

import numpy as np

from rbm_sym.internal.memory import check_memory
from rbm_sym.internal.reading import MOST_BYTES, in_short, read_to_end


def read_npz(data, names=None, most=MOST_BYTES):
    """Arrays of an `.npz` file.

    Parameters
    ----------
    data : bytes of the whole file
    names : list of str, or None for all arrays
    most : int, the largest number of bytes that the file may unpack to

    Returns
    -------
    dict from name to array, in the order of `names`

    Raises
    ------
    ValueError
        if the file is damaged, or an array is missing, or one holds Python objects
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            claimed = sum(member.file_size for member in archive.infolist())
            if claimed > most:
                raise ValueError(f"more than {most:,} bytes")
            check_memory(3 * claimed, "too large")
            held = [name.removesuffix(".npy") for name in archive.namelist()]
            if len(set(held)) < len(held):
                raise ValueError("a name stands twice")
            names = held if names is None else names
            missing = [name for name in names if name not in held]
            if missing:
                raise ValueError(f"{missing[0]} is missing")
            return {name: _read_member(archive, name, most) for name in names}
    except Exception as error:  # zipfile, its decompressors and NumPy raise different ones
        raise ValueError(f"unreadable .npz ({in_short(error)})") from error


def _read_member(archive, name, most):
    # Read to the end, since zipfile compares the checksum there; NumPy alone might stop earlier.
    with archive.open(f"{name}.npy") as member:
        return _array_of_npy(read_to_end(member, name, most), name)


def _array_of_npy(content, name):
    """The array of an .npy file, with its size checked.

    NumPy's own reader would allocate whatever the header claims.
    """
    stream = io.BytesIO(content)
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    version = np.lib.format.read_magic(stream)
    if version not in readers:
        raise ValueError(f"{name} is of the .npy version {version}; NumPy's savez writes (1, 0)")
    shape, is_fortran, dtype = readers[version](stream)
    if dtype.hasobject:
        raise ValueError(f"{name} holds Python objects, which are not read")
    claimed, found = math.prod(shape) * dtype.itemsize, len(content) - stream.tell()
    if claimed != found:
        raise ValueError(f"{name}: its header claims {claimed:,} bytes, and there are {found:,}")
    values = np.frombuffer(content, dtype, offset=stream.tell()).copy()
    return values.reshape(shape, order="F" if is_fortran else "C")
