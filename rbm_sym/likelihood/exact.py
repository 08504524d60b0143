"""The partition function as a sum over all states."""

from functools import cache
from itertools import product

import numpy as np
import pytensor
import pytensor.tensor as pt

from rbm_sym.likelihood.arguments import NUMBERS_AT_ONCE, parameters_of
from rbm_sym.rbm import RBM

LARGEST_LAYER = 25


def exact_log_partition(rbm: RBM) -> float:
    """log Z, the sum over all states of the smaller layer, in float64.

    The time doubles with each unit of that layer; the memory stays the same.

    Parameters
    ----------
    rbm : RBM of binary units, with at most 25 units in one of the layers

    Raises
    ------
    TypeError
        if `rbm` is not such an RBM
    ValueError
        if both layers are larger, or a parameter is not finite

    Examples
    --------
    With weights and biases of 0, each of the 2 ** 10 states of ten units has the weight 1:

    >>> import numpy as np
    >>> from rbm_sym import RBM
    >>> from rbm_sym.likelihood import exact_log_partition
    >>> rbm = RBM(n_visible=6, n_hidden=4)
    >>> rbm.W.set_value(np.zeros((6, 4)))
    >>> round(float(np.exp(exact_log_partition(rbm))), 6)
    1024.0
    """
    W, hbias, vbias = (value.astype("float64") for value in parameters_of(rbm))
    if len(hbias) <= len(vbias):
        W, biases, other_biases = W.T, hbias, vbias
    else:
        biases, other_biases = vbias, hbias
    if len(biases) > LARGEST_LAYER:
        raise ValueError(
            f"rbm: the exact sum needs a layer of at most {LARGEST_LAYER} units, and the smaller "
            f"one has {len(biases)}; use ais_log_partition"
        )
    # All states of the first few units make a block. Each state of the other units shifts it.
    n_low = min(len(biases), int(np.log2(max(2, NUMBERS_AT_ONCE / len(other_biases)))))
    low = _all_states(n_low)
    low_bias_term, low_input = low @ biases[:n_low], other_biases + low @ W[:n_low]
    log_sum, total = _log_sum_of_block(), -np.inf
    for high in product([0.0, 1.0], repeat=len(biases) - n_low):
        high = np.array(high)
        block = log_sum(low_bias_term + high @ biases[n_low:], low_input, high @ W[n_low:])
        total = np.logaddexp(total, block)
    return float(total)


@cache
def _log_sum_of_block():
    """log Σ_s exp(bias_term_s) Π_j (1 + exp(input_sj + shift_j)), s the states of one layer."""
    bias_term, inputs, shift = pt.dvector("bias_term"), pt.dmatrix("inputs"), pt.dvector("shift")
    # PyTensor's softplus, which has no limit: this sum is to be exact.
    log_weights = bias_term + pt.sum(pt.softplus(inputs + shift), axis=1)
    return pytensor.function([bias_term, inputs, shift], pt.logsumexp(log_weights))


def _all_states(n_units):
    """Every binary vector of `n_units` units, (2 ** n_units, n_units) float64."""
    return np.array(list(product([0.0, 1.0], repeat=n_units)))
