"""Other Markov chains than the plain one, built from a model's own steps."""

from rbm_sym.rbm import check_binary
from rbm_sym.samplers.clamped import clamped
from rbm_sym.samplers.states import draw_index
from rbm_sym.samplers.tempering import ParallelTempering, TemperedRBM

__all__ = ["ParallelTempering", "TemperedRBM", "check_binary", "clamped", "draw_index"]
