"""Handwritten digits, or any other labelled pictures, as the tutorial's three sets.

`load_data` gives shared variables for a graph, `read_arrays` the same as NumPy arrays. Below
them the file is read from top to bottom: one section a format, then the checks that every
format's arrays go through, then the reading of bytes.
"""

import gzip
import hashlib
import http.client
import importlib.resources
import io
import math
import os
import pickle
import re
import struct
import sys
import urllib.request
import zlib
from pathlib import Path

import numpy as np
import pytensor
import pytensor.tensor as pt

from rbm_sym.files import MOST_BYTES, in_short, read_npz, read_to_end, whole_file
from rbm_sym.memory import check_memory

PARTS = ("train", "valid", "test")

# Labels travel as floatX and float32 counts exactly up to here only.
MOST_LABELS = 2**24

MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
MNIST_SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
MOST_DOWNLOADED_BYTES = 64 * 2**20
TIMEOUT_SECONDS = 30


def load_data(dataset):
    """Load the training, validation and test set as variables for a graph.

    Parameters
    ----------
    dataset : str or path
        ``"digits"``, ``"mnist"``, or the path of a file or folder; see `read_arrays`.

    Returns
    -------
    list of three (x, y) pairs: training, validation, test
        x : shared floatX matrix, shape (pictures, pixels), grey levels in [0, 1].
        y : int32 vector, shape (pictures,), the class of each picture. As in the tutorial it
            is the cast of a shared floatX vector, so that the labels too may live on a device
            that stores floats only.

    Raises
    ------
    TypeError, ValueError, OSError
        As `read_arrays`.
    """
    print("... loading data")
    return [share(x, y) for x, y in read_arrays(dataset)]


def share(x, y):
    """The pictures as a shared variable, the labels as the int32 cast of one."""
    shared_x, shared_y = (
        pytensor.shared(np.asarray(values, dtype=pytensor.config.floatX), borrow=True)
        for values in (x, y)
    )
    return shared_x, pt.cast(shared_y, "int32")


def draw_binary(pictures, seed):
    """Zeros and ones drawn from grey levels, which are taken as the probabilities of a one.

    Parameters
    ----------
    pictures : array of values in [0, 1]
    seed : int from 0 and below 2**32

    Returns
    -------
    array of the same shape and dtype
    """
    uniform = np.random.RandomState(seed).uniform(size=pictures.shape)
    return (uniform < pictures).astype(pictures.dtype)


def read_arrays(dataset):
    """Read the training, validation and test set as NumPy arrays.

    Parameters
    ----------
    dataset : str or path
        - ``"digits"``: the 12,000 MNIST digits that come with the package (10,000 training,
          1,000 validation, 1,000 test);
        - ``"mnist"``: all of MNIST, from the folder that the environment variable
          RBM_SYM_DATA names (else rbm_sym in the user's cache folder), downloaded on first use;
        - a pickle of three (x, y) pairs of arrays, gzipped or not, such as ``mnist.pkl.gz``;
        - a folder of four IDX files, gzipped or not, or one of the four; the last sixth of
          the training pictures becomes the validation set;
        - an ``.npz`` file of train_x, train_y, valid_x, valid_y, test_x and test_y.

        Pictures have the shape (pictures, pixels) or (pictures, height, width) and are uint8,
        which is divided by 256, or numbers in [0, 1]. Labels are whole numbers.

    Returns
    -------
    list of three (x, y) pairs: training, validation, test
        x : float array, shape (pictures, pixels), in [0, 1]; float32 unless the file holds
            a wider type.
        y : int32 array, shape (pictures,), in [0, 2**24).

    Raises
    ------
    TypeError
        If `dataset` is neither text nor a path.
    FileNotFoundError
        If there is no such file or folder, or one of the four IDX files is missing.
    ConnectionError
        If MNIST has to be downloaded and no mirror gives it.
    OSError
        If a file cannot be opened, or the cache folder not be written.
    ValueError
        If a file is damaged, of another format, or a pickle that asks for more than arrays
        in tuples and lists (it is refused before any code in it runs); if pictures lie outside
        [0, 1] or are NaN; if the numbers of pictures, labels or pixels disagree.
    """
    if not isinstance(dataset, str | os.PathLike):
        raise TypeError(
            f'dataset must be "digits", "mnist" or a path, not {type(dataset).__name__}'
        )
    if dataset == "":
        raise ValueError('dataset must be "digits", "mnist" or a path, not an empty text')
    if dataset == "digits":
        sets = read_digits()
    elif dataset == "mnist":
        sets = read_mnist()
    else:
        sets = read_path(Path(dataset))
    return checked_sets(sets, dataset)


