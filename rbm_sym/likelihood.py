"""How probable an RBM finds a picture: its partition function, exact and estimated.

    log p(v) = -F(v) - log Z,    Z = Σ_v exp(-F(v))

Z is a sum over all states. With at most 25 units in one of the layers it can be computed. Else it
is estimated from two sides:

- annealed importance sampling walks from a distribution whose Z is known to the RBM (Neal 2001;
  Salakhutdinov and Murray 2008). The mean of the walks' weights is Z, so that the estimate of
  log Z is rather too small;
- the walks back, from samples of the RBM, have weights whose mean is 1 / Z, and the estimate is
  rather too large (Burda, Grosse and Salakhutdinov 2015 walk back from examples).

Where the two agree, the truth lies between them, provided that the walks back did start at samples
of the RBM: a mode that no walk has found is missing from both. All logarithms are natural.
"""

from dataclasses import dataclass
from functools import cache
from itertools import product
from numbers import Real

import numpy as np
import pytensor
import pytensor.tensor as pt
from pytensor.compile.sharedvalue import SharedVariable

from rbm_sym.arguments import check_count, check_inverse_temperatures, check_seed
from rbm_sym.gibbs import gibbs_chain
from rbm_sym.logistic import log_sigmoid, softplus
from rbm_sym.rbm import RBM
from rbm_sym.samplers import TemperedRBM, check_binary
from rbm_sym.streams import MRG_RandomStreams

LARGEST_LAYER = 25
# So many float64 numbers stay in a processor's cache.
NUMBERS_AT_ONCE = 2**17
# So many steps of a walk are one call of a compiled function.
STEPS_AT_ONCE = 100


def standard_temperatures():
    """The 14,500 inverse temperatures of Salakhutdinov and Murray (2008), denser towards 1."""
    return np.concatenate(
        [
            np.arange(500) / 1000,
            0.5 + np.arange(4000) / 10000,
            0.9 + np.arange(10001) / 100000,
        ]
    )


@dataclass(frozen=True)
class LogPartition:
    """An estimate of log Z by annealed importance sampling.

    Attributes
    ----------
    log_partition : float, the estimate
    standard_error : float, of `log_partition`, from the spread of the weights; it knows nothing of
        what no run has come across
    effective_sample_size : float from 1 to the number of runs, (Σ w)² / Σ w²
    log_weights : (n_runs,) float64, log w; the mean of all w estimates Z, and 1 / Z on the way back
    """

    log_partition: float
    standard_error: float
    effective_sample_size: float
    log_weights: np.ndarray

    @classmethod
    def of(cls, log_weights, sign=1):
        """From the weights of Z (sign 1) or of 1 / Z (sign -1)."""
        largest = log_weights.max()
        weights = np.exp(log_weights - largest)
        mean, n_runs = weights.mean(), len(weights)
        return cls(
            log_partition=float(sign * (largest + np.log(mean))),
            standard_error=float(weights.std(ddof=1) / mean / np.sqrt(n_runs)),
            effective_sample_size=float(weights.sum() ** 2 / np.square(weights).sum()),
            log_weights=log_weights,
        )


def exact_log_partition(rbm):
    """log Z, the sum over all states of the smaller layer, in float64.

    The time doubles with each unit of that layer; memory does not grow.

    Parameters
    ----------
    rbm : RBM of binary units, with at most 25 units in one of the layers

    Raises
    ------
    TypeError
        if `rbm` is not such an RBM
    ValueError
        if both layers are larger
    """
    W, hbias, vbias = (value.astype("float64") for value in _parameters(rbm))
    if len(hbias) <= len(vbias):
        W, biases, other_biases = W.T, hbias, vbias
    else:
        biases, other_biases = vbias, hbias
    if len(biases) > LARGEST_LAYER:
        raise ValueError(
            f"rbm: the exact sum needs a layer of at most {LARGEST_LAYER} units, and the smaller "
            f"one has {len(biases)}; use ais_log_partition"
        )
    # The states of the first few units are laid out once; those of the others shift them all.
    n_low = min(len(biases), int(np.log2(max(2, NUMBERS_AT_ONCE / len(other_biases)))))
    low = _all_states(n_low)
    low_bias_term, low_input = low @ biases[:n_low], other_biases + low @ W[:n_low]
    log_sum, total = _log_sum_of_block(), -np.inf
    for high in product([0.0, 1.0], repeat=len(biases) - n_low):
        high = np.array(high)
        block = log_sum(low_bias_term + high @ biases[n_low:], low_input, high @ W[n_low:])
        total = np.logaddexp(total, block)
    return float(total)


