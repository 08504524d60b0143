"""A free energy that does not come from hidden units: a small network, sampled by Langevin steps.

    F(v) = |v|² / (2 s²) - Σ_i a_i log(1 + exp(c_i + (v'W)_i))

With all a_i = 1, this would be the free energy of an RBM with Gaussian visible units. With other a,
there is no layer of hidden units to sample. But the gradient of F is enough. A step goes down along
it, with noise. It is accepted or not, so that exp(-F(v)) / Z stays unchanged (Rossky, Doll and
Friedman 1978; Roberts and Tweedie 1996).
"""

import argparse

import numpy as np
import pytensor
import pytensor.tensor as pt

from rbm_sym import EnergyModel, MRG_RandomStreams
from rbm_sym.logistic import softplus


class NetworkEnergy(EnergyModel):
    """Real-valued visible units.

    input : symbolic floatX matrix (batch, n_visible)
    scale : number above 0, s; far beyond it, the first term outweighs the network
    step_size : number above 0, ε: the proposal is v - ε²/2 dF/dv + ε noise. The larger it is, the
        fewer proposals are accepted
    """

    def __init__(self, input, n_visible, n_hidden, scale=3.0, step_size=0.15, seed=1):
        floatX = pytensor.config.floatX
        rng = np.random.RandomState(seed)
        self.input = input
        self.W = pytensor.shared(rng.normal(size=(n_visible, n_hidden)).astype(floatX), name="W")
        self.hbias = pytensor.shared(np.zeros(n_hidden, dtype=floatX), name="hbias")
        self.slopes = pytensor.shared(np.zeros(n_hidden, dtype=floatX), name="slopes")
        self.params = [self.W, self.hbias, self.slopes]
        self.scale = np.asarray(scale, dtype=floatX)
        self.step_size = np.asarray(step_size, dtype=floatX)
        self.theano_rng = MRG_RandomStreams(seed)

    def free_energy(self, v_sample):
        """F(v), (batch,)."""
        hidden_term = pt.dot(softplus(pt.dot(v_sample, self.W) + self.hbias), self.slopes)
        return pt.sum(pt.sqr(v_sample / self.scale), axis=1) / 2 - hidden_term

    def step(self, v_sample):
        """A Metropolis-adjusted Langevin step."""
        floatX = pytensor.config.floatX
        noise = self.theano_rng.normal(size=v_sample.shape, dtype=floatX)
        proposal = self._drift(v_sample) + self.step_size * noise
        log_ratio = self._log_rate(proposal, v_sample) - self._log_rate(v_sample, proposal)
        uniform = self.theano_rng.uniform(size=log_ratio.shape, dtype=floatX)
        accepted = pt.log(uniform) < log_ratio
        return pt.switch(accepted[:, None], proposal, v_sample)

    def _drift(self, v_sample):
        gradient = pt.grad(pt.sum(self.free_energy(v_sample)), v_sample)
        return v_sample - self.step_size**2 / 2 * gradient

    def _log_rate(self, start, end):
        """log(exp(-F(start)) p(end | start)) up to a constant; p is the density of the proposal."""
        distance = pt.sum(pt.sqr(end - self._drift(start)), axis=1)
        return -self.free_energy(start) - distance / (2 * self.step_size**2)


def main():
    """Learn points on a ring in the plane."""
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    floatX = pytensor.config.floatX
    rng = np.random.RandomState(1)
    angle, radius = rng.uniform(0, 2 * np.pi, 1000), rng.normal(2.5, 0.5, 1000)
    ring = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).astype(floatX)
    model = NetworkEnergy(pt.as_tensor(ring), n_visible=2, n_hidden=50)
    chain = pytensor.shared(rng.normal(size=(1000, 2)).astype(floatX), name="chain")
    _, updates = model.get_cost_updates(lr=0.3, persistent=chain, k=20)
    train = pytensor.function([], updates=updates)
    for n_updates in range(1, 1501):
        train()
        if n_updates % 300 == 0:
            radii = np.hypot(*chain.get_value().T)
            print(f"after {n_updates} updates: radius {radii.mean():.2f} ± {radii.std():.2f}")
    radii_of_data = np.hypot(*ring.T)
    print(f"of the data: radius {radii_of_data.mean():.2f} ± {radii_of_data.std():.2f}")


if __name__ == "__main__":
    pytensor.config.floatX = "float32"
    main()
