"""Energy-based models, and their training by contrastive divergence.

A free energy F gives each visible vector the probability p(v) = exp(-F(v)) / Z. Z is the sum of
exp(-F(v)) over all v, which are too many to be summed over. The gradient of the negative
log-likelihood,

    d(-log p(v)) / dθ = dF(v) / dθ - E[dF(v') / dθ],    v' distributed as p,

has a positive phase at the data and a negative phase, an expectation under the model. The
expectation is estimated by the mean over negative particles, the ends of Markov chains that leave p
unchanged. The chains start from the data (contrastive divergence, CD-k: Hinton 2002) or go on from
where the last update left them (persistent contrastive divergence, PCD-k: Tieleman 2008).
"""

import pytensor
import pytensor.tensor as pt
from pytensor.graph.basic import Variable
from pytensor.raise_op import CheckAndRaise
from pytensor.tensor.sharedvar import TensorSharedVariable
from pytensor.tensor.variable import TensorVariable

from rbm_sym.gibbs import gibbs_chain
from rbm_sym.internal.arguments import check_learning_rate, check_shared, check_symbolic_count
from rbm_sym.internal.types import Count, Scalar, Updates
from rbm_sym.streams import stream_updates
from rbm_sym.update_rules import gradient_descent


class EnergyModel:
    """Base of models that give a free energy and a Markov chain.

    A subclass sets

    - `input`: symbolic matrix (batch, visible units), the training data; it may have more axes, of
      which the first is the batch
    - `params`: list of shared variables

    and defines `free_energy(v)` and `step(v)`. If the state of its chain is not the visible vector,
    it also overrides some of the methods from `chain_start` to `check_persistent`.

    Examples
    --------
    Independent units, each with a bias of its own. A step draws all of them anew:

    >>> import numpy as np
    >>> import pytensor
    >>> import pytensor.tensor as pt
    >>> from rbm_sym import EnergyModel, MRG_RandomStreams
    >>> streams = MRG_RandomStreams(seed=1)
    >>> class Independent(EnergyModel):
    ...     def __init__(self, n_units):
    ...         self.input = pt.matrix("v")
    ...         self.bias = pytensor.shared(np.zeros(n_units), name="bias")
    ...         self.params = [self.bias]
    ...
    ...     def free_energy(self, v):
    ...         return -pt.dot(v, self.bias)
    ...
    ...     def step(self, v):
    ...         mean = pt.broadcast_to(pt.sigmoid(self.bias), v.shape)
    ...         return streams.binomial(size=v.shape, p=mean, dtype=v.dtype)
    >>> model = Independent(2)
    >>> cost, updates = model.get_cost_updates(lr=0.1)
    >>> train = pytensor.function([model.input], cost, updates=updates)
    >>> data = np.repeat([[1.0, 0.0], [1.0, 1.0], [0.0, 0.0], [1.0, 0.0]], 100, axis=0)
    >>> for _ in range(200):
    ...     cost = train(data)
    >>> frequencies = 1 / (1 + np.exp(-model.bias.get_value()))
    >>> bool(np.allclose(frequencies, [0.75, 0.25], atol=0.05))
    True
    """

    input: TensorVariable
    params: list[TensorSharedVariable]

    def free_energy(self, v_sample: TensorVariable) -> TensorVariable:
        """F(v), shape (batch,), for visible vectors (batch, visible units)."""
        raise NotImplementedError(f"{type(self).__name__} must define free_energy(v)")

    def step(self, v_sample: TensorVariable) -> TensorVariable | list[TensorVariable]:
        """One transition of a Markov chain that leaves exp(-F(v)) / Z unchanged."""
        raise NotImplementedError(f"{type(self).__name__} must define step(v)")

    def chain_start(self) -> TensorVariable:
        """Where the negative phase of CD starts: by default at the data."""
        return self.input

    def transition(self, chain_state: TensorVariable) -> TensorVariable | list[TensorVariable]:
        """One step of the chain: a variable or a list of which the last is the next state."""
        return self.step(chain_state)

    def negative_particles(self, chain_end: list[TensorVariable]) -> TensorVariable:
        """The visible vectors among the results of the chain's last step (a list)."""
        return chain_end[-1]

    def monitoring_cost(
        self,
        chain_end: list[TensorVariable],
        persistent: TensorSharedVariable | None,
        updates: Updates,
    ) -> TensorVariable:
        """A scalar to watch: by default mean F(data) - mean F(negative particles).

        Parameters
        ----------
        chain_end : list, the results of the chain's last step
        persistent : the persistent chain, or None in CD
        updates : dict for the training function; what the cost remembers is added to it
        """
        return self.cost(self.negative_particles(chain_end))

    def check_persistent(self, persistent: TensorSharedVariable) -> None:
        """Raise unless `persistent` can hold the state of the chain between updates."""
        check_shared("persistent", persistent)

    def negative_phase(
        self, persistent: TensorSharedVariable | None = None, k: Count = 1
    ) -> tuple[list[TensorVariable], Updates]:
        """Run the chain for `k` steps.

        Returns
        -------
        chain_end : list, the results of the last step
        updates : dict with the random streams and, if there is one, the persistent chain
        """
        # Made even if a persistent chain replaces it, so that the positive phase has the first
        # random stream, as in the tutorial.
        chain_start = self.chain_start()
        if persistent is not None:
            chain_start = persistent
        outputs, updates = gibbs_chain(self.transition, chain_start, k)
        outputs = outputs if isinstance(outputs, list) else [outputs]
        chain_end = [output[-1] for output in outputs]
        if persistent is not None:
            updates[persistent] = chain_end[-1]
        return chain_end, updates

    def cost(self, particles: TensorVariable) -> TensorVariable:
        """Mean F(data) - mean F(particles).

        Its gradient, with the particles held constant, is that of the negative log-likelihood.
        """
        return pt.mean(self.free_energy(self.input)) - pt.mean(self.free_energy(particles))

    def gradients(self, particles: TensorVariable) -> list[TensorVariable]:
        """The gradient of `cost` in each of `params`, with the particles held constant."""
        return pt.grad(self.cost(particles), self.params, consider_constant=[particles])

    def with_input_check(self, lr: Scalar) -> TensorVariable:
        """The learning rate, with a check of the minibatch that runs before it is used.

        A single undefined number in the minibatch would spread over all weights in one update.

        Parameters
        ----------
        lr : number or symbolic scalar

        Returns
        -------
        symbolic scalar, equal to `lr`
            A function that computes it raises ValueError if `input` has no rows, if it holds an
            infinite or undefined number, or if a sum over its rows is infinite.
        """
        if not isinstance(lr, Variable):
            lr = pt.constant(lr, dtype=pytensor.config.floatX)
        lr = CheckAndRaise(ValueError, "input: a minibatch of at least 1 example is needed")(
            lr, pt.gt(self.input.shape[0], 0)
        )
        unusable = "input: this minibatch holds an infinite or undefined number; mend the data"
        # The sums over examples are tested, since they are computed a vector at a time.
        finite = pt.all(pt.isfinite(pt.sum(self.input, axis=0)))
        return CheckAndRaise(ValueError, unusable)(lr, finite)

    def get_cost_updates(
        self, lr: Scalar = 0.1, persistent: TensorSharedVariable | None = None, k: Count = 1
    ) -> tuple[TensorVariable, Updates]:
        """One update of CD-k or PCD-k.

        The training function raises ValueError for a minibatch without examples, or with infinite
        or undefined numbers. The parameters and the persistent chain then stay as they were. The
        random streams, and the state of the monitoring cost, may have moved on.

        Parameters
        ----------
        lr : number above 0, or symbolic scalar
            Learning rate.
        persistent : shared variable, or None
            State of the chains between updates (PCD); None starts them from the data (CD). An
            `RBM` takes a floatX matrix (number of chains, hidden units).
        k : int or integer scalar, at least 1
            Steps of the chain.

        Returns
        -------
        monitoring_cost : scalar
        updates : dict from shared variable to expression, for `pytensor.function`
            All that training changes: the parameters, the persistent chain, every random stream,
            and the state of the monitoring cost, such as the bit of the pseudo-likelihood.

        Raises
        ------
        TypeError, ValueError
            if an argument is not as above
        """
        self._check_training(lr, persistent, k)
        chain_end, updates = self.negative_phase(persistent, k)
        gradients = self.gradients(self.negative_particles(chain_end))
        updates |= gradient_descent(self.params, gradients, self.with_input_check(lr))
        monitoring_cost = self.monitoring_cost(chain_end, persistent, updates)
        return monitoring_cost, stream_updates([monitoring_cost, *updates.values()]) | updates

    def _check_training(self, lr, persistent, k):
        check_learning_rate("lr", lr)
        check_symbolic_count("k", k, of="step of the chain")
        for i, param in enumerate(self.params):
            check_shared(f"params[{i}]", param)
        updated = list(self.params)
        if persistent is not None:
            self.check_persistent(persistent)
            updated.append(persistent)
        if len(set(updated)) < len(updated):
            raise ValueError(
                f"params, persistent: a variable can be updated only once, not twice: {updated}"
            )
