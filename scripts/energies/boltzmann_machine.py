"""A Boltzmann machine without hidden units: every visible unit is linked to every other.

    E(v) = -b'v - Σ_{j<k} v_j W_jk v_k,    P(v_j = 1 | all others) = sigmoid(b_j + (W + W')_j v)

(Ackley, Hinton and Sejnowski 1985). The units are sampled one after the other, each given all
others. So each step of the chain, a sweep, contains a chain over the units: a scan within a scan.
"""

import argparse
import itertools

import numpy as np
import pytensor
import pytensor.tensor as pt

from rbm_sym import EnergyModel, MRG_RandomStreams, gibbs_chain
from rbm_sym.logistic import sigmoid


class BoltzmannMachine(EnergyModel):
    """Units that are 0 or 1. Only the weights above the diagonal of W are used.

    input : symbolic floatX matrix (batch, n_visible)
    """

    def __init__(self, input, n_visible, seed=1):
        floatX = pytensor.config.floatX
        self.input = input
        self.n_visible = n_visible
        self.W = pytensor.shared(np.zeros((n_visible, n_visible), dtype=floatX), name="W")
        self.vbias = pytensor.shared(np.zeros(n_visible, dtype=floatX), name="vbias")
        self.params = [self.W, self.vbias]
        self.theano_rng = MRG_RandomStreams(seed)

    def free_energy(self, v_sample):
        """E(v), (batch,): there is nothing to sum over."""
        interaction = pt.sum(pt.dot(v_sample, pt.triu(self.W, 1)) * v_sample, axis=1)
        return -pt.dot(v_sample, self.vbias) - interaction

    def step(self, v_sample):
        """A sweep over all units."""
        links = pt.triu(self.W, 1)
        links = links + links.T

        def visit(v_sample, j):
            mean = sigmoid(self.vbias[j] + pt.dot(v_sample, links[j]))
            drawn = self.theano_rng.binomial(size=mean.shape, p=mean, dtype=v_sample.dtype)
            return pt.set_subtensor(v_sample[:, j], drawn)

        samples, _ = gibbs_chain(visit, v_sample, sequences=[pt.arange(self.n_visible)])
        return samples[-1]


def main():
    """Learn all pictures of 3 × 3 pixels whose rows are equal or whose columns are equal."""
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    states = np.array(list(itertools.product([0, 1], repeat=9)), dtype=pytensor.config.floatX)
    square = states.reshape(-1, 3, 3)
    alike = [
        (square == square[:, :1]).all(axis=(1, 2)),
        (square == square[:, :, :1]).all(axis=(1, 2)),
    ]
    data = states[alike[0] | alike[1]]
    machine = BoltzmannMachine(pt.as_tensor(data), n_visible=9)
    chain = pytensor.shared(np.tile(data, (10, 1)), name="chain")
    _, updates = machine.get_cost_updates(lr=0.2, persistent=chain, k=1)
    train = pytensor.function([], updates=updates)
    log_Z = pt.logsumexp(-machine.free_energy(states))
    log_likelihood = pytensor.function([], pt.mean(-machine.free_energy(data)) - log_Z)
    print(f"{len(data)} pictures; best possible mean log-likelihood {-np.log(len(data)):.3f}")
    for n_updates in range(1, 1501):
        train()
        if n_updates % 300 == 0:
            print(f"after {n_updates} updates: exact mean log-likelihood {log_likelihood():.3f}")


if __name__ == "__main__":
    pytensor.config.floatX = "float32"
    main()
