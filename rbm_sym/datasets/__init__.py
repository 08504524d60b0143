"""Handwritten digits, or any other labelled pictures, as the tutorial's three sets.

`load_data` gives shared variables for a graph, `read_arrays` the same as NumPy arrays. Each source
has a file of its own here; `sets.read_path` tells them apart.
"""

from rbm_sym.datasets.checks import PARTS
from rbm_sym.datasets.sets import draw_binary, load_data, read_arrays, share

__all__ = ["PARTS", "draw_binary", "load_data", "read_arrays", "share"]
