"""Compiled training against the tutorial's algorithm written out in NumPy, and recorded Theano."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from enumeration import sigmoid
from rbm_sym.training import EarlyStopping, check_finite, compile_now, count_batches, run_epoch

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


@pytest.mark.parametrize("algorithm", ["pcd", "cd"])
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


@pytest.mark.parametrize("algorithm", ["pcd", "cd"])
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


def test_run_epoch_calls_every_batch_in_order():
    called, seen = [], []
    costs = run_epoch(lambda i: called.append(i) or 10.0 * i, 4, after_update=seen.append)
    assert called == [0, 1, 2, 3] and costs.tolist() == seen == [0, 10, 20, 30]


def test_divergence_stops_the_epoch():
    costs = [1.0, float("nan"), 2.0]
    with pytest.raises(FloatingPointError, match=r"minibatch 1 is nan: .*smaller learning rate"):
        run_epoch(costs.__getitem__, 3)


@pytest.mark.parametrize(("n_batches", "noticed"), [(1000, 199), (150, 149)])
def test_parameters_that_diverge_stop_the_epoch(n_batches, noticed):
    """At a look every hundred updates, or at the end, though the cost stays finite."""
    W, bias = pytensor.shared(np.zeros((2, 3)), name="W"), pytensor.shared(np.zeros(3), name="b")
    called = []

    def update(index):
        called.append(index)
        if index == 120:
            bias.set_value(np.array([0, np.inf, 0]))
        return 1.0

    with pytest.raises(FloatingPointError, match=r"b holds infinite .*smaller learning rate"):
        run_epoch(update, n_batches, watched=[W, bias])
    assert called[-1] == noticed
    with pytest.raises(FloatingPointError, match="b holds infinite"):
        check_finite([W, bias])
    check_finite([W])


def test_an_epoch_goes_on_where_it_was_left():
    costs, called = np.zeros(4), []
    costs[:2] = 7, 8
    assert run_epoch(lambda i: called.append(i) or 10.0 * i, 4, costs=costs, first=2) is costs
    assert called == [2, 3] and costs.tolist() == [7, 8, 20, 30]


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


def test_compile_now_leaves_no_trace():
    counter = pytensor.shared(np.int64(5))
    index = pt.lscalar()
    updates = {counter: counter + 1}
    update = pytensor.function([index], counter + index, updates=updates, mode="FAST_COMPILE")
    compile_now(update, updates)
    assert counter.get_value() == 5
    without_arguments = pytensor.function([], counter, updates=updates, mode="FAST_COMPILE")
    compile_now(without_arguments, updates, arguments=())
    assert counter.get_value() == 5


@pytest.mark.parametrize(
    ("batch_size", "error", "message"),
    [
        (0, ValueError, "batch_size: .*not 0"),
        (101, ValueError, "batch_size: at most .*100, not 101"),
        (2.0, TypeError, "batch_size: .*not 2.0"),
    ],
)
def test_bad_batch_sizes(batch_size, error, message):
    with pytest.raises(error, match=message):
        count_batches(100, batch_size)


def test_the_incomplete_batch_is_left_out():
    assert [count_batches(100, size) for size in (1, 20, 30, 100)] == [100, 5, 3, 1]


def tutorials_loop(errors, n_batches, patience, increase, threshold):
    """The tutorial's early stopping, counted update by update: (best update, last update)."""
    best_error, best_update, update = np.inf, None, -1
    while True:
        update += 1
        if (update + 1) % n_batches == 0:
            if (update + 1) // n_batches > len(errors):
                return best_update, update + 1
            error = errors[(update + 1) // n_batches - 1]
            if error < best_error:
                if error < best_error * threshold:
                    patience = max(patience, update * increase)
                best_error, best_update = error, update + 1
        if patience <= update:
            return best_update, update + 1


@pytest.mark.parametrize("increase", [1.3, 2.0])
@pytest.mark.parametrize("patience", [7, 20, 40])
def test_early_stopping_is_the_tutorials(patience, increase):
    n_batches, stopped_early = 10, set()
    for seed in range(30):
        rng = np.random.RandomState(seed)
        errors = 1 / np.arange(1, 41) ** rng.rand() + 0.01 * rng.rand(40)
        stopping, best, done = EarlyStopping(patience, increase, 0.97), None, 0
        for error in errors:
            if stopping.updates_left(done) < n_batches:
                done += stopping.updates_left(done)
                break
            done += n_batches
            if stopping.is_best(done, error):
                best = done
                assert stopping.least_error == error
        expected = tutorials_loop(errors, n_batches, patience, increase, 0.97)
        if done < 400:
            assert (best, done) == expected
        stopped_early.add(done < 400)
    assert True in stopped_early


def test_an_error_that_is_no_number_is_never_the_best():
    stopping = EarlyStopping(10)
    assert not stopping.is_best(5, float("nan"))
    assert stopping.is_best(5, 0.5) and not stopping.is_best(6, 0.5)
