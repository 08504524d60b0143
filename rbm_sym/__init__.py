"""Restricted Boltzmann machines and other energy-based models, as PyTensor graphs.

Read the modules in this order: `rbm`, the tutorial's model; what it is built on, `energy`
(contrastive divergence for any energy), `gibbs` (chains), `update_rules` and `logistic`; then `mlp`
and `dbn`, the tutorial's deep network. The first lines of each folder say what it holds.
"""

__version__ = "0.2.0.dev0"

import rbm_sym.link.numba
from rbm_sym.streams import MRG_RandomStreams, RandomStreams
import rbm_sym.rewrites  # noqa: F401
from rbm_sym.gibbs import gibbs_chain
from rbm_sym.energy import EnergyModel
from rbm_sym.rbm import RBM
from rbm_sym.dbn import DBN
from rbm_sym.datasets import load_data
from rbm_sym.images import save_picture, scale_to_unit_interval, tile_raster_images

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