def ais_log_partition(
    rbm, n_runs=100, temperatures=None, data=None, seed=None, progress=None
):  # fmt: skip
    """log Z by annealed importance sampling, from independent units to the RBM.

    Parameters
    ----------
    rbm : RBM of binary units
    n_runs : int, at least 2
        Independent runs.
    temperatures : increasing inverse temperatures from 0 to 1; None takes `standard_temperatures`
        The more, the smaller the error; the time grows with their number.
    data : (n, n_visible) array or shared variable of values in [0, 1], or None
        Examples whose mean the base model has; None takes the RBM's vbias. For a trained RBM, the
        training data give by far the smaller error.
    seed : int from 0 and below 2**32, or None for another one each time
    progress : function that wraps an iterable of parts of the walk, such as `tqdm.tqdm`, or None

    Returns
    -------
    LogPartition

    Raises
    ------
    TypeError, ValueError
        if an argument is not as above
    """
    walk = _Walk(rbm, n_runs, temperatures, data, seed, progress)
    return LogPartition.of(walk.to_the_rbm() + walk.log_base_partition)


def reverse_ais_log_partition(
    rbm, n_runs=100, temperatures=None, data=None, seed=None, progress=None, n_steps=1000
):  # fmt: skip
    """log Z by annealed importance sampling from the RBM to independent units.

    The runs start at samples of the RBM: at the ends of as many runs of `ais_log_partition`, drawn
    again by their weights, after `n_steps` Gibbs steps more. As far as these are samples of the
    RBM, the expectation of the estimate is not below log Z. A mode that the walks there have missed
    is missed on the way back too, and no error tells of it.

    Parameters, result and errors as for `ais_log_partition`; `n_steps` is an int, at least 1.
    """
    check_count("n_steps", n_steps, of="step")
    walk = _Walk(rbm, n_runs, temperatures, data, seed, progress)
    walk.choose_by(walk.to_the_rbm())
    walk.along(np.ones(n_steps + 1))
    return LogPartition.of(walk.along(walk.temperatures[::-1]) - walk.log_base_partition, sign=-1)


def log_likelihood(rbm, data, log_partition):
    """log p(v) = -F(v) - log Z of each example, in nats.

    Parameters
    ----------
    rbm : RBM of binary units
    data : (n, n_visible) array or shared variable of zeros and ones; grey levels are drawn first,
        by `rbm_sym.datasets.draw_binary`
    log_partition : float, log Z

    Returns
    -------
    (n,) float64

    Raises
    ------
    TypeError, ValueError
        if an argument is not as above
    """
    if not isinstance(log_partition, Real) or not np.isfinite(log_partition):
        raise TypeError(
            f"log_partition: a finite number is needed, not {log_partition!r:.60}; an estimate has "
            "it as its attribute log_partition"
        )
    examples = _binary(_examples(rbm, data))
    return -_by_batches(rbm, _evaluation().free_energy, examples) - log_partition


