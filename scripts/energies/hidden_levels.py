"""Restricted Boltzmann machines whose hidden units take other values than 0 and 1.

With the RBM's energy, E(v, h) = -b'v - c'h - v'Wh, and any set of values for each h_i,

    F(v) = -b'v - Σ_i log Σ_{h_i} exp(h_i (c_i + (v'W)_i)),    P(h_i | v) = softmax(h_i (c + v'W)_i)

The values {0, 1} give the binary RBM, {-1, 1} spins, and {0, ..., m} units that count (Teh and
Hinton 2001).
"""

import argparse

import numpy as np
import pytensor
import pytensor.tensor as pt

from rbm_sym import RBM, load_data
from rbm_sym.samplers import draw_index


class HiddenLevelsRBM(RBM):
    """Arguments as for `RBM`.

    levels : the values that a hidden unit can take, such as (-1, 1) or range(4)
    """

    def __init__(self, *args, levels, **kwargs):
        super().__init__(*args, **kwargs)
        self.levels = np.asarray(levels, dtype=pytensor.config.floatX)

    def free_energy(self, v_sample):
        """F(v), (batch,)."""
        log_weights = self._log_weights(pt.dot(v_sample, self.W) + self.hbias)
        hidden_term = pt.sum(pt.logsumexp(log_weights, axis=2), axis=1)
        return -pt.dot(v_sample, self.vbias) - hidden_term

    def propup(self, vis):
        """[c + v'W, the mean of the hidden units], both (batch, n_hidden)."""
        activation = pt.dot(vis, self.W) + self.hbias
        return [activation, pt.dot(self._probabilities(activation), self.levels)]

    def sample_h_given_v(self, v0_sample):
        """[c + v'W, mean, sample] of the hidden units, given the visible ones."""
        activation, h1_mean = self.propup(v0_sample)
        index = draw_index(self.theano_rng, self._probabilities(activation))
        return [activation, h1_mean, pt.as_tensor(self.levels)[index]]

    def _probabilities(self, activation):
        return pt.special.softmax(self._log_weights(activation), axis=2)

    def _log_weights(self, activation):
        """h_i (c + v'W)_i for each level, (batch, n_hidden, levels)."""
        return activation[:, :, None] * self.levels


def main():
    """Learn digits with units that are -1 or 1, and with units that count."""
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    (train_x, _), _, _ = load_data("digits")
    index = pt.lscalar("index")
    for levels in [(-1, 1), range(4)]:
        rbm = HiddenLevelsRBM(
            input=pt.round(train_x[index * 20 : (index + 1) * 20]),
            n_visible=784, n_hidden=100, levels=levels,
        )  # fmt: skip
        cost, updates = rbm.get_cost_updates(lr=0.02, k=1)
        train = pytensor.function([index], cost, updates=updates)
        for epoch in range(3):
            costs = [train(i) for i in range(500)]
            print(f"levels {list(levels)}, epoch {epoch}: reconstruction cost {np.mean(costs):.1f}")


if __name__ == "__main__":
    pytensor.config.floatX = "float32"
    main()
