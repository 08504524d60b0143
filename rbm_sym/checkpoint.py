"""Named arrays and settings in one file, saved and loaded whole or not at all."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pytensor.compile.sharedvalue import SharedVariable

from rbm_sym.internal.files import whole_file
from rbm_sym.internal.npz import read_npz
from rbm_sym.internal.reading import MOST_BYTES, read_to_end

SETTINGS = "settings"
CHECKSUM = "sha256"


def save_arrays(path: str | Path, arrays: dict[str, np.ndarray], settings: dict[str, Any]) -> None:
    """Write arrays and settings to an `.npz` file, with a checksum of all of them.

    An older file at `path` is replaced by a whole new one, or stays as it is.

    Parameters
    ----------
    path : str or path
    arrays : dict from name to numeric array; the names "settings" and "sha256" are reserved
    settings : dict that JSON can hold; stored as text, so that nothing in the file is pickled

    Raises
    ------
    OSError
        if the file cannot be written
    TypeError
        for an array of Python's objects
    ValueError
        if the arrays are larger than `load_arrays` would read

    Examples
    --------
    >>> import numpy as np
    >>> from rbm_sym.checkpoint import load_arrays, save_arrays
    >>> save_arrays("model.npz", {"W": np.eye(2)}, {"epochs": 15})
    >>> load_arrays("model.npz")
    ({'W': array([[1., 0.],
           [0., 1.]])}, {'epochs': 15})
    """
    for name, array in arrays.items():
        if np.asarray(array).dtype.hasobject:
            raise TypeError(f"arrays[{name!r}]: an array of numbers is needed, not {array!r}")
    n_bytes = sum(array.nbytes for array in arrays.values())
    if n_bytes > MOST_BYTES - 2**20:  # headers and settings need a little of it
        raise ValueError(
            f"arrays: at most {MOST_BYTES / 1e9:.1f} GB can be saved, not {n_bytes / 1e9:.1f} GB; "
            "make the model smaller"
        )
    arrays = arrays | {SETTINGS: np.array(json.dumps(settings))}
    arrays |= {CHECKSUM: np.array(checksum(arrays))}
    # An open file, because savez would add a suffix to a name that has none.
    with whole_file(path) as unfinished, open(unfinished, "wb") as file:
        np.savez(file, **arrays)


def load_arrays(
    path: str | Path, names: Sequence[str] | None = None
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read a file of `save_arrays`.

    Parameters
    ----------
    path : str or path
    names : list of str, the arrays wanted; None for all

    Returns
    -------
    arrays : dict from name to array
    settings : dict

    Raises
    ------
    OSError
        if there is no such file, or it cannot be read
    ValueError
        if the file is damaged, or one of the names is missing, or an array is not numeric

    Examples
    --------
    >>> import numpy as np
    >>> from rbm_sym.checkpoint import load_arrays, save_arrays
    >>> save_arrays("model.npz", {"W": np.eye(2), "b": np.zeros(2)}, {"epochs": 15})
    >>> arrays, settings = load_arrays("model.npz", ["b"])
    >>> arrays
    {'b': array([0., 0.])}
    >>> load_arrays("model.npz", ["c"])
    Traceback (most recent call last):
        ...
    ValueError: model.npz: not a whole file of this program: c is missing
    """
    try:
        with open(path, "rb") as file:
            data = read_to_end(file, path)
    except OSError as error:
        raise type(error)(f"{path}: cannot be read ({error.strerror})") from None
    try:
        held = read_npz(data)
        missing = [name for name in [*(names or []), SETTINGS] if name not in held]
        if missing:
            raise ValueError(f"{missing[0]} is missing")
        # Files of version 0.1.0 have only the checksums of the .npz format.
        if CHECKSUM in held and str(held.pop(CHECKSUM)) != checksum(held):
            raise ValueError("its SHA-256 is not that of its arrays")
        settings = json.loads(str(held.pop(SETTINGS)))
        if not isinstance(settings, dict):
            raise ValueError("its settings are not a dictionary")
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not a whole file of this program: {error}") from error
    arrays = held if names is None else {name: held[name] for name in names}
    for name, array in arrays.items():
        if array.dtype.kind not in "fiu":
            raise ValueError(f"{path}: the array {name!r} holds no numbers but {array.dtype}")
    return arrays, settings


