"""The recipe for likelihood against its own algorithm in NumPy."""

import numpy as np
import pytensor
import pytensor.tensor as pt
from enumeration import sigmoid

from rbm_sym.recipe import WEIGHT_DECAY, cost_and_updates, initialize

SEED = 7
N_UPDATES = 80
LEARNING_RATE = 0.5


def test_updates(double, make_rbm):
    """Centers, decay, falling rate and averages, with the particles that NumPy draws."""
    rbm = make_rbm(n_visible=4, n_hidden=3, seed=SEED)
    data = np.random.RandomState(1).randint(2, size=(6, 4)).astype("float64")
    initialize(rbm, data, np.random.RandomState(2))
    chain = pytensor.shared(np.ones((5, 3)), name="chain")
    rbm.input = pt.as_tensor(data)
    cost, updates, averages = cost_and_updates(rbm, chain, 1, LEARNING_RATE, N_UPDATES)
    assert {*rbm.theano_rng.states[1:], *rbm.params, *averages, chain} <= set(updates)
    update = pytensor.function([], cost, updates=updates, mode="FAST_COMPILE")

    seeds = np.random.RandomState(np.random.RandomState(SEED).randint(2**30))
    _, visible, hidden = (np.random.RandomState(seeds.randint(2**30)) for _ in range(3))
    W, c, b = mean_params = [param.get_value() for param in rbm.params]
    mu, lam, h = sigmoid(b), np.full(3, 0.5), np.ones((5, 3))
    np.testing.assert_allclose(mu, data.mean(axis=0).clip(0.001, 0.999))
    for t in range(5):
        assert np.isfinite(update())
        v = visible.binomial(1, sigmoid(h @ W.T + b))
        h = hidden.binomial(1, sigmoid(v @ W + c))
        h_data, h_model = sigmoid(data @ W + c), sigmoid(v @ W + c)
        # Descending, so model less data; each difference from the centers.
        grad_W = (v - mu).T @ (h_model - lam) / 5 - (data - mu).T @ (h_data - lam) / 6
        grad_c = h_model.mean(axis=0) - h_data.mean(axis=0) - mu @ grad_W
        grad_b = v.mean(axis=0) - data.mean(axis=0) - grad_W @ lam
        mu = 0.99 * mu + 0.01 * (data.mean(axis=0) + v.mean(axis=0)) / 2
        lam = 0.99 * lam + 0.01 * (h_data.mean(axis=0) + h_model.mean(axis=0)) / 2
        rate = LEARNING_RATE * (1 - t / N_UPDATES)
        W, c, b = W - rate * (grad_W + WEIGHT_DECAY * W), c - rate * grad_c, b - rate * grad_b
        # Over the last 40th of all updates, which are two here.
        mean_params = [(old + new) / 2 for old, new in zip(mean_params, (W, c, b), strict=True)]
        for found, expected in zip([*rbm.params, *averages], [W, c, b, *mean_params], strict=True):
            np.testing.assert_allclose(found.get_value(), expected, rtol=1e-9, atol=1e-12)
