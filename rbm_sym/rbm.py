"""The restricted Boltzmann machine of the deeplearning.net tutorial."""

import numpy as np
import pytensor
import pytensor.tensor as pt
from pytensor.tensor.sharedvar import TensorSharedVariable
from pytensor.tensor.variable import TensorVariable

from rbm_sym.energy import EnergyModel
from rbm_sym.gibbs import gibbs_chain
from rbm_sym.internal.arguments import check_count, check_numpy_rng, check_shared, check_tensor
from rbm_sym.internal.types import Count, Updates
from rbm_sym.logistic import log_sigmoid, sigmoid, softplus
from rbm_sym.streams import MRG_RandomStreams, Streams


class RBM(EnergyModel):
    """Binary visible units v and hidden units h, with no links inside a layer.

        E(v, h) = -b'v - c'h - v'Wh,    p(v, h) = exp(-E(v, h)) / Z

    Parameters
    ----------
    input : symbolic floatX matrix (batch, n_visible), values in [0, 1]; None makes one
    n_visible, n_hidden : int, at least 1
    W : symbolic floatX matrix (n_visible, n_hidden), usually shared; None draws it uniformly from
        ±4 sqrt(6 / (n_hidden + n_visible)) (Glorot and Bengio 2010, for sigmoid units)
    hbias, vbias : symbolic floatX vectors (n_hidden,) and (n_visible,); None makes shared zeros
    numpy_rng : numpy.random.RandomState for the weights; None takes RandomState(1234)
    theano_rng : MRG_RandomStreams or RandomStreams for the samples; None makes MRG_RandomStreams
        from numpy_rng, before the weights are drawn

    Raises
    ------
    TypeError, ValueError
        if an argument is not as above

    Attributes
    ----------
    All parameters but `numpy_rng`, and `params`, the list [W, hbias, vbias].

    Examples
    --------
    >>> import numpy as np
    >>> import pytensor
    >>> from rbm_sym import RBM
    >>> rbm = RBM(n_visible=6, n_hidden=4)
    >>> cost, updates = rbm.get_cost_updates(lr=0.1, k=1)
    >>> train = pytensor.function([rbm.input], cost, updates=updates)
    >>> costs = [train(np.eye(6)) for _ in range(100)]
    >>> bool(np.mean(costs[-10:]) > np.mean(costs[:10]))
    True
    >>> _, h_mean = rbm.propup(rbm.input)
    >>> h_mean.eval({rbm.input: np.eye(6)}).shape
    (6, 4)
    """

    def __init__(
        self,
        input: TensorVariable | None = None,
        n_visible: int = 784,
        n_hidden: int = 500,
        W: TensorSharedVariable | None = None,
        hbias: TensorSharedVariable | None = None,
        vbias: TensorSharedVariable | None = None,
        numpy_rng: np.random.RandomState | None = None,
        theano_rng: Streams | None = None,
    ) -> None:
        check_count("n_visible", n_visible, of="unit")
        check_count("n_hidden", n_hidden, of="unit")
        floatX = pytensor.config.floatX

        if numpy_rng is None:
            numpy_rng = np.random.RandomState(1234)
        check_numpy_rng("numpy_rng", numpy_rng)
        if theano_rng is None:
            theano_rng = MRG_RandomStreams(numpy_rng.randint(2**30))
        elif not isinstance(theano_rng, Streams):
            raise TypeError(
                "theano_rng: MRG_RandomStreams or RandomStreams of this package are needed, not "
                f"{theano_rng!r}"
            )

        if W is None:
            bound = 4 * np.sqrt(6.0 / (n_hidden + n_visible))
            initial_W = numpy_rng.uniform(low=-bound, high=bound, size=(n_visible, n_hidden))
            W = pytensor.shared(np.asarray(initial_W, dtype=floatX), name="W", borrow=True)
        if hbias is None:
            hbias = pytensor.shared(np.zeros(n_hidden, dtype=floatX), name="hbias", borrow=True)
        if vbias is None:
            vbias = pytensor.shared(np.zeros(n_visible, dtype=floatX), name="vbias", borrow=True)
        if input is None:
            input = pt.matrix("input")
        check_tensor("input", input, (None, n_visible))
        check_tensor("W", W, (n_visible, n_hidden))
        check_tensor("hbias", hbias, (n_hidden,))
        check_tensor("vbias", vbias, (n_visible,))

        self.n_visible = n_visible
        self.n_hidden = n_hidden
        self.input = input
        self.W = W
        self.hbias = hbias
        self.vbias = vbias
        self.theano_rng = theano_rng
        self.params = [self.W, self.hbias, self.vbias]

    def energy(self, v_sample: TensorVariable, h_sample: TensorVariable) -> TensorVariable:
        """E(v, h) = -b'v - c'h - v'Wh, shape (batch,)."""
        interaction = pt.sum(pt.dot(v_sample, self.W) * h_sample, axis=1)
        return -pt.dot(v_sample, self.vbias) - pt.dot(h_sample, self.hbias) - interaction

    def free_energy(self, v_sample: TensorVariable) -> TensorVariable:
        """F(v) = -log Σ_h exp(-E(v, h)) = -b'v - Σ_i log(1 + exp(c_i + (v'W)_i)), (batch,)."""
        wx_b = pt.dot(v_sample, self.W) + self.hbias
        vbias_term = pt.dot(v_sample, self.vbias)
        hidden_term = pt.sum(softplus(wx_b), axis=1)
        return -hidden_term - vbias_term

    def propup(self, vis: TensorVariable) -> list[TensorVariable]:
        """[c + v'W, P(h = 1 | v) = sigmoid(c + v'W)], both (batch, n_hidden)."""
        pre_sigmoid_activation = pt.dot(vis, self.W) + self.hbias
        return [pre_sigmoid_activation, sigmoid(pre_sigmoid_activation)]

    def sample_h_given_v(self, v0_sample: TensorVariable) -> list[TensorVariable]:
        """[pre-sigmoid, mean, sample] of the hidden units, given the visible ones."""
        pre_sigmoid_h1, h1_mean = self.propup(v0_sample)
        h1_sample = self.theano_rng.binomial(
            size=h1_mean.shape, n=1, p=h1_mean, dtype=pytensor.config.floatX
        )
        return [pre_sigmoid_h1, h1_mean, h1_sample]

    def propdown(self, hid: TensorVariable) -> list[TensorVariable]:
        """[b + Wh, P(v = 1 | h) = sigmoid(b + Wh)], both (batch, n_visible)."""
        pre_sigmoid_activation = pt.dot(hid, self.W.T) + self.vbias
        return [pre_sigmoid_activation, sigmoid(pre_sigmoid_activation)]

    def sample_v_given_h(self, h0_sample: TensorVariable) -> list[TensorVariable]:
        """[pre-sigmoid, mean, sample] of the visible units, given the hidden ones."""
        pre_sigmoid_v1, v1_mean = self.propdown(h0_sample)
        v1_sample = self.theano_rng.binomial(
            size=v1_mean.shape, n=1, p=v1_mean, dtype=pytensor.config.floatX
        )
        return [pre_sigmoid_v1, v1_mean, v1_sample]

    def gibbs_hvh(self, h0_sample: TensorVariable) -> list[TensorVariable]:
        """A Gibbs step from the hidden units: [pre-sigmoid, mean, sample] of v, then of h."""
        pre_sigmoid_v1, v1_mean, v1_sample = self.sample_v_given_h(h0_sample)
        pre_sigmoid_h1, h1_mean, h1_sample = self.sample_h_given_v(v1_sample)
        return [pre_sigmoid_v1, v1_mean, v1_sample, pre_sigmoid_h1, h1_mean, h1_sample]

    def gibbs_vhv(self, v0_sample: TensorVariable) -> list[TensorVariable]:
        """A Gibbs step from the visible units: [pre-sigmoid, mean, sample] of h, then of v."""
        pre_sigmoid_h1, h1_mean, h1_sample = self.sample_h_given_v(v0_sample)
        pre_sigmoid_v1, v1_mean, v1_sample = self.sample_v_given_h(h1_sample)
        return [pre_sigmoid_h1, h1_mean, h1_sample, pre_sigmoid_v1, v1_mean, v1_sample]

    def step(self, v_sample: TensorVariable) -> TensorVariable:
        """The visible sample of `gibbs_vhv`: one transition from visible to visible units."""
        return self.gibbs_vhv(v_sample)[-1]

    def sample(
        self, chains: TensorSharedVariable, n_steps: Count = 1000
    ) -> tuple[list[TensorVariable], Updates]:
        """Draw visible vectors from the model by Gibbs steps, from where the chains are.

        Parameters
        ----------
        chains : shared floatX matrix (n_chains, n_visible), values in [0, 1]
            Each call of a compiled function moves them on by `n_steps` steps.
        n_steps : int or integer scalar, at least 1

        Returns
        -------
        outputs : list [mean, sample] of the visible units, both (n_chains, n_visible)
            P(v = 1 | h), and v, drawn from it.
        updates : dict from shared variable to expression, for `pytensor.function`
            The chains and every random stream.

        Raises
        ------
        TypeError, ValueError
            if an argument is not as above
        """
        check_shared("chains", chains, f"floatX matrix of {self.n_visible} columns")
        check_tensor("chains", chains, (None, self.n_visible))
        over_time, updates = gibbs_chain(self.gibbs_vhv, chains, n_steps)
        _, _, _, _, mean, sample = (output[-1] for output in over_time)
        updates[chains] = sample
        return [mean, sample], updates

    # get_cost_updates(lr, persistent, k) is EnergyModel's. The next methods tell it that the state
    # of an RBM's chain is the hidden units. The chain starts at the sample of the positive phase,
    # and a step has the six results of `gibbs_hvh`.

    def chain_start(self) -> TensorVariable:
        """The hidden sample of the positive phase, (batch, n_hidden)."""
        _, _, ph_sample = self.sample_h_given_v(self.input)
        return ph_sample

    def transition(self, chain_state: TensorVariable) -> list[TensorVariable]:
        """`gibbs_hvh`."""
        return self.gibbs_hvh(chain_state)

    def negative_particles(self, chain_end: list[TensorVariable]) -> TensorVariable:
        """The visible sample of the last `gibbs_hvh`."""
        _, _, nv_sample, _, _, _ = chain_end
        return nv_sample

    def monitoring_cost(
        self,
        chain_end: list[TensorVariable],
        persistent: TensorSharedVariable | None,
        updates: Updates,
    ) -> TensorVariable:
        """The pseudo-likelihood for PCD, the reconstruction cross-entropy for CD."""
        if persistent is not None:
            return self.get_pseudo_likelihood_cost(updates)
        pre_sigmoid_nv, _, _, _, _, _ = chain_end
        return self.get_reconstruction_cost(updates, pre_sigmoid_nv)

    def check_persistent(self, persistent: TensorSharedVariable) -> None:
        """Raise unless `persistent` is a shared floatX matrix of n_hidden columns."""
        check_shared("persistent", persistent, f"floatX matrix of {self.n_hidden} columns")
        check_tensor("persistent", persistent, (None, self.n_hidden))

    def get_pseudo_likelihood_cost(self, updates: Updates) -> TensorVariable:
        """Stochastic estimate of the log pseudo-likelihood of the input, rounded to 0 and 1.

            Σ_i log P(v_i | v without i) ≈ n_visible log sigmoid(F(v with bit i flipped) - F(v))

        A scalar, the mean over the batch. The bit i is a shared int64 that starts at 0; its step
        to the next bit is added to `updates`.
        """
        bit_i_idx = pytensor.shared(np.int64(0), name="bit_i_idx")
        xi = pt.round(self.input)
        fe_xi = self.free_energy(xi)
        xi_flip = pt.set_subtensor(xi[:, bit_i_idx], 1 - xi[:, bit_i_idx])
        fe_xi_flip = self.free_energy(xi_flip)
        cost = pt.mean(self.n_visible * log_sigmoid(fe_xi_flip - fe_xi))
        updates[bit_i_idx] = (bit_i_idx + 1) % self.n_visible
        return cost

    def get_reconstruction_cost(
        self, updates: Updates, pre_sigmoid_nv: TensorVariable
    ) -> TensorVariable:
        """Minus the cross-entropy of the input and its reconstruction sigmoid(pre_sigmoid_nv).

        A scalar, the sum over the visible units and the mean over the batch. `updates` is not
        used; it is here because the tutorial has it.
        """
        log_one = log_sigmoid(pre_sigmoid_nv)
        log_zero = log_sigmoid(-pre_sigmoid_nv)
        return pt.mean(pt.sum(self.input * log_one + (1 - self.input) * log_zero, axis=1))


def check_binary(name: str, rbm: RBM) -> None:
    """Raise TypeError unless `rbm` is an RBM whose units are all binary.

    Examples
    --------
    >>> from rbm_sym import RBM
    >>> from rbm_sym.samplers import check_binary
    >>> check_binary("rbm", RBM(n_visible=6, n_hidden=4))
    >>> check_binary("rbm", "rbm.npz")
    Traceback (most recent call last):
        ...
    TypeError: rbm: an RBM is needed, not str
    """
    if not isinstance(rbm, RBM):
        raise TypeError(f"{name}: an RBM is needed, not {type(rbm).__name__}")
    for method in ("energy", "free_energy", "propup", "propdown"):
        if getattr(type(rbm), method) is not getattr(RBM, method):
            raise TypeError(
                f"{name}: an RBM of binary units is needed, and {type(rbm).__name__} has a "
                f"{method} of its own"
            )
