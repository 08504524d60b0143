"""Chains at several temperatures."""

import numpy as np
import pytensor
import pytensor.tensor as pt
from numpy.typing import ArrayLike
from pytensor.tensor import TensorLike
from pytensor.tensor.sharedvar import TensorSharedVariable
from pytensor.tensor.variable import TensorVariable

from rbm_sym.energy import EnergyModel
from rbm_sym.gibbs import gibbs_chain
from rbm_sym.internal.arguments import (
    check_count,
    check_inverse_temperatures,
    check_shared,
    check_tensor,
)
from rbm_sym.internal.types import Scalar, Updates
from rbm_sym.logistic import sigmoid, softplus
from rbm_sym.rbm import RBM, check_binary


class TemperedRBM:
    """The path from independent visible units, β = 0, to an RBM, β = 1.

        p_β(v, h) ∝ exp((1 - β) a'v + β (b'v + c'h + v'Wh))

    β is the inverse temperature, and a sets the base rates, the means of the units at β = 0
    (Salakhutdinov and Murray 2008).

    Parameters
    ----------
    rbm : RBM of binary units
    base_vbias : tensor or array (n_visible,), a; None takes zeros

    Raises
    ------
    TypeError, ValueError
        if an argument is not as above

    Examples
    --------
    At β = 0, all 2 ** 4 hidden states are equally probable:

    >>> import numpy as np
    >>> from rbm_sym import RBM
    >>> from rbm_sym.samplers import TemperedRBM
    >>> tempered = TemperedRBM(RBM(n_visible=6, n_hidden=4))
    >>> np.exp(tempered.log_weight(np.eye(6)[:2], 0.0).eval())
    array([16., 16.])
    """

    def __init__(self, rbm: RBM, base_vbias: TensorLike | None = None) -> None:
        check_binary("rbm", rbm)
        self.rbm = rbm
        self.base_vbias = pt.zeros_like(rbm.vbias)
        if base_vbias is not None:
            self.base_vbias = pt.cast(base_vbias, pytensor.config.floatX)
            check_tensor("base_vbias", self.base_vbias, (rbm.n_visible,))
        self.theano_rng = rbm.theano_rng

    def slope(self, v_sample: TensorVariable, h_sample: TensorVariable) -> TensorVariable:
        """(b - a)'v + c'h + v'Wh, (batch,): the derivative of log p_β(v, h) + log Z_β in β."""
        pre_sigmoid_h, _ = self.rbm.propup(v_sample)
        of_v = pt.dot(v_sample, self.rbm.vbias - self.base_vbias)
        return of_v + pt.sum(h_sample * pre_sigmoid_h, axis=1)

    def log_weight(self, v_sample: TensorVariable, beta: Scalar) -> TensorVariable:
        """log p_β(v) + log Z_β, (batch,) float64:

            (1 - β) a'v + β b'v + Σ_i log(1 + exp(β (c_i + (v'W)_i)))

        `beta` is a scalar.
        """
        pre_sigmoid_h, _ = self.rbm.propup(v_sample)
        of_v = pt.dot(v_sample, (1 - beta) * self.base_vbias + beta * self.rbm.vbias)
        return of_v + pt.sum(softplus(beta * pre_sigmoid_h), axis=1, dtype="float64")

    def sample_h_given_v(self, v_sample: TensorVariable, beta: Scalar) -> TensorVariable:
        """A sample of the hidden units at β, (batch, n_hidden).

        `beta` is a scalar, or a column (batch, 1) with one for each example.
        """
        pre_sigmoid_h, _ = self.rbm.propup(v_sample)
        return self._sample(sigmoid(beta * pre_sigmoid_h))

    def sample_v_given_h(self, h_sample: TensorVariable, beta: Scalar) -> TensorVariable:
        """A sample of the visible units at β, (batch, n_visible); `beta` as for the hidden ones."""
        pre_sigmoid_v, _ = self.rbm.propdown(h_sample)
        return self._sample(sigmoid((1 - beta) * self.base_vbias + beta * pre_sigmoid_v))

    def _sample(self, mean):
        floatX = pytensor.config.floatX
        return self.theano_rng.binomial(size=mean.shape, n=1, p=mean, dtype=floatX)


