"""The compile cache: machine code on disk, so that the next process need not make it again.

PyTensor has numba keep each compiled function in the folder `base_compiledir`/numba, and trusts
whatever it finds there. Half a file is a traceback at every start, and a changed byte of machine
code is executed. But no file there justifies an error, since all of them can be made again.

With this package imported, functions are kept there in other files, next to PyTensor's own. Each
has a SHA-256, which is compared before anything in the file is used. A file that cannot be read, or
that has changed, counts as missing. A file that cannot be written is left out. If the folder itself
cannot be made, a temporary one is used until the process ends. The first time that any of this
happens in a process, one line says so.

The checksum finds accidents only. As in any cache of machine code, whoever may write to the folder
can make all its users execute their code.
"""

import atexit
import hashlib
import logging
import os
import pickle
import shutil
import tempfile
from pathlib import Path

import llvmlite
import numba
import pytensor
from numba.core import ccallback, dispatcher
from numba.core.caching import FunctionCache, IndexDataCacheFile
from numba.np.ufunc import ufuncbuilder

# A logger, so that users can send the line elsewhere. If logging is not configured, it goes to
# stderr. Unlike a warning, it never becomes an error.
_log = logging.getLogger("rbm_sym")

_said = []

CHECKSUM_BYTES = hashlib.sha256().digest_size


def _say(line):
    """Log a line: as a warning, which users see, if it is the first in this process."""
    _log.log(logging.INFO if _said else logging.WARNING, "rbm_sym: %s", line)
    _said.append(line)


def _make_folder():
    """Make PyTensor's folder for numba; if that fails, make PyTensor use a temporary one.

    PyTensor itself needs the folder only when it first compiles something.
    """
    folder = pytensor.config.base_compiledir / "numba"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        temporary = tempfile.mkdtemp(prefix="rbm_sym-compiled-")
        atexit.register(_remove, temporary, os.getpid())
        # PyTensor has no other way to change this setting; nothing has used it yet.
        vars(type(pytensor.config))["base_compiledir"].val = Path(temporary)
        _say(
            f"no folder for compiled functions can be made at {folder} ({error.strerror}): they "
            "are kept in a temporary one until this process ends, and made anew each time; to "
            "change that, set PYTENSOR_FLAGS=base_compiledir=FOLDER"
        )


def _remove(folder, owner):
    # A forked process runs the same function at its end, but does not own the folder.
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)


_make_folder()

from pytensor.link.numba.cache import NumbaPyTensorCacheLocator  # noqa: E402 (makes the folder)

# Machine code fits one set of versions only; PyTensor's keys do not contain its own version.
VERSIONS = repr((numba.__version__, llvmlite.__version__, pytensor.__version__))
SUFFIX = "." + hashlib.sha256(VERSIONS.encode()).hexdigest()[:8]


class CheckedFiles(IndexDataCacheFile):
    """Numba's files for one function, an index and machine code, with a check for damage.

    Each begins with the SHA-256 of the rest. An index may be older or newer than the machine code
    that it points to, so that the machine code is stored with its key.
    """

    def __init__(self, cache_path, filename_base, source_stamp):
        super().__init__(cache_path, filename_base + SUFFIX, source_stamp)

    def load(self, key):
        of_key, data = self._load_data(self._load_index().get(key)) or (None, None)
        return data if of_key == key else None

    def save(self, key, data):
        super().save(key, (key, data))

    def _load_index(self):
        stamp, names = self._read(self._index_path) or (None, {})
        return names if stamp == self._source_stamp else {}

    def _save_index(self, names):
        self._write(self._index_path, (self._source_stamp, names))

    def _load_data(self, name):
        return name and self._read(self._data_path(name))

    def _save_data(self, name, data):
        self._write(self._data_path(name), data)

    def _read(self, path):
        """The pair that was written there; None if it cannot be read."""
        try:
            content = Path(path).read_bytes()
            checksum, data = content[:CHECKSUM_BYTES], content[CHECKSUM_BYTES:]
            if hashlib.sha256(data).digest() != checksum:
                raise ValueError("not what was written: it was cut short or changed")
            first, second = pickle.loads(data)
            return first, second
        except FileNotFoundError:
            return None
        except Exception as error:  # unpickling can raise any
            _say_damaged(path, error)
            return None

    def _write(self, path, value):
        data = self._dump(value)
        with self._open_for_write(path) as file:
            file.write(hashlib.sha256(data).digest() + data)


class CheckedCache(FunctionCache):
    """Numba's cache of one function; in PyTensor's folder it never raises an error."""

    def __init__(self, py_func):
        super().__init__(py_func)
        self._is_pytensors = isinstance(self._impl.locator, NumbaPyTensorCacheLocator)
        if self._is_pytensors:
            stamp = self._impl.locator.get_source_stamp()
            self._cache_file = CheckedFiles(self.cache_path, self._impl.filename_base, stamp)

    def load_overload(self, sig, target_context):
        try:
            return super().load_overload(sig, target_context)
        except Exception as error:
            if not self._is_pytensors:
                raise
            _say_damaged(self._cache_file._index_path, error)
            return None

    def save_overload(self, sig, data):
        try:
            super().save_overload(sig, data)
        except OSError as error:
            if not self._is_pytensors:
                raise
            _say(
                f"{self.cache_path}: compiled functions cannot be kept in this folder "
                f"({_describe(error)}), and are made anew each time; make room for them there, or "
                "choose another one, PYTENSOR_FLAGS=base_compiledir=FOLDER"
            )


def _say_damaged(path, error):
    _say(
        f"{path}: a compiled function cannot be read ({_describe(error)}) and is compiled anew; if "
        "you read this again, delete that file"
    )


def _describe(error):
    """The reason of an error, in a few words."""
    return getattr(error, "strerror", None) or " ".join(str(error).split()) or repr(error)


# All places where numba makes the cache of a function. Caches in other folders work as before.
for module in (dispatcher, ccallback, ufuncbuilder):
    module.FunctionCache = CheckedCache
