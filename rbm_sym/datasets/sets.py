"""The three sets of a data set: training, validation and test."""

import os
from pathlib import Path

import numpy as np
import pytensor
import pytensor.tensor as pt

from rbm_sym.datasets.checks import checked_sets
from rbm_sym.datasets.digits import read_digits
from rbm_sym.datasets.idx import IDX_NAME, read_idx_files
from rbm_sym.datasets.mnist import read_mnist
from rbm_sym.datasets.npz import read_npz_sets
from rbm_sym.datasets.pickles import read_pickle
from rbm_sym.datasets.reading import read_bytes
from rbm_sym.internal.types import LabelledSet


def load_data(dataset: str | Path) -> list[LabelledSet]:
    """Load the training, validation and test set as variables for a graph.

    It prints "... loading data", as the tutorial's does; `read_arrays` prints nothing.

    Parameters
    ----------
    dataset : str or path
        ``"digits"``, ``"mnist"``, or the path of a file or folder; see `read_arrays`.

    Returns
    -------
    list of three (x, y) pairs: training, validation, test
        x : shared floatX matrix, shape (pictures, pixels), grey levels in [0, 1].
        y : int32 vector, shape (pictures,), the class of each picture. As in the tutorial, it
            is the cast of a shared floatX vector, which can be on a device that stores only floats.

    Raises
    ------
    TypeError, ValueError, OSError
        As for `read_arrays`.

    Examples
    --------
    >>> from rbm_sym import load_data
    >>> (train_x, train_y), (valid_x, valid_y), (test_x, test_y) = load_data("digits")
    >>> [x.get_value(borrow=True).shape for x in (train_x, valid_x, test_x)]
    [(10000, 784), (1000, 784), (1000, 784)]
    >>> train_y[:5].eval()
    array([5, 0, 4, 1, 9], dtype=int32)
    """
    print("... loading data")
    return [share(x, y) for x, y in read_arrays(dataset)]


def share(x: np.ndarray, y: np.ndarray) -> LabelledSet:
    """The pictures as a shared variable, the labels as the int32 cast of one.

    Examples
    --------
    >>> import numpy as np
    >>> from rbm_sym.datasets import share
    >>> x, y = share(np.eye(2, 4), np.array([3, 7]))
    >>> x.get_value()
    array([[1., 0., 0., 0.],
           [0., 1., 0., 0.]])
    >>> y.eval()
    array([3, 7], dtype=int32)
    """
    shared_x, shared_y = (
        pytensor.shared(np.asarray(values, dtype=pytensor.config.floatX), borrow=True)
        for values in (x, y)
    )
    return shared_x, pt.cast(shared_y, "int32")


def draw_binary(pictures: np.ndarray, seed: int) -> np.ndarray:
    """Draw zeros and ones; each grey level is the probability of a one.

    Parameters
    ----------
    pictures : array of values in [0, 1]
    seed : int, at least 0 and below 2**32

    Returns
    -------
    array of the same shape and dtype

    Examples
    --------
    >>> import numpy as np
    >>> from rbm_sym.datasets import draw_binary
    >>> draw_binary(np.array([[0.0, 0.5, 0.5, 0.5, 1.0]]), seed=1)
    array([[0., 0., 1., 1., 1.]])
    """
    uniform = np.random.RandomState(seed).uniform(size=pictures.shape)
    return (uniform < pictures).astype(pictures.dtype)


def read_arrays(dataset: str | Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """Read the training, validation and test set as NumPy arrays.

    Parameters
    ----------
    dataset : str or path
        - ``"digits"``: the 12,000 MNIST digits that come with the package (10,000 training,
          1,000 validation, 1,000 test);
        - ``"mnist"``: all of MNIST. On first use it is downloaded into the folder of the
          environment variable RBM_SYM_DATA (by default rbm_sym in the user's cache folder);
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
        If MNIST has to be downloaded and no mirror has it.
    OSError
        If a file cannot be opened, or the cache folder cannot be written.
    ValueError
        If a file is damaged or has another format; if a pickle asks for more than arrays in
        tuples and lists; if pictures lie outside [0, 1] or are NaN; if the numbers of pictures,
        labels or pixels do not fit. A pickle is refused before any code in it runs.

    Examples
    --------
    >>> from rbm_sym.datasets import read_arrays
    >>> (train_x, train_y), _, _ = read_arrays("digits")
    >>> train_x.shape, train_x.dtype
    ((10000, 784), dtype('float32'))
    >>> train_y[:5]
    array([5, 0, 4, 1, 9], dtype=int32)
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
    """The three sets of a file or folder. The first bytes of a file show its format."""
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
            "rename it, for example to train-images-idx3-ubyte"
        )
    return read_pickle(data, path)