def checksum(arrays: Mapping[Any, np.ndarray]) -> str:
    """The SHA-256 of a dict from name to array, in hexadecimal digits.

    Names, dtypes, shapes and numbers count.

    Examples
    --------
    >>> import numpy as np
    >>> from rbm_sym.checkpoint import checksum
    >>> checksum({"W": np.eye(2)}) == checksum({"W": np.eye(2)})
    True
    >>> checksum({"W": np.eye(2)}) == checksum({"V": np.eye(2)})
    False
    """
    digest = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array))
    return digest.hexdigest()


def values_of(variables: Iterable[SharedVariable]) -> dict[str, np.ndarray]:
    """The values of shared variables, as arrays that `save_arrays` takes.

    Parameters
    ----------
    variables : iterable of shared variables, such as the keys of an update dictionary, which are
        the whole state of training

    Returns
    -------
    dict from text to array; the text is the variable's number and name, as in "0 W", because two
        variables may have the same name

    Examples
    --------
    >>> import numpy as np
    >>> import pytensor
    >>> from rbm_sym.checkpoint import values_of
    >>> values_of([pytensor.shared(np.zeros(2), name="b")])
    {'0 b': array([0., 0.])}
    """
    return {
        f"{place} {variable.name}": np.array(variable.get_value(borrow=True))
        for place, variable in enumerate(variables)
    }


def set_values(variables: Iterable[SharedVariable], arrays: dict[str, np.ndarray]) -> None:
    """Set shared variables to values that `values_of` took from variables made in the same way.

    All values are checked before any is set.

    Raises
    ------
    ValueError
        if names, dtypes or shapes differ, as those of another model do

    Examples
    --------
    >>> import numpy as np
    >>> import pytensor
    >>> from rbm_sym.checkpoint import set_values, values_of
    >>> saved = values_of([pytensor.shared(np.ones(2), name="b")])
    >>> b = pytensor.shared(np.zeros(2), name="b")
    >>> set_values([b], saved)
    >>> b.get_value()
    array([1., 1.])
    """
    check_values(variables, arrays)
    for variable, array in zip(variables, arrays.values(), strict=True):
        variable.set_value(array)


def check_values(variables: Iterable[SharedVariable], arrays: dict[str, np.ndarray]) -> None:
    """Raise ValueError unless `set_values` would take these arguments.

    Examples
    --------
    >>> import numpy as np
    >>> import pytensor
    >>> from rbm_sym.checkpoint import check_values
    >>> b = pytensor.shared(np.zeros(2), name="b")
    >>> check_values([b], {"0 b": np.ones(2)})
    >>> check_values([b], {"0 c": np.ones(2)})
    Traceback (most recent call last):
        ...
    ValueError: arrays: ['0 b'] are needed, not ['0 c']
    """
    current = values_of(variables)
    if list(current) != list(arrays):
        raise ValueError(f"arrays: {[*current]} are needed, not {[*arrays]}")
    for name, value in current.items():
        check_like(name, arrays[name], value)


def check_like(name: str, found: np.ndarray, expected: np.ndarray) -> None:
    """Raise ValueError unless the array `found` is of the dtype and shape of `expected`.

    Examples
    --------
    >>> import numpy as np
    >>> from rbm_sym.checkpoint import check_like
    >>> check_like("b", np.ones(2), np.zeros(2))
    >>> check_like("b", np.ones(3), np.zeros(2))
    Traceback (most recent call last):
        ...
    ValueError: 'b' must be of dtype float64 and shape (2,), not float64 and (3,): ...
    """
    if (found.dtype, found.shape) != (expected.dtype, expected.shape):
        raise ValueError(
            f"{name!r} must be of dtype {expected.dtype} and shape {expected.shape}, not "
            f"{found.dtype} and {found.shape}: saved by another program or with other settings"
        )