def read_path(path):
    """The three sets of a file or folder, told apart by what the file begins with."""
    if not path.exists():
        raise FileNotFoundError(
            f"{path}: no such file or folder; give the path of a mnist.pkl.gz, an .npz or "
            'IDX files, or "digits" or "mnist"'
        )
    if path.is_dir() or IDX_NAME.fullmatch(path.name):
        return read_idx_files(path)
    data = read_bytes(path)
    if data.startswith(b"PK\x03\x04"):
        return read_npz_sets(data, path)
    if data.startswith(b"\x00\x00\x08"):
        raise ValueError(
            f"{path}: an IDX file, but its name does not say which of the four; "
            "call it train-images-idx3-ubyte or the like"
        )
    return read_pickle(data, path)


# --- pickles ------------------------------------------------------------------------------------

MEND = "save tuples or lists of float or integer arrays only"


class Recorded:
    """A call that a pickle asks for: written down instead of made."""

    def __init__(self, *arguments):
        self.arguments = arguments

    def __setstate__(self, state):
        self.state = state


class RecordedBytes(Recorded):
    """How protocols 0 to 2 write bytes: the encoding of a text, or bytes() if there are none."""

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
    """How protocol 5 writes an array."""

    def array(self):
        data, dtype, shape, order = self.arguments
        return array_from_bytes(data, shape, dtype, order)


