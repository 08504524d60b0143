"""The base of energy-based models, on a model that is no RBM."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest

from rbm_sym import EnergyModel, RandomStreams

PYTHON = "FAST_COMPILE"


class IndependentBits(EnergyModel):
    """F(v) = -b'v, sampled without regard to the state before; it owes the base no __init__."""

    def __init__(self):
        self.input = pt.dmatrix("data")
        self.bias = pytensor.shared(np.array([0.5, -1.0, 2.0]), name="bias")
        self.params = [self.bias]
        self.rng = RandomStreams(4)

    def free_energy(self, v):
        return -pt.dot(v, self.bias)

    def step(self, v):
        p = pt.sigmoid(self.bias) + pt.zeros_like(v)
        return self.rng.binomial(size=p.shape, p=p, dtype="float64")


DATA = np.array([[0, 1, 1], [1, 1, 0], [1, 0, 0], [1, 1, 1.0]])


@pytest.mark.parametrize("persistent", [False, True])
def test_update_by_the_base_class_alone(double, persistent):
    """Particles as NumPy draws them; the gradient of F is -v, so b moves by lr (data - model)."""
    model = IndependentBits()
    chain = pytensor.shared(np.zeros((5, 3)), name="chain") if persistent else None
    cost, updates = model.get_cost_updates(lr=0.2, persistent=chain, k=2)
    train = pytensor.function([model.input], cost, updates=updates, mode=PYTHON)
    expected_keys = {model.bias, *model.rng.states} | ({chain} if persistent else set())
    assert type(updates) is dict and set(updates) == expected_keys

    numpys = np.random.RandomState(np.random.RandomState(4).randint(2**30))
    n_particles = 5 if persistent else 4
    bias = model.bias.get_value()
    for _ in range(3):
        p = np.broadcast_to(1 / (1 + np.exp(-bias)), (n_particles, 3))
        numpys.binomial(1, p)
        particles = numpys.binomial(1, p)
        expected_cost = -(DATA @ bias).mean() + (particles @ bias).mean()
        np.testing.assert_allclose(train(DATA), expected_cost, rtol=1e-12)
        bias = bias + 0.2 * (DATA.mean(axis=0) - particles.mean(axis=0))
        np.testing.assert_allclose(model.bias.get_value(), bias, rtol=1e-12)
        if persistent:
            assert np.array_equal(chain.get_value(), particles)


def test_random_input_is_part_of_the_state_of_training(double):
    """Grey levels taken as probabilities: the stream that draws the input is updated too."""
    model = IndependentBits()
    pictures = pytensor.shared(np.full((4, 3), 0.5))
    drawing = RandomStreams(9)
    model.input = drawing.binomial(size=pictures.shape, p=pictures, dtype="float64")
    _, updates = model.get_cost_updates()
    assert {*drawing.states, *model.rng.states, model.bias} == set(updates)


def test_symbolic_learning_rate_and_k(double):
    model = IndependentBits()
    lr, k = pt.dscalar(), pt.lscalar()
    cost, updates = model.get_cost_updates(lr=lr, k=k)
    train = pytensor.function([model.input, lr, k], cost, updates=updates, mode=PYTHON)
    before = model.bias.get_value()
    train(DATA, 0.0, 3)
    assert np.array_equal(model.bias.get_value(), before)
    train(DATA, 0.1, 1)
    assert not np.array_equal(model.bias.get_value(), before)


def test_missing_methods_and_wrong_arguments_are_named(double):
    model = IndependentBits()
    with pytest.raises(TypeError, match="persistent: a shared variable is needed"):
        model.get_cost_updates(persistent=np.zeros((4, 3)))
    model.params = [model.bias * 2]
    with pytest.raises(TypeError, match=r"params\[0\]: a shared variable is needed"):
        model.get_cost_updates()
    with pytest.raises(NotImplementedError, match=r"EnergyModel must define free_energy\(v\)"):
        EnergyModel().free_energy(None)
    with pytest.raises(NotImplementedError, match=r"EnergyModel must define step\(v\)"):
        EnergyModel().step(None)


@pytest.mark.parametrize(
    ("unusable", "message"),
    [
        (np.zeros((0, 3)), "input: a minibatch of at least 1 example is needed"),
        (np.where(np.eye(3, dtype=bool), np.nan, DATA[:3]), "input: .*infinite or undefined"),
        (np.where(np.eye(3, dtype=bool), -np.inf, DATA[:3]), "input: .*infinite or undefined"),
    ],
)
def test_nothing_is_learnt_from_an_unusable_minibatch(double, make_rbm, unusable, message):
    rbm = make_rbm(n_visible=3)
    cost, updates = rbm.get_cost_updates(lr=0.1, k=2)
    train = pytensor.function([rbm.input], cost, updates=updates)
    train(DATA)
    before = [param.get_value() for param in rbm.params]
    with pytest.raises(ValueError, match=message):
        train(unusable)
    for param, value in zip(rbm.params, before, strict=True):
        np.testing.assert_array_equal(param.get_value(), value)
    assert np.isfinite(train(DATA))