class ParallelTempering(EnergyModel):
    """An RBM whose negative particles come from chains at several temperatures, which swap states.

    Hot chains wander far, and cold ones stay near the modes. By swapping states, all of them mix
    (Desjardins et al. 2010; Cho, Raiko and Ilin 2010). The model is trained like any other:

        tempered = ParallelTempering(rbm, np.linspace(0, 1, 10))
        cost, updates = tempered.get_cost_updates(lr, persistent=tempered.new_chain(20))

    The state of its chain is the hidden units, (temperatures, chains, n_hidden). A step is a Gibbs
    step at each temperature. Then neighbours at β and β' swap states with probability
    min(1, exp((β' - β) (s - s'))), where s is the `TemperedRBM.slope` of a state. This leaves the
    product of all p_β unchanged. The negative particles are the visible samples at β = 1.

    Parameters
    ----------
    rbm : RBM of binary units
    inverse_temperatures : at least two increasing numbers from 0 to 1, the last of them 1
    base_vbias : tensor or array (n_visible,), the base rates of `TemperedRBM`; None takes zeros

    Raises
    ------
    TypeError, ValueError
        if an argument is not as above

    Attributes
    ----------
    swap_rates : shared floatX vector (temperatures - 1,)
        The share of chains that swapped states with the next temperature, in the last step of the
        last update.

    Examples
    --------
    >>> import numpy as np
    >>> import pytensor
    >>> from rbm_sym import RBM
    >>> from rbm_sym.samplers import ParallelTempering
    >>> rbm = RBM(n_visible=6, n_hidden=4)
    >>> model = ParallelTempering(rbm, np.linspace(0, 1, 5))
    >>> cost, updates = model.get_cost_updates(lr=0.05, persistent=model.new_chain(20))
    >>> train = pytensor.function([rbm.input], cost, updates=updates)
    >>> cost = train(np.eye(6))
    >>> model.swap_rates.get_value().shape
    (4,)
    """

    def __init__(
        self, rbm: RBM, inverse_temperatures: ArrayLike, base_vbias: TensorLike | None = None
    ) -> None:
        check_inverse_temperatures("inverse_temperatures", inverse_temperatures)
        floatX = pytensor.config.floatX
        self.rbm = rbm
        self.input = rbm.input
        self.params = rbm.params
        self.tempered = TemperedRBM(rbm, base_vbias)
        self.betas = np.asarray(inverse_temperatures, dtype=floatX)
        no_swaps = np.zeros(len(self.betas) - 1, dtype=floatX)
        # The length is given: PyTensor refuses an update of known length 1, as a single pair has,
        # for a variable of unknown length.
        self.swap_rates = pytensor.shared(no_swaps, shape=no_swaps.shape, name="swap_rates")

    def free_energy(self, v_sample: TensorVariable) -> TensorVariable:
        """The RBM's."""
        return self.rbm.free_energy(v_sample)

    def new_chain(self, n_chains: int) -> TensorSharedVariable:
        """A shared state of `n_chains` chains at each temperature, all hidden units 0."""
        check_count("n_chains", n_chains, of="chain")
        shape = len(self.betas), n_chains, self.rbm.n_hidden
        return pytensor.shared(np.zeros(shape, pytensor.config.floatX), name="tempered_chain")

    def chain_start(self) -> TensorVariable:
        """The hidden sample of the positive phase, the same at each temperature."""
        h_sample = self.rbm.chain_start()
        return pt.repeat(h_sample[None], len(self.betas), axis=0)

    def transition(self, chain_state: TensorVariable) -> list[TensorVariable]:
        """[swap rates, visible samples, hidden samples]; samples (temperatures, chains, units)."""
        n_temperatures, n_chains = len(self.betas), chain_state.shape[1]
        beta = pt.repeat(self.betas, n_chains)[:, None]
        h_sample = chain_state.reshape((n_temperatures * n_chains, self.rbm.n_hidden))
        v_sample = self.tempered.sample_v_given_h(h_sample, beta)
        h_sample = self.tempered.sample_h_given_v(v_sample, beta)
        slope = self.tempered.slope(v_sample, h_sample)
        slope, v_sample, h_sample = (
            x.reshape((n_temperatures, n_chains, *x.shape[1:]), ndim=x.ndim + 1)
            for x in (slope, v_sample, h_sample)
        )
        accepted, order = self._trade(slope)
        chains = pt.arange(n_chains)
        swap_rates = pt.mean(accepted, axis=1, dtype=pytensor.config.floatX)
        return [swap_rates, v_sample[order, chains], h_sample[order, chains]]

    def _trade(self, slope):
        """Swap the states of neighbours or not, pair after pair from the hottest to the coldest.

        Parameters
        ----------
        slope : (temperatures, chains), the `TemperedRBM.slope` of each state

        Returns
        -------
        accepted : boolean (temperatures - 1, chains), whether the states of a pair are swapped
        order : integer (temperatures, chains), the temperature that each state comes from
        """

        def trade(order, hotter, distance, slope):
            n_chains = order.shape[1]
            pair = order[hotter : hotter + 2]
            slopes = slope[pair, pt.arange(n_chains)]
            log_odds = distance * (slopes[0] - slopes[1])
            uniform = self.tempered.theano_rng.uniform(
                size=(n_chains,), dtype=pytensor.config.floatX
            )
            accepted = pt.log(uniform) < log_odds
            after = pt.switch(accepted, pair[::-1], pair)
            return [accepted, pt.set_subtensor(order[hotter : hotter + 2], after)]

        places = pt.arange(len(self.betas))
        in_place = pt.repeat(places[:, None], slope.shape[1], axis=1)
        (accepted, orders), _ = gibbs_chain(
            trade,
            in_place,
            sequences=[places[:-1], np.diff(self.betas)],
            non_sequences=[slope],
        )
        return accepted, orders[-1]

    def negative_particles(self, chain_end: list[TensorVariable]) -> TensorVariable:
        """The visible sample at β = 1."""
        _, v_sample, _ = chain_end
        return v_sample[-1]

    def monitoring_cost(
        self,
        chain_end: list[TensorVariable],
        persistent: TensorSharedVariable | None,
        updates: Updates,
    ) -> TensorVariable:
        """The pseudo-likelihood. The swap rates are added to `updates`."""
        swap_rates, _, _ = chain_end
        updates[self.swap_rates] = swap_rates
        return self.rbm.get_pseudo_likelihood_cost(updates)

    def check_persistent(self, persistent: TensorSharedVariable) -> None:
        """Raise unless `persistent` is a shared floatX tensor as `new_chain` makes it."""
        shape = len(self.betas), None, self.rbm.n_hidden
        check_shared("persistent", persistent, f"floatX tensor of shape {shape}")
        check_tensor("persistent", persistent, shape)