def pseudo_likelihood(rbm, data, n_bits=None, seed=None):
    """log Π_i p(v_i | all other v) of each example, in nats (Besag 1975).

    Parameters
    ----------
    rbm : RBM of binary units
    data : (n, n_visible) array or shared variable of zeros and ones
    n_bits : int from 1 to n_visible, or None
        None takes all units i, which is exact. Else so many, drawn at random, stand for all: an
        unbiased estimate.
    seed : int from 0 and below 2**32, or None for other units each time

    Returns
    -------
    (n,) float64

    Raises
    ------
    TypeError, ValueError
        if an argument is not as above
    """
    check_seed("seed", seed)
    examples = _binary(_examples(rbm, data))
    bits = np.arange(rbm.n_visible)
    if n_bits is not None:
        check_count("n_bits", n_bits, of="unit")
        if n_bits > rbm.n_visible:
            raise ValueError(f"n_bits: at most the {rbm.n_visible} visible units, not {n_bits}")
        bits = np.random.RandomState(seed).permutation(bits)[:n_bits]
    of_bits = _by_batches(rbm, lambda v: _evaluation().conditionals(v, bits), examples)
    return of_bits * rbm.n_visible / len(bits)


class _Walk:
    """Runs of annealed importance sampling, which walk on from where they are."""

    def __init__(self, rbm, n_runs, temperatures, data, seed, progress):
        W, hbias, vbias = _parameters(rbm)
        check_count("n_runs", n_runs, of="run")
        if n_runs < 2:
            raise ValueError("n_runs: at least 2 runs are needed to tell the error, not 1")
        if temperatures is None:
            temperatures = standard_temperatures()
        check_inverse_temperatures("temperatures", temperatures, first=0)
        check_seed("seed", seed)
        base_vbias = vbias if data is None else _log_odds_of_mean(_examples(rbm, data))

        self.dtype = W.dtype
        self.temperatures = np.asarray(temperatures)
        self.progress = progress or iter
        self.rng = np.random.RandomState(seed)
        self.compiled = _annealing(self.dtype.name)
        self.compiled.streams.seed(int(self.rng.randint(1, 2**30)))
        self.compiled.set_parameters(W, hbias, vbias, base_vbias.astype(self.dtype))
        base_vbias = base_vbias.astype("float64")
        base_rates = np.exp(-np.logaddexp(0, -base_vbias))
        self.state = self.rng.uniform(size=(n_runs, len(vbias))) < base_rates
        self.log_base_partition = len(hbias) * np.log(2) + np.logaddexp(0, base_vbias).sum()

    def to_the_rbm(self):
        """Walk from the base model to the RBM: log weights (n_runs,)."""
        return self.along(self.temperatures)

    def along(self, temperatures):
        """Walk from the first of the inverse temperatures to the last.

        Returns the logarithms of the weights, (n_runs,) float64.
        """
        betas = temperatures.astype(self.dtype)
        self.compiled.state.set_value(self.state.astype(self.dtype))
        log_weights = np.zeros(len(self.state))
        for start in self.progress(range(0, len(betas) - 1, STEPS_AT_ONCE)):
            log_weights += self.compiled.walk(betas[start : start + STEPS_AT_ONCE + 1])
        self.state = self.compiled.state.get_value()
        return log_weights

    def choose_by(self, log_weights):
        """Draw as many of the present states, with probabilities in proportion to the weights."""
        weights = np.exp(log_weights - log_weights.max())
        chosen = self.rng.choice(len(weights), len(weights), p=weights / weights.sum())
        self.state = self.state[chosen]


class _Annealing:
    """A compiled walk, for RBMs of any size: the parameters are shared variables of its own."""

    def __init__(self):
        floatX = pytensor.config.floatX
        self.streams = MRG_RandomStreams(1)
        self.rbm = RBM(n_visible=1, n_hidden=1, theano_rng=self.streams)
        self.base_vbias = pytensor.shared(np.zeros(1, floatX), name="base_vbias")
        self.state = pytensor.shared(np.zeros((1, 1), floatX), name="state")
        tempered = TemperedRBM(self.rbm, self.base_vbias)

        def step(v_sample, before, beta):
            log_weight = tempered.log_weight(v_sample, beta) - tempered.log_weight(v_sample, before)
            h_sample = tempered.sample_h_given_v(v_sample, beta)
            return [log_weight, tempered.sample_v_given_h(h_sample, beta)]

        betas = pt.vector("betas")
        (log_weights, states), updates = gibbs_chain(
            step, self.state, sequences=[betas[:-1], betas[1:]]
        )
        updates[self.state] = states[-1]
        self.walk = pytensor.function([betas], log_weights.sum(axis=0), updates=updates)

    def set_parameters(self, W, hbias, vbias, base_vbias):
        _set_parameters(self.rbm, (W, hbias, vbias))
        self.base_vbias.set_value(base_vbias)


