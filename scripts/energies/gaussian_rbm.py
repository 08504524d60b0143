"""A restricted Boltzmann machine for real-valued data: Gaussian visible units, binary hidden ones.

    E(v, h) = Σ_j (v_j - b_j)² / (2 σ_j²) - c'h - Σ_j (v_j / σ_j²) (W h)_j

(Cho, Ilin and Raiko 2011). Given h, unit j is normal with mean (b + W h)_j and variance σ_j². Given
v, hidden unit i is 1 with probability sigmoid(c + (v / σ²)'W)_i. So the scale of W, and the right
learning rate, depend on that of the data: standardise the data first, or take a smaller rate.
"""

import argparse

import numpy as np
import pytensor
import pytensor.tensor as pt

from rbm_sym import RBM, EnergyModel, load_data
from rbm_sym.logistic import sigmoid, softplus


class GaussianRBM(RBM):
    """Arguments as for `RBM`; `input` is real-valued.

    log_variance : shared floatX vector (n_visible,), log σ²; None makes zeros
    learn_variance : whether log σ² is one of `params`
    """

    def __init__(self, *args, log_variance=None, learn_variance=True, **kwargs):
        super().__init__(*args, **kwargs)
        if log_variance is None:
            zeros = np.zeros(self.n_visible, dtype=pytensor.config.floatX)
            log_variance = pytensor.shared(zeros, name="log_variance")
        self.log_variance = log_variance
        if learn_variance:
            self.params = [*self.params, log_variance]

    def energy(self, v_sample, h_sample):
        """E(v, h), (batch,)."""
        pre_sigmoid_h, _ = self.propup(v_sample)
        return self._distance(v_sample) - pt.sum(h_sample * pre_sigmoid_h, axis=1)

    def free_energy(self, v_sample):
        """F(v) = Σ_j (v_j - b_j)² / (2 σ_j²) - Σ_i log(1 + exp(c_i + ((v / σ²)'W)_i)), (batch,)."""
        pre_sigmoid_h, _ = self.propup(v_sample)
        return self._distance(v_sample) - pt.sum(softplus(pre_sigmoid_h), axis=1)

    def propup(self, vis):
        """[c + (v / σ²)'W, its sigmoid], both (batch, n_hidden)."""
        pre_sigmoid_h = pt.dot(vis * pt.exp(-self.log_variance), self.W) + self.hbias
        return [pre_sigmoid_h, sigmoid(pre_sigmoid_h)]

    def propdown(self, hid):
        """[b + W h, the same], the mean of the visible units; there is no sigmoid."""
        mean = pt.dot(hid, self.W.T) + self.vbias
        return [mean, mean]

    def sample_v_given_h(self, h0_sample):
        """[mean, mean, sample] of the visible units, given the hidden ones."""
        _, v1_mean = self.propdown(h0_sample)
        noise = self.theano_rng.normal(size=v1_mean.shape, dtype=pytensor.config.floatX)
        return [v1_mean, v1_mean, v1_mean + pt.exp(self.log_variance / 2) * noise]

    def _distance(self, v_sample):
        squares = pt.sqr(v_sample - self.vbias)
        return pt.sum(squares * pt.exp(-self.log_variance), axis=1) / 2

    # The RBM's monitoring costs are for binary data.
    monitoring_cost = EnergyModel.monitoring_cost


def main():
    """Learn digits as real numbers, and print the share of variance that reconstruction leaves."""
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    (train_x, _), _, _ = load_data("digits")
    pictures = train_x.get_value()
    # Most pixels at the rim are always 0. With a standard deviation of at least 0.1, their noise is
    # not enlarged.
    scale = np.maximum(pictures.std(axis=0), 0.1)
    data = pytensor.shared((pictures - pictures.mean(axis=0)) / scale)
    index = pt.lscalar("index")
    rbm = GaussianRBM(input=data[index * 20 : (index + 1) * 20], n_visible=784, n_hidden=200)
    rbm.W.set_value(rbm.W.get_value() / 10)
    chain = pytensor.shared(np.zeros((20, 200), dtype=pytensor.config.floatX), name="chain")
    _, updates = rbm.get_cost_updates(lr=0.001, persistent=chain, k=1)
    _, mean, _ = rbm.sample_v_given_h(rbm.propup(rbm.input)[1])
    error = pt.mean(pt.sqr(rbm.input - mean)) / pt.mean(pt.sqr(data))
    train = pytensor.function([index], error, updates=updates)
    for epoch in range(10):
        errors = [train(i) for i in range(500)]
        print(f"epoch {epoch}: variance left by the reconstruction {np.mean(errors):.3f}")
    print(f"standard deviations learnt: {np.exp(rbm.log_variance.get_value() / 2).mean():.2f}")


if __name__ == "__main__":
    pytensor.config.floatX = "float32"
    main()
