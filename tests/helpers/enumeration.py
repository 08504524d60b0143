"""Restricted Boltzmann machines and stacks of them, small enough to sum over all states."""

import itertools

import numpy as np


def all_states(n_units):
    """Every binary vector of `n_units` units: (2**n_units, n_units)."""
    return np.array(list(itertools.product([0.0, 1.0], repeat=n_units)))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


class EnumeratedRBM:
    """The exact joint distribution of an RBM: rows visible states, columns hidden states."""

    def __init__(self, W, hbias, vbias):
        self.visible = all_states(len(vbias))
        self.hidden = all_states(len(hbias))
        self.energy = -(
            (self.visible @ vbias)[:, None]
            + (self.hidden @ hbias)[None, :]
            + self.visible @ W @ self.hidden.T
        )
        weights = np.exp(-self.energy)
        self.Z = weights.sum()
        self.joint = weights / self.Z
        self.p_visible = self.joint.sum(axis=1)
        self.p_hidden = self.joint.sum(axis=0)

    @classmethod
    def of(cls, rbm):
        return cls(*(param.get_value().astype("float64") for param in rbm.params))

    def mean_log_likelihood(self, v):
        index = v.astype(int) @ (2 ** np.arange(v.shape[1])[::-1])
        return np.log(self.p_visible[index]).mean()


def p_visible_of_stack(rbms):
    """p(v) of a deep belief network, from the RBMs (EnumeratedRBM) of its layers upwards."""
    p = rbms[-1].p_visible
    for rbm in rbms[-2::-1]:
        p = (rbm.joint / rbm.p_hidden) @ p
    return p
