"""Files that are written completely or not at all, and read completely or not at all."""

import contextlib
import io
import math
import os
import tempfile
import uuid
import zipfile
from pathlib import Path

import numpy as np

from rbm_sym.internal.memory import check_memory, free_memory

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

# No file is unpacked to more bytes than this, so that a small hostile one cannot fill the memory.
MOST_BYTES = 4 * 2**30
UNFINISHED = ".unfinished-"


@contextlib.contextmanager
def whole_file(path):
    """Write a file under another name in the same folder, and rename it when it is complete.

    The context gives a path to write to, with the same suffix. If no error happens, the file is
    flushed to the disk and replaces the one at `path`. After an error it is deleted, and the old
    file stays. A process that is killed leaves an unfinished file, which `remove_unfinished`
    deletes.

    Parameters
    ----------
    path : str or path

    Raises
    ------
    OSError
        if the file cannot be written; the error names `path`
    """
    path = Path(path)
    unfinished = path.with_name(f"{UNFINISHED}{uuid.uuid4().hex}{path.suffix}")
    try:
        yield unfinished
        _flush_to_disk(unfinished)
        os.replace(unfinished, path)
        # The folder holds the new name; without this, a power cut may undo the renaming.
        if os.name == "posix":
            _flush_to_disk(path.parent)
    except OSError as error:
        raise OSError(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        with contextlib.suppress(OSError):
            unfinished.unlink()


def _flush_to_disk(path):
    descriptor = os.open(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_unfinished(folder):
    """Delete what `whole_file` left in a folder when its process was killed.

    Only for whoever holds the folder by `only_writer`: another process may still be writing its
    unfinished file.
    """
    for path in Path(folder).glob(f"{UNFINISHED}*"):
        with contextlib.suppress(OSError):
            path.unlink()


@contextlib.contextmanager
def only_writer(folder):
    """Lock a folder, so that no second process can.

    The operating system releases the lock when the process ends, whatever ended it: no lock is ever
    left over. The lock is on the folder itself, so that there is no lock file. Where there are no
    such locks (Windows, some network file systems), nothing is locked.

    Parameters
    ----------
    folder : path of a folder that exists

    Raises
    ------
    BlockingIOError
        if another process has locked it
    OSError
        if there is no such folder
    """
    if fcntl is None:
        yield
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise type(error)(f"{folder}: cannot be opened ({error.strerror})") from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BlockingIOError(
                f"{folder}: another run is writing into this folder; wait for its end, or take "
                "another folder"
            ) from None
        except OSError:
            pass
        yield
    finally:
        os.close(descriptor)


def read_to_end(stream, source, most=MOST_BYTES, report=lambda done: None):
    """All bytes of a stream; `report` is called with the number of bytes read so far.

    Raises
    ------
    ValueError
        if there are more than `most` bytes, or more than a third of the free memory; the error
        names `source`
    """
    free = free_memory()
    if free is not None:
        # The other two thirds are for the arrays made from these bytes.
        most = min(most, free // 3)
    data = io.BytesIO()
    # In small chunks, since some decompressors unpack a whole chunk at once.
    while chunk := stream.read(2**16):
        data.write(chunk)
        if data.tell() > most:
            raise ValueError(f"{source}: more than {most:,} bytes; too large to be read")
        report(data.tell())
    return data.getvalue()


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


def in_short(error):
    """An exception in one line."""
    return f"{type(error).__name__}: {error}".partition("\n")[0]


def make_folder(path):
    """Make the folder `path` unless it exists, and check that files can be written in it."""
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise OSError(f"{path}: cannot write into this folder ({error.strerror})") from None
    return path


def check_file(path):
    """Make the folder of the file `path`, and check that the file can be written there."""
    make_folder(path.parent)
    if path.is_dir():
        raise IsADirectoryError(f"{path}: this is a folder; give the name of a file")
