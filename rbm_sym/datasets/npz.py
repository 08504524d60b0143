"""Files of NumPy's `savez`."""

from rbm_sym.datasets.checks import PARTS
from rbm_sym.internal.npz import read_npz
from rbm_sym.internal.reading import MOST_BYTES


def read_npz_sets(data, source):
    """The three sets in the bytes of an .npz file."""
    names = [f"{part}_{axis}" for part in PARTS for axis in "xy"]
    try:
        arrays = [*read_npz(data, names, MOST_BYTES).values()]
    except ValueError as problem:
        raise ValueError(
            f"{source}: {problem}; it must hold arrays of numbers called {', '.join(names)}"
        ) from problem
    return list(zip(arrays[::2], arrays[1::2], strict=True))
