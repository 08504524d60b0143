"""Handwritten digits, or any other labelled pictures, as the tutorial's three sets.

`load_data` gives shared variables for a graph, `read_arrays` the same as NumPy arrays. Each source
has a module of its own here; `sets.read_path` finds out which one a file needs.
"""

from rbm_sym.datasets.checks import PARTS
from rbm_sym.datasets.sets import draw_binary, load_data, read_arrays, share

__all__ = ["PARTS", "draw_binary", "load_data", "read_arrays", "share"]
