"""Compiled training against the tutorial's algorithm written out in NumPy, and recorded Theano."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from cases import mostly_slow
from enumeration import sigmoid

from rbm_sym import RBM, MRG_RandomStreams

K = 15  # as in the tutorial; a number is part of the compiled code, so one serves all tests
LEARNING_RATE = 0.1
BATCH_SIZE = 4
N_CHAINS = 7  # not the batch's size: nothing says that it must be


class NumpyTutorial:
    """CD-k and PCD-k of the tutorial, with NumPy's generators drawn from in Theano's order."""

    def __init__(self, W, hbias, vbias, streams_seed, chain=None):
        self.W, self.hbias, self.vbias = W.copy(), hbias.copy(), vbias.copy()
        self.chain = chain
        self.bit = 0
        seeds = np.random.RandomState(streams_seed)
        self.positive, self.visible, self.hidden = (
            np.random.RandomState(seeds.randint(2**30)) for _ in range(3)
        )

    def free_energy(self, v):
        return -v @ self.vbias - np.logaddexp(0, v @ self.W + self.hbias).sum(axis=1)

    def update(self, x, k):
        h = self.chain
        if h is None:
            h = self.positive.binomial(1, sigmoid(x @ self.W + self.hbias))
        for _ in range(k):
            pre_sigmoid = h @ self.W.T + self.vbias
            v = self.visible.binomial(1, sigmoid(pre_sigmoid))
            h = self.hidden.binomial(1, sigmoid(v @ self.W + self.hbias))
        if self.chain is None:
            cost = self.reconstruction_cost(x, pre_sigmoid)
        else:
            self.chain = h
            cost = self.pseudo_likelihood(x)
        h_data, h_model = sigmoid(x @ self.W + self.hbias), sigmoid(v @ self.W + self.hbias)
        self.W += LEARNING_RATE * (x.T @ h_data / len(x) - v.T @ h_model / len(v))
        self.hbias += LEARNING_RATE * (h_data.mean(axis=0) - h_model.mean(axis=0))
        self.vbias += LEARNING_RATE * (x.mean(axis=0) - v.mean(axis=0))
        return cost

    def pseudo_likelihood(self, x):
        x = np.round(x)
        flipped = x.copy()
        flipped[:, self.bit] = 1 - flipped[:, self.bit]
        difference = self.free_energy(flipped) - self.free_energy(x)
        self.bit = (self.bit + 1) % x.shape[1]
        return (x.shape[1] * np.log(sigmoid(difference))).mean()

    def reconstruction_cost(self, x, pre_sigmoid):
        q = sigmoid(pre_sigmoid)
        return (x * np.log(q) + (1 - x) * np.log(1 - q)).sum(axis=1).mean()


@pytest.mark.parametrize(
    ("floatX", "algorithm"),
    mostly_slow(
        [("float32", "pcd"), ("float64", "cd"), ("float32", "cd"), ("float64", "pcd")], n_quick=2
    ),
    indirect=["floatX"],
)
def test_training_is_the_tutorials_algorithm(floatX, make_rbm, algorithm):
    """Parameters, costs, and the persistent chain: the hidden sample of the last visible one."""
    rbm = make_rbm(n_visible=6, n_hidden=5)
    data = np.random.RandomState(0).rand(5 * BATCH_SIZE, 6).astype(floatX)
    chain = None
    if algorithm == "pcd":
        chain = pytensor.shared(np.zeros((N_CHAINS, 5), dtype=floatX))
    cost, updates = rbm.get_cost_updates(lr=LEARNING_RATE, persistent=chain, k=K)
    train = pytensor.function([rbm.input], cost, updates=updates)
    assert cost.dtype == floatX

    by_hand = NumpyTutorial(
        *(param.get_value().astype("float64") for param in rbm.params),
        streams_seed=rbm.theano_rng.default_instance_seed,
        chain=None if chain is None else chain.get_value(),
    )
    tolerance = 1e-4 if floatX == "float32" else 1e-10
    for i in range(0, len(data), BATCH_SIZE):
        batch = data[i : i + BATCH_SIZE]
        expected_cost = by_hand.update(batch.astype("float64"), K)
        np.testing.assert_allclose(train(batch), expected_cost, rtol=tolerance)
        for param, value in zip(rbm.params, (by_hand.W, by_hand.hbias, by_hand.vbias), strict=True):
            np.testing.assert_allclose(param.get_value(), value, rtol=tolerance, atol=tolerance)
        if chain is not None:
            assert np.array_equal(chain.get_value(), by_hand.chain)


@pytest.mark.parametrize("algorithm", mostly_slow(["pcd", "cd"]))
def test_the_updates_are_the_whole_state_of_training(double, make_rbm, algorithm):
    """Set every key back, and the same updates follow again."""
    rbm = make_rbm(n_visible=6, n_hidden=5)
    chain = pytensor.shared(np.zeros((N_CHAINS, 5))) if algorithm == "pcd" else None
    cost, updates = rbm.get_cost_updates(lr=LEARNING_RATE, persistent=chain, k=K)
    train = pytensor.function([rbm.input], cost, updates=updates)
    batch = np.random.RandomState(0).rand(BATCH_SIZE, 6)
    train(batch)
    saved = {variable: variable.get_value() for variable in updates}
    expected = [train(batch) for _ in range(3)]
    for variable, value in saved.items():
        variable.set_value(value)
    assert [train(batch) for _ in range(3)] == expected

    streams_drawn = 2 if algorithm == "pcd" else 3
    streams = [variable for variable in updates if variable in rbm.theano_rng.states]
    assert type(updates) is dict and len(streams) == streams_drawn
    counted = [variable for variable in updates if variable.name == "bit_i_idx"]
    assert len(counted) == (1 if algorithm == "pcd" else 0)
    assert len(updates) == 3 + streams_drawn + 2 * len(counted)


def test_a_layer_shared_with_a_network_is_trained(double):
    """As in a deep belief network: W and hbias belong to a sigmoid layer, lr is symbolic."""
    rng = np.random.RandomState(0)
    W, bias = pytensor.shared(rng.normal(size=(6, 5))), pytensor.shared(np.zeros(5))
    x, lr = pt.matrix("x"), pt.scalar("lr")
    layer_output = pt.sigmoid(pt.dot(x, W) + bias)
    streams = MRG_RandomStreams(3)
    rbm = RBM(input=x, n_visible=6, n_hidden=5, W=W, hbias=bias, numpy_rng=rng, theano_rng=streams)
    cost, updates = rbm.get_cost_updates(lr, persistent=None, k=1)
    train = pytensor.function([x, lr], cost, updates=updates, mode="FAST_COMPILE")
    network = pytensor.function([x], layer_output, mode="FAST_COMPILE")
    batch = rng.rand(BATCH_SIZE, 6)
    before = network(batch)
    train(batch, 0.5)
    assert not np.allclose(network(batch), before)
    propup = pytensor.function([x], rbm.propup(x)[1], mode="FAST_COMPILE")
    np.testing.assert_array_equal(network(batch), propup(batch))
