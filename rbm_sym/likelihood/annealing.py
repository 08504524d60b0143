"""Annealed importance sampling: the partition function, estimated from both sides.

Walks from a distribution with a known Z to the RBM have weights whose expectation is Z (Neal 2001;
Salakhutdinov and Murray 2008). Reverse walks, from samples of the RBM, have weights whose
expectation is 1 / Z. (Those of Burda, Grosse and Salakhutdinov 2015 start at examples.)
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytensor
import pytensor.tensor as pt
from numpy.typing import ArrayLike
from pytensor.compile.sharedvalue import SharedVariable

from rbm_sym.gibbs import gibbs_chain
from rbm_sym.internal.arguments import check_count, check_inverse_temperatures, check_seed
from rbm_sym.likelihood.arguments import checked_examples, parameters_of, set_parameters
from rbm_sym.rbm import RBM
from rbm_sym.samplers.tempering import TemperedRBM
from rbm_sym.streams import MRG_RandomStreams

# Steps of a walk that one call of a compiled function makes.
STEPS_AT_ONCE = 100


def standard_temperatures() -> np.ndarray:
    """The 14,501 inverse temperatures of Salakhutdinov and Murray (2008), denser towards 1.

    Examples
    --------
    >>> from rbm_sym.likelihood import standard_temperatures
    >>> standard_temperatures()[[0, 1, 500, 4500, -1]]
    array([0.   , 0.001, 0.5  , 0.9  , 1.   ])
    """
    return np.concatenate(
        [
            np.arange(500) / 1000,
            0.5 + np.arange(4000) / 10000,
            0.9 + np.arange(10001) / 100000,
        ]
    )


def spread_temperatures(n_temperatures: int) -> np.ndarray:
    """`n_temperatures` inverse temperatures, as densely spread as the standard ones."""
    standard = standard_temperatures()
    places = np.linspace(0, len(standard) - 1, n_temperatures)
    return np.interp(places, np.arange(len(standard)), standard)


@dataclass(frozen=True)
class LogPartition:
    """An estimate of log Z by annealed importance sampling.

    Attributes
    ----------
    log_partition : float, the estimate
    standard_error : float, of `log_partition`, from the spread of the weights; it says nothing of
        modes that no run has found
    effective_sample_size : float from 1 to the number of runs, (Σ w)² / Σ w²
    log_weights : (n_runs,) float64, log w; the mean of w estimates Z, or 1 / Z in reverse

    Examples
    --------
    Two runs whose weights are 1 and 3:

    >>> import numpy as np
    >>> from rbm_sym.likelihood import LogPartition
    >>> estimate = LogPartition.of(np.log([1.0, 3.0]))
    >>> round(float(np.exp(estimate.log_partition)), 6), round(estimate.effective_sample_size, 6)
    (2.0, 1.6)
    """

    log_partition: float
    standard_error: float
    effective_sample_size: float
    log_weights: np.ndarray

    @classmethod
    def of(cls, log_weights: np.ndarray, sign: int = 1) -> "LogPartition":
        """The estimate from weights whose expectation is Z (sign 1) or 1 / Z (sign -1)."""
        largest = log_weights.max()
        weights = np.exp(log_weights - largest)
        mean, n_runs = weights.mean(), len(weights)
        return cls(
            log_partition=float(sign * (largest + np.log(mean))),
            standard_error=float(weights.std(ddof=1) / mean / np.sqrt(n_runs)),
            effective_sample_size=float(weights.sum() ** 2 / np.square(weights).sum()),
            log_weights=log_weights,
        )


def ais_log_partition(
    rbm: RBM,
    n_runs: int = 100,
    temperatures: ArrayLike | None = None,
    data: ArrayLike | SharedVariable | None = None,
    seed: int | None = None,
    progress: Callable[[Sequence[int]], Iterable[int]] | None = None,
) -> LogPartition:
    """log Z by annealed importance sampling, from independent units to the RBM.

    Parameters
    ----------
    rbm : RBM of binary units
    n_runs : int, at least 2
        Independent runs.
    temperatures : increasing inverse temperatures from 0 to 1; None takes `standard_temperatures`
        With more of them the error is smaller, and the time longer in proportion.
    data : (n, n_visible) array or shared variable of values in [0, 1], or None
        Examples whose mean the base model has; None gives it the RBM's vbias. For a trained RBM,
        the training data give by far the smaller error.
    seed : int, at least 0 and below 2**32, or None for another one each time
    progress : function that wraps an iterable of parts of the walk, such as `tqdm.tqdm`, or None

    Returns
    -------
    LogPartition

    Raises
    ------
    TypeError, ValueError
        if an argument is not as above

    Examples
    --------
    >>> import numpy as np
    >>> from rbm_sym import RBM
    >>> from rbm_sym.likelihood import ais_log_partition, exact_log_partition
    >>> rbm = RBM(n_visible=6, n_hidden=4)
    >>> found = ais_log_partition(rbm, temperatures=np.linspace(0, 1, 20), seed=1)
    >>> abs(found.log_partition - exact_log_partition(rbm)) < 4 * found.standard_error
    True
    """
    walk = _Walk(rbm, n_runs, temperatures, data, seed, progress)
    return LogPartition.of(walk.to_the_rbm() + walk.log_base_partition)


def reverse_ais_log_partition(
    rbm: RBM,
    n_runs: int = 100,
    temperatures: ArrayLike | None = None,
    data: ArrayLike | SharedVariable | None = None,
    seed: int | None = None,
    progress: Callable[[Sequence[int]], Iterable[int]] | None = None,
    n_steps: int = 1000,
) -> LogPartition:
    """log Z by annealed importance sampling from the RBM to independent units.

    The runs should start at samples of the RBM. They start at the ends of as many runs of
    `ais_log_partition`, drawn again in proportion to their weights, after `n_steps` more Gibbs
    steps. If these are samples of the RBM, the expectation of the estimate is not below log Z. A
    mode that the forward runs have missed is missed by the reverse runs too, and the standard error
    does not show it.

    Parameters, result and errors as for `ais_log_partition`; `n_steps` is an int, at least 1.

    Examples
    --------
    >>> import numpy as np
    >>> from rbm_sym import RBM
    >>> from rbm_sym.likelihood import exact_log_partition, reverse_ais_log_partition
    >>> rbm = RBM(n_visible=6, n_hidden=4)
    >>> found = reverse_ais_log_partition(
    ...     rbm, temperatures=np.linspace(0, 1, 20), seed=1, n_steps=10
    ... )
    >>> abs(found.log_partition - exact_log_partition(rbm)) < 4 * found.standard_error
    True
    """
    check_count("n_steps", n_steps, of="step")
    walk = _Walk(rbm, n_runs, temperatures, data, seed, progress)
    walk.choose_by(walk.to_the_rbm())
    walk.along(np.ones(n_steps + 1))
    return LogPartition.of(walk.along(walk.temperatures[::-1]) - walk.log_base_partition, sign=-1)


class _Walk:
    """Runs of annealed importance sampling, each at its present state."""

    def __init__(self, rbm, n_runs, temperatures, data, seed, progress):
        W, hbias, vbias = parameters_of(rbm)
        check_count("n_runs", n_runs, of="run")
        if n_runs < 2:
            raise ValueError("n_runs: at least 2 runs are needed for a standard error, not 1")
        if temperatures is None:
            temperatures = standard_temperatures()
        check_inverse_temperatures("temperatures", temperatures, first=0)
        check_seed("seed", seed)
        base_vbias = vbias if data is None else _log_odds_of_mean(checked_examples(rbm, data))

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
        """Walk from the base model to the RBM; returns log weights, (n_runs,) float64."""
        return self.along(self.temperatures)

    def along(self, temperatures):
        """Walk along these inverse temperatures; returns log weights, (n_runs,) float64."""
        betas = temperatures.astype(self.dtype)
        self.compiled.state.set_value(self.state.astype(self.dtype))
        log_weights = np.zeros(len(self.state))
        for start in self.progress(range(0, len(betas) - 1, STEPS_AT_ONCE)):
            log_weights += self.compiled.walk(betas[start : start + STEPS_AT_ONCE + 1])
        self.state = self.compiled.state.get_value()
        return log_weights

    def choose_by(self, log_weights):
        """Draw as many states from the present ones, in proportion to their weights."""
        weights = np.exp(log_weights - log_weights.max())
        chosen = self.rng.choice(len(weights), len(weights), p=weights / weights.sum())
        self.state = self.state[chosen]


class _Annealing:
    """A compiled walk for RBMs of any size, whose parameters are copied into its own variables."""

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
        set_parameters(self.rbm, (W, hbias, vbias))
        self.base_vbias.set_value(base_vbias)


@cache
def _annealing(dtype):
    with pytensor.config.change_flags(floatX=dtype):
        return _Annealing()


def _log_odds_of_mean(examples):
    # With one more example of each kind, a unit that is never on has a finite bias too.
    n_on = examples.sum(axis=0, dtype="float64") + 1
    return np.log(n_on / (len(examples) + 2 - n_on))