def array_from_bytes(data, shape, dtype, order):
    """An array over the bytes, if they are as many as its shape and dtype ask for."""
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

    It is the unpickler in Python, not the one in C: that one's memo is an array, of which a
    single number in a file can claim gigabytes.
    """

    dispatch = pickle._Unpickler.dispatch | dict.fromkeys(
        # Hashing a deeply nested tuple overflows the C stack, so nothing is hashed.
        pickle.EMPTY_DICT + pickle.DICT + pickle.SETITEM + pickle.SETITEMS
        + pickle.EMPTY_SET + pickle.ADDITEMS + pickle.FROZENSET
        # An extension code may stand for an object in a cache that `find_class` never sees.
        + pickle.EXT1 + pickle.EXT2 + pickle.EXT4,
        refuse,
    )  # fmt: skip
    # A bytearray is filled with zeros before its bytes are read, however many it claims.
    dispatch[pickle.BYTEARRAY8[0]] = pickle._Unpickler.load_binbytes8

    def find_class(self, module, name):
        if (module, name) not in ADMITTED:
            asked = f"{module}.{name}"
            raise pickle.UnpicklingError(f"it asks for {asked!r:.100}; {MEND}")
        return ADMITTED[module, name]


def read_pickle(data, source):
    """The three sets of a pickle, of Python 2 or 3, any protocol."""
    try:
        train, valid, test = ArrayUnpickler(io.BytesIO(data), encoding="latin1").load()
        return [(x.array(), y.array()) for x, y in (train, valid, test)]
    except pickle.UnpicklingError as problem:
        raise ValueError(f"{source}: pickle refused: {problem}") from None
    except Exception as problem:  # hostile bytes can make the machine raise anything
        raise ValueError(
            f"{source}: neither a pickle of three (pictures, labels) pairs of arrays "
            f"nor an .npz nor an IDX file ({in_short(problem)})"
        ) from problem


# --- .npz ---------------------------------------------------------------------------------------


def read_npz_sets(data, source):
    """The three sets of an .npz file."""
    names = [f"{part}_{axis}" for part in PARTS for axis in "xy"]
    try:
        arrays = [*read_npz(data, names, MOST_BYTES).values()]
    except ValueError as problem:
        raise ValueError(
            f"{source}: {problem}; it must hold arrays of numbers called {', '.join(names)}"
        ) from problem
    return list(zip(arrays[::2], arrays[1::2], strict=True))


def read_digits():
    """The three sets of the digits inside the package."""
    digits = importlib.resources.files(__package__) / "data" / "digits.npz"
    return read_npz_sets(digits.read_bytes(), digits)


# --- IDX ----------------------------------------------------------------------------------------

IDX_NAME = re.compile(
    r"(?P<prefix>.*)(?P<part>train|t10k|test)-(?P<kind>images|labels)[-.]idx[13]-ubyte(\.gz)?"
)
IDX_DIMENSIONS = {"images": 3, "labels": 1}


def read_idx_files(path):
    """The three sets of a folder of IDX files, or of the folder mates of one of them."""
    files = idx_files(path) if path.is_dir() else idx_files(path.parent, path)
    wanted = [(part, kind) for part in ("train", "t10k") for kind in IDX_DIMENSIONS]
    for part, kind in wanted:
        if (part, kind) not in files:
            raise FileNotFoundError(
                f"{path}: {part}-{kind}-idx{IDX_DIMENSIONS[kind]}-ubyte (or .gz) is missing; "
                "all four files must lie in one folder"
            )
    return sets_from_idx(*((files[key], read_bytes(files[key])) for key in wanted))


def idx_files(folder, named=None):
    """The IDX files of one data set, keyed by (part, kind); of several that of `named`."""
    candidates = ([named] if named else []) + sorted(folder.iterdir())
    matches = [(file, IDX_NAME.fullmatch(file.name)) for file in candidates if file.is_file()]
    matches = [(file, match) for file, match in matches if match]
    prefixes = list(dict.fromkeys(match["prefix"] for _, match in matches))
    if len(prefixes) > 1 and not named:
        raise ValueError(f"{folder}: several data sets, {prefixes}; name one file of the one meant")
    files = {}
    for file, match in matches:
        if match["prefix"] == prefixes[0]:
            part = "train" if match["part"] == "train" else "t10k"
            files.setdefault((part, match["kind"]), file)
    return files


def sets_from_idx(train_images, train_labels, test_images, test_labels):
    """The three sets of four IDX files, each given as (source, bytes)."""
    x, y = read_idx_pair(train_images, train_labels)
    n_train = len(x) - len(x) // 6
    if n_train == len(x):
        raise ValueError(
            f"{train_images[0]}: {len(x)} pictures are too few; one of every six becomes the "
            "validation set"
        )
    test = read_idx_pair(test_images, test_labels)
    return [(x[:n_train], y[:n_train]), (x[n_train:], y[n_train:]), test]


def read_idx_pair(images, labels):
    x, y = read_idx(*images, "images"), read_idx(*labels, "labels")
    if len(x) != len(y):
        raise ValueError(
            f"{labels[0]}: {len(y)} labels for the {len(x)} pictures in {images[0]}; "
            "the two files are not of one data set"
        )
    return x, y


def read_idx(source, data, kind):
    """A uint8 array, if the file's magic number is that of its kind and its length is right."""
    dimensions = IDX_DIMENSIONS[kind]
    expected = 0x800 + dimensions
    if data[:4] != struct.pack(">I", expected):
        raise ValueError(
            f"{source}: wrong magic number 0x{data[:4].hex()}; "
            f"an IDX file of {kind} begins with 0x{expected:08x}"
        )
    header = struct.Struct(f">{1 + dimensions}I")
    if len(data) < header.size:
        raise ValueError(f"{source}: truncated within its header; get the file again")
    _, *shape = header.unpack_from(data)
    promised, found = math.prod(shape), len(data) - header.size
    if found != promised:
        fault = "truncated" if found < promised else "followed by other bytes"
        raise ValueError(
            f"{source}: {fault}: its header promises {promised:,} bytes of data and "
            f"there are {found:,}; get the file again"
        )
    return np.frombuffer(data, np.uint8, offset=header.size).reshape(shape)


# --- MNIST from the cache or the network --------------------------------------------------------


def read_mnist():
    """The three sets of MNIST."""
    folder = cache_folder()
    return sets_from_idx(*((name, read_mnist_file(folder, name)) for name in MNIST_SHA256))


def cache_folder():
    """Where downloaded files are kept."""
    if own := os.environ.get("RBM_SYM_DATA"):
        return Path(own)
    caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(caches) / "rbm_sym"


def read_mnist_file(folder, name):
    """The bytes of one of MNIST's four files, from the cache folder or else from a mirror."""
    for path in (folder / name, folder / f"{name}.gz"):
        if path.exists():
            data = read_bytes(path)
            if not is_genuine(name, data):
                raise ValueError(
                    f"{path}: not MNIST's file, its SHA-256 differs; "
                    "delete it and it will be downloaded again"
                )
            return data
    return download(folder, name)


