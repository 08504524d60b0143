"""Restricted Boltzmann machines and other energy-based models, as PyTensor graphs.

The modules in reading order: each imports only from those before it.
"""

__version__ = "0.1.0"

from rbm_sym import rounding  # noqa: F401
from rbm_sym.datasets import load_data
from rbm_sym.images import save_picture, scale_to_unit_interval, tile_raster_images
from rbm_sym.streams import MRG_RandomStreams, RandomStreams
from rbm_sym import rewrites  # noqa: F401
from rbm_sym.gibbs import gibbs_chain
from rbm_sym.energy import EnergyModel
from rbm_sym.rbm import RBM
from rbm_sym.dbn import DBN

__all__ = [
    "DBN",
    "RBM",
    "EnergyModel",
    "MRG_RandomStreams",
    "RandomStreams",
    "gibbs_chain",
    "load_data",
    "save_picture",
    "scale_to_unit_interval",
    "tile_raster_images",
]