class _Evaluation:
    """Compiled functions of examples, in float64, for RBMs of any size."""

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
def _annealing(dtype):
    with pytensor.config.change_flags(floatX=dtype):
        return _Annealing()


@cache
def _evaluation():
    with pytensor.config.change_flags(floatX="float64"):
        return _Evaluation()


@cache
def _log_sum_of_block():
    """log Σ_s exp(bias_term_s) Π_j (1 + exp(input_sj + shift_j)), s the states of one layer."""
    bias_term, inputs, shift = pt.dvector("bias_term"), pt.dmatrix("inputs"), pt.dvector("shift")
    # PyTensor's softplus, which has no limit: this sum is to be exact.
    log_weights = bias_term + pt.sum(pt.softplus(inputs + shift), axis=1)
    return pytensor.function([bias_term, inputs, shift], pt.logsumexp(log_weights))


def _by_batches(rbm, function, examples):
    """The results of a function of `_Evaluation`, for so many examples at a time as fit a cache."""
    _set_parameters(_evaluation().rbm, [value.astype("float64") for value in _parameters(rbm)])
    size = max(1, NUMBERS_AT_ONCE // rbm.n_hidden)
    batches = [examples[i : i + size] for i in range(0, len(examples), size)]
    return np.concatenate([function(batch.astype("float64")) for batch in batches])


def _parameters(rbm):
    """The values of W, hbias and vbias."""
    check_binary("rbm", rbm)
    values = [
        param.get_value(borrow=True) if isinstance(param, SharedVariable) else param.eval()
        for param in (rbm.W, rbm.hbias, rbm.vbias)
    ]
    if not all(np.isfinite(value).all() for value in values):
        raise ValueError("rbm: there are infinite or undefined numbers in its parameters")
    return values


def _set_parameters(rbm, values):
    for param, value in zip((rbm.W, rbm.hbias, rbm.vbias), values, strict=True):
        param.set_value(value)


def _examples(rbm, data):
    if isinstance(data, SharedVariable):
        data = data.get_value(borrow=True)
    data = np.asarray(data)
    expected = f"a numeric array of shape (examples, {rbm.n_visible})"
    if data.dtype.kind not in "biuf":
        raise TypeError(f"data: {expected} is needed, not one of {data.dtype}")
    if data.ndim != 2 or data.shape[1] != rbm.n_visible or not len(data):
        raise ValueError(f"data: {expected} is needed, not one of shape {data.shape}")
    if not (data.min() >= 0 and data.max() <= 1):
        raise ValueError(
            f"data: values in [0, 1] are needed, not from {data.min()} to {data.max()}; divide "
            "by the largest"
        )
    return data


def _binary(examples):
    others = examples[(examples != 0) & (examples != 1)]
    if others.size:
        raise ValueError(
            f"data: zeros and ones are needed, for which the RBM has probabilities, not "
            f"{others[0]}; draw them with rbm_sym.datasets.draw_binary"
        )
    return examples


def _log_odds_of_mean(examples):
    # One example more of each kind, so that a unit that is never on keeps a finite bias.
    n_on = examples.sum(axis=0, dtype="float64") + 1
    return np.log(n_on / (len(examples) + 2 - n_on))


def _all_states(n_units):
    """Every binary vector of `n_units` units, (2 ** n_units, n_units) float64."""
    return np.array(list(product([0.0, 1.0], repeat=n_units)))