def is_genuine(name, data):
    return hashlib.sha256(data).hexdigest() == MNIST_SHA256[name]


def download(folder, name):
    """The bytes of one of MNIST's four files, from the first mirror that has it right."""
    failure = "no mirror is known"
    for mirror in MIRRORS:
        url = f"{mirror}{name}.gz"
        try:
            packed = fetch(url)
            data = gunzip(packed, url, MOST_DOWNLOADED_BYTES)
        except (OSError, ValueError, http.client.HTTPException) as problem:
            failure = f"{url}: {in_short(problem)}"
            continue
        if is_genuine(name, data):
            keep(folder / f"{name}.gz", packed)
            return data
        failure = f"{url}: its SHA-256 is not that of MNIST's file"
    raise ConnectionError(
        f"MNIST cannot be downloaded ({failure}); put {', '.join(MNIST_SHA256)} or their .gz "
        f'into {folder} by hand, or use "digits", which needs no network'
    )


def fetch(url):
    """The bytes behind an https address."""
    with https_opener().open(url, timeout=TIMEOUT_SECONDS) as response:
        length = int(response.headers.get("Content-Length", 0))
        return read_to_end(response, url, MOST_DOWNLOADED_BYTES, progress_report(url, length))


def progress_report(url, length):
    """A function of the bytes so far that tells the user about them on standard error."""
    if not (sys.stderr.isatty() and length):
        print(f"downloading {url}", file=sys.stderr)
        return lambda done: None

    def report(done):
        end = "\n" if done >= length else ""
        print(f"\rdownloading {url} {100 * done // length} %", end=end, file=sys.stderr, flush=True)

    return report


def https_opener():
    """An opener that knows https alone, so that no redirection can lead elsewhere."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPRedirectHandler,
        urllib.request.HTTPErrorProcessor,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.UnknownHandler,
    ):
        opener.add_handler(handler())
    return opener


def keep(path, packed):
    """Put a downloaded file into the cache folder."""
    try:
        with whole_file(path) as unfinished:
            path.parent.mkdir(parents=True, exist_ok=True)
            unfinished.write_bytes(packed)
    except OSError as problem:
        raise OSError(f"{problem}; set RBM_SYM_DATA to a folder that can") from problem


# --- checks -------------------------------------------------------------------------------------


def checked_sets(sets, source):
    """The three sets as floats in [0, 1] and int32 labels, if they fit each other."""
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
            "they must have equally many"
        )
    return sets


def checked_pictures(x, name):
    """The pictures as rows of floats in [0, 1], in memory of their own."""
    if x.dtype.kind not in "fiub":
        raise ValueError(f"{name} is of dtype {x.dtype}; save pictures as uint8 or floats")
    if x.ndim not in (2, 3):
        raise ValueError(
            f"{name} has the shape {x.shape}; "
            "it must be (pictures, pixels) or (pictures, height, width)"
        )
    if x.size == 0:
        raise ValueError(f"{name} has the shape {x.shape}; it must hold a picture at least")
    dtype = np.dtype(np.float32) if x.dtype == np.uint8 else np.result_type(x.dtype, np.float32)
    check_memory(x.size * dtype.itemsize, f"{name} is too large; take fewer pictures")
    x = np.ascontiguousarray(x).reshape(len(x), -1)
    if x.dtype == np.uint8:
        return np.divide(x, 256, dtype=dtype)
    # A copy, as x may be a read-only view of a whole file.
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


# --- bytes --------------------------------------------------------------------------------------


def read_bytes(path):
    """The bytes of a file, unpacked if it begins as a gzip does."""
    with open(path, "rb") as file:
        data = read_to_end(file, path, MOST_BYTES)
    return gunzip(data, path, MOST_BYTES) if data.startswith(b"\x1f\x8b") else data


def gunzip(packed, source, most):
    """The unpacked bytes; read to the end, where the checksum is."""
    try:
        return read_to_end(gzip.GzipFile(fileobj=io.BytesIO(packed)), source, most)
    except (OSError, EOFError, zlib.error) as problem:
        raise ValueError(
            f"{source}: truncated or damaged gzip ({in_short(problem)}); get the file again"
        ) from problem
