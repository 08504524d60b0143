"""Files that are written completely or not at all, and folders that one process writes into."""

import contextlib
import os
import tempfile
import uuid
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

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
