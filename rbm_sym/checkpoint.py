"""Named arrays and settings in one file, saved and loaded whole or not at all."""

import json

import numpy as np

from rbm_sym.files import read_npz, read_to_end, whole_file

SETTINGS = "settings"


def save_arrays(path, arrays, settings):
    """Write arrays and settings to an `.npz` file.

    What stood under `path` is replaced by a whole file or not at all.

    Parameters
    ----------
    path : str or path
    arrays : dict from name to numeric array; the name "settings" is taken
    settings : dict that JSON can hold; stored as text, so that nothing in the file is pickled

    Raises
    ------
    OSError
        if the file cannot be written
    """
    arrays = arrays | {SETTINGS: np.array(json.dumps(settings))}
    # An open file: given a name, savez would add a suffix where it misses one.
    with whole_file(path) as unfinished, open(unfinished, "wb") as file:
        np.savez(file, **arrays)


def load_arrays(path, names):
    """Read what `save_arrays` has written.

    Parameters
    ----------
    path : str or path
    names : list of str, the arrays wanted

    Returns
    -------
    arrays : dict from name to array
    settings : dict

    Raises
    ------
    OSError
        if there is no such file, or it cannot be read
    ValueError
        if the file is damaged, or lacks one of the names, or an array is not numeric
    """
    try:
        with open(path, "rb") as file:
            data = read_to_end(file, path)
    except OSError as error:
        raise type(error)(f"{path}: cannot be read ({error.strerror})") from None
    try:
        *arrays, settings = read_npz(data, [*names, SETTINGS])
        settings = json.loads(str(settings))
    except ValueError as error:
        raise ValueError(f"{path}: not a whole file of this program: {error}") from error
    for name, array in zip(names, arrays, strict=True):
        if array.dtype.kind not in "fiu":
            raise ValueError(f"{path}: the array {name!r} holds no numbers but {array.dtype}")
    return dict(zip(names, arrays, strict=True)), settings
