"""How probable examples are under a model: log-likelihood and pseudo-likelihood."""

from functools import cache
from numbers import Real

import numpy as np
import pytensor
import pytensor.tensor as pt
from numpy.typing import ArrayLike
from pytensor.compile.sharedvalue import SharedVariable

from rbm_sym.gibbs import gibbs_chain
from rbm_sym.internal.arguments import check_count, check_seed
from rbm_sym.likelihood.arguments import (
    NUMBERS_AT_ONCE,
    checked_binary,
    checked_examples,
    parameters_of,
    set_parameters,
)
from rbm_sym.logistic import log_sigmoid, softplus
from rbm_sym.rbm import RBM


def log_likelihood(rbm: RBM, data: ArrayLike | SharedVariable, log_partition: float) -> np.ndarray:
    """log p(v) = -F(v) - log Z of each example, in nats.

    Parameters
    ----------
    rbm : RBM of binary units
    data : (n, n_visible) array or shared variable of zeros and ones; `rbm_sym.datasets.draw_binary`
        draws them from grey levels
    log_partition : float, log Z

    Returns
    -------
    (n,) float64

    Raises
    ------
    TypeError, ValueError
        if an argument is not as above

    Examples
    --------
    The probabilities of all states of six units add up to 1:

    >>> import itertools
    >>> import numpy as np
    >>> from rbm_sym import RBM
    >>> from rbm_sym.likelihood import exact_log_partition, log_likelihood
    >>> rbm = RBM(n_visible=6, n_hidden=4)
    >>> states = np.array(list(itertools.product([0.0, 1.0], repeat=6)))
    >>> log_p = log_likelihood(rbm, states, exact_log_partition(rbm))
    >>> log_p.shape, round(float(np.exp(log_p).sum()), 6)
    ((64,), 1.0)
    """
    if not isinstance(log_partition, Real) or not np.isfinite(log_partition):
        raise TypeError(
            f"log_partition: a finite number is needed, not {log_partition!r:.60}; an estimate has "
            "it as its attribute log_partition"
        )
    examples = checked_binary(checked_examples(rbm, data))
    return -_by_batches(rbm, _evaluation().free_energy, examples) - log_partition


def pseudo_likelihood(
    rbm: RBM,
    data: ArrayLike | SharedVariable,
    n_bits: int | None = None,
    seed: int | None = None,
) -> np.ndarray:
    """log Π_i p(v_i | all other v) of each example, in nats (Besag 1975).

    Parameters
    ----------
    rbm : RBM of binary units
    data : (n, n_visible) array or shared variable of zeros and ones
    n_bits : int from 1 to n_visible, or None
        None takes all units i, which is exact. A number takes that many, chosen at random, which
        gives an unbiased estimate.
    seed : int, at least 0 and below 2**32, or None for other units each time

    Returns
    -------
    (n,) float64

    Raises
    ------
    TypeError, ValueError
        if an argument is not as above

    Examples
    --------
    >>> import numpy as np
    >>> from rbm_sym import RBM
    >>> from rbm_sym.likelihood import pseudo_likelihood
    >>> rbm = RBM(n_visible=6, n_hidden=4)
    >>> pseudo_likelihood(rbm, np.eye(6)).shape
    (6,)
    >>> pseudo_likelihood(rbm, np.eye(6), n_bits=2, seed=1).shape
    (6,)
    """
    check_seed("seed", seed)
    examples = checked_binary(checked_examples(rbm, data))
    bits = np.arange(rbm.n_visible)
    if n_bits is not None:
        check_count("n_bits", n_bits, of="unit")
        if n_bits > rbm.n_visible:
            raise ValueError(f"n_bits: at most the {rbm.n_visible} visible units, not {n_bits}")
        bits = np.random.RandomState(seed).permutation(bits)[:n_bits]
    of_bits = _by_batches(rbm, lambda v: _evaluation().conditionals(v, bits), examples)
    return of_bits * rbm.n_visible / len(bits)


class _Evaluation:
    """Compiled functions of examples, in float64, for RBMs of any size.

    An RBM's parameters are copied into those of `rbm`.
    """

    def __init__(self):
        self.rbm = RBM(n_visible=1, n_hidden=1)
        v, bits = pt.matrix("v"), pt.lvector("bits")
        self.free_energy = pytensor.function([v], self.rbm.free_energy(v))
        self.conditionals = pytensor.function([v, bits], self._log_conditionals(v, bits))

    def _log_conditionals(self, v, bits):
        """Σ_i log p(v_i | others) = Σ_i log sigmoid(F(v with bit i flipped) - F(v)), (batch,)."""
        pre_sigmoid_h, _ = self.rbm.propup(v)
        hidden_term = pt.sum(softplus(pre_sigmoid_h), axis=1)

        def flip(total, i):
            change = 1 - 2 * v[:, i]
            flipped = softplus(pre_sigmoid_h + change[:, None] * self.rbm.W[i])
            rise = hidden_term - pt.sum(flipped, axis=1) - change * self.rbm.vbias[i]
            return total + log_sigmoid(rise)

        totals, _ = gibbs_chain(flip, pt.zeros_like(hidden_term), sequences=[bits])
        return totals[-1]


@cache
def _evaluation():
    with pytensor.config.change_flags(floatX="float64"):
        return _Evaluation()


def _by_batches(rbm, function, examples):
    """The results of a function of `_Evaluation`, computed for as many examples as fit a cache."""
    set_parameters(_evaluation().rbm, [value.astype("float64") for value in parameters_of(rbm)])
    size = max(1, NUMBERS_AT_ONCE // rbm.n_hidden)
    batches = [examples[i : i + size] for i in range(0, len(examples), size)]
    return np.concatenate([function(batch.astype("float64")) for batch in batches])
