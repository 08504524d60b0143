"""The 12,000 digits that come with the package."""

import importlib.resources

from rbm_sym.datasets.npz import read_npz_sets


def read_digits():
    """The three sets of the digits inside the package."""
    digits = importlib.resources.files("rbm_sym") / "data" / "digits.npz"
    return read_npz_sets(digits.read_bytes(), digits)
