"""Files that are written whole or not at all, and read whole or not at all."""

import contextlib
import io
import os
import uuid
import zipfile
from pathlib import Path

import numpy as np

# No file is unpacked beyond this, so that a small hostile one cannot fill the memory.
MOST_BYTES = 4 * 2**30


@contextlib.contextmanager
def whole_file(path):
    """Write a file under another name in the same folder and rename it once it is whole.

    The context gives a path to write to, of the same suffix. If it is left without an error, the
    file is flushed to the disk and takes the place of `path`; else it is deleted, and what stood
    under `path` stays.

    Parameters
    ----------
    path : str or path

    Raises
    ------
    OSError
        if the file cannot be written; the error names `path`
    """
    path = Path(path)
    unfinished = path.with_name(f".{uuid.uuid4().hex}{path.suffix}")
    try:
        yield unfinished
        with open(unfinished, "rb") as file:
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except OSError as error:
        raise OSError(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        with contextlib.suppress(OSError):
            unfinished.unlink()


def read_to_end(stream, source, most=MOST_BYTES, report=lambda done: None):
    """All bytes of a stream; `report` hears how many so far.

    Raises
    ------
    ValueError
        if there are more than `most`; the error names `source`
    """
    data = io.BytesIO()
    # Some decompressors unpack a whole chunk at once: a small one cannot become too large.
    while chunk := stream.read(2**16):
        data.write(chunk)
        if data.tell() > most:
            raise ValueError(f"{source}: more than {most:,} bytes; too large to be read")
        report(data.tell())
    return data.getvalue()


def read_npz(data, names, most=MOST_BYTES):
    """Arrays of an `.npz` file.

    Parameters
    ----------
    data : bytes, the whole file
    names : list of str
    most : int, the largest size that the file may unpack to

    Returns
    -------
    list of arrays, in the order of `names`

    Raises
    ------
    ValueError
        if the file is damaged, or lacks an array, or holds one of Python objects
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sum(member.file_size for member in archive.infolist()) > most:
                raise ValueError(f"more than {most:,} bytes")
            held = set(archive.namelist())
            missing = [name for name in names if f"{name}.npy" not in held]
            if missing:
                raise ValueError(f"{missing[0]} is missing")
            return [_read_member(archive, name, most) for name in names]
    except Exception as error:  # zipfile, its decompressors and NumPy each have their own
        raise ValueError(f"unreadable .npz ({in_short(error)})") from error


def _read_member(archive, name, most):
    # Read to the end, where the checksum is, which NumPy alone would not do.
    with archive.open(f"{name}.npy") as member:
        content = read_to_end(member, name, most)
    return np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)


def in_short(error):
    """An exception in one line."""
    return f"{type(error).__name__}: {error}".partition("\n")[0]
