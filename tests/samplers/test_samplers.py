"""Tempered and clamped chains against sums over all states.

Wherever samples are counted, each frequency must lie within 4.5 standard errors of its exact
probability: with the seeds that are fixed here, a correct program that had drawn other numbers
would fail a comparison with probability 7e-6.
"""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from cases import mostly_slow
from enumeration import EnumeratedRBM

from rbm_sym import RBM, gibbs_chain
from rbm_sym.samplers import ParallelTempering, TemperedRBM, clamped

PYTHON = "FAST_COMPILE"
# In this mode too, PyTensor looks for a BLAS to link C programs with, which pip does not bring.
pytestmark = pytest.mark.filterwarnings("ignore:PyTensor could not link to a BLAS")
N_CHAINS = 20_000


def assert_frequencies(samples, probabilities):
    """Rows of `samples`, binary vectors, are distributed over `all_states` as said."""
    probabilities = np.asarray(probabilities)
    index = samples.astype(int) @ (2 ** np.arange(samples.shape[1])[::-1])
    found = np.bincount(index, minlength=len(probabilities)) / len(samples)
    error = np.sqrt(probabilities * (1 - probabilities) / len(samples))
    assert (np.abs(found - probabilities) <= 4.5 * error).all(), (found, probabilities)


@pytest.fixture
def exact_and_rbm(double, make_rbm):
    rbm = make_rbm(n_visible=3, n_hidden=2)
    return EnumeratedRBM.of(rbm), rbm


def tempered_joint(rbm, base_vbias, beta):
    """p_β(v, h) over all states, and log Z_β, by the definition."""
    exact = EnumeratedRBM.of(rbm)
    base = (exact.visible @ base_vbias)[:, None]
    log_weights = (1 - beta) * base - beta * exact.energy
    log_Z = np.logaddexp.reduce(log_weights, axis=None)
    return np.exp(log_weights - log_Z), log_Z


BASE_VBIAS = np.array([0.3, -0.7, 1.1])


def test_a_clamped_chain_samples_the_rest(exact_and_rbm):
    exact, rbm = exact_and_rbm
    held = np.array([True, False, False])
    values = np.array([1.0, 0, 0])
    # Half of the chains start at either end: 40 steps later this is forgotten.
    start = np.repeat([[0.0, 0, 0], [0, 1, 1]], N_CHAINS // 2, axis=0)
    outputs, updates = gibbs_chain(clamped(rbm.gibbs_vhv, held, values), start, 40)
    assert len(outputs) == 6
    v = pytensor.function([], outputs[-1][-1], updates=updates, mode=PYTHON)()
    assert (v[:, 0] == 1).all()
    assert_frequencies(v, np.where(exact.visible[:, 0] == 1, exact.p_visible, 0) /
                       exact.p_visible[exact.visible[:, 0] == 1].sum())  # fmt: skip


def test_what_is_held_may_differ_from_chain_to_chain(exact_and_rbm):
    """A step that returns one variable; a mask and values of the state's shape, symbolic ones."""
    _, rbm = exact_and_rbm
    held, values = pt.matrix("held", dtype="bool"), pt.imatrix("values")
    step = clamped(lambda v: rbm.gibbs_vhv(v)[-1], held, values)
    states, updates = gibbs_chain(step, pt.zeros((4, 3)), 5)
    run = pytensor.function([held, values], states, updates=updates, mode=PYTHON)
    mask = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1]], dtype=bool)
    ones = np.ones((4, 3), dtype="int32")
    assert run(mask, ones)[:, mask].all() and not run(mask, 0 * ones)[:, mask].any()
    assert len(np.unique(run(mask, ones)[:, ~mask])) == 2


@pytest.mark.slow
def test_what_is_held_may_be_drawn_in_the_same_graph(exact_and_rbm):
    """Said to be the same at every step, it is; and the first step already sees it."""
    _, rbm = exact_and_rbm
    held = np.array([True, True, False])
    values = rbm.theano_rng.binomial(size=(4, 3), p=0.5, dtype="float64")
    step = clamped(lambda v: [v, rbm.gibbs_vhv(v)[-1]], held, values)
    outputs, updates = gibbs_chain(step, np.full((4, 3), 7.0), 3, non_sequences=[held, values])
    run = pytensor.function([], [values, *outputs], updates=updates, mode=PYTHON)
    drawn, before, after = run()
    assert (before[:, :, held] == drawn[:, held]).all()
    assert (after[:, :, held] == drawn[:, held]).all()


@pytest.mark.parametrize("beta", mostly_slow([0.35, 0.0, 1.0]))
def test_the_tempered_weights_and_their_slope(exact_and_rbm, beta):
    exact, rbm = exact_and_rbm
    tempered = TemperedRBM(rbm, BASE_VBIAS)
    joint, log_Z = tempered_joint(rbm, BASE_VBIAS, beta)
    log_weight = tempered.log_weight(pt.as_tensor(exact.visible), beta)
    np.testing.assert_allclose(log_weight.eval(mode=PYTHON) - log_Z, np.log(joint.sum(axis=1)))

    pairs = [np.repeat(exact.visible, 4, axis=0), np.tile(exact.hidden, (8, 1))]
    slope = tempered.slope(*map(pt.as_tensor, pairs)).eval(mode=PYTHON)
    above, below = (tempered_joint(rbm, BASE_VBIAS, beta + d) for d in (1e-6, -1e-6))
    expected = (np.log(above[0]) + above[1] - np.log(below[0]) - below[1]) / 2e-6
    np.testing.assert_allclose(slope, expected.ravel(), atol=1e-8)


def test_the_tempered_chain_leaves_its_distribution(exact_and_rbm):
    """A column of temperatures, one for each chain: from exact samples, still exact 3 steps on."""
    exact, rbm = exact_and_rbm
    tempered = TemperedRBM(rbm, BASE_VBIAS)
    betas = [0.3, 0.8]
    rng = np.random.RandomState(1)
    p_visible = [tempered_joint(rbm, BASE_VBIAS, beta)[0].sum(axis=1) for beta in betas]
    start = np.concatenate([exact.visible[rng.choice(8, N_CHAINS, p=p)] for p in p_visible])
    column = np.repeat(betas, N_CHAINS)[:, None]
    states, updates = gibbs_chain(
        lambda v: tempered.sample_v_given_h(tempered.sample_h_given_v(v, column), column), start, 3
    )
    v = pytensor.function([], states[-1], updates=updates, mode=PYTHON)()
    assert_frequencies(v[:N_CHAINS], p_visible[0])
    assert_frequencies(v[N_CHAINS:], p_visible[1])


BETAS = np.array([0.1, 0.5, 1.0])


def test_parallel_tempering_leaves_the_product_of_all_temperatures(exact_and_rbm):
    """Exact and independent samples at each temperature, still so after two steps with trades."""
    exact, rbm = exact_and_rbm
    model = ParallelTempering(rbm, BETAS, BASE_VBIAS)
    rng = np.random.RandomState(2)
    joints = [tempered_joint(rbm, BASE_VBIAS, beta)[0] for beta in BETAS]
    p_hidden = [joint.sum(axis=0) for joint in joints]
    start = np.stack([exact.hidden[rng.choice(4, N_CHAINS, p=p)] for p in p_hidden])
    outputs, updates = gibbs_chain(model.transition, pytensor.shared(start), 2)
    run = pytensor.function([], [output[-1] for output in outputs], updates=updates, mode=PYTHON)
    swap_rates, v, h = run()
    assert v.shape == (3, N_CHAINS, 3) and h.shape == (3, N_CHAINS, 2)
    for i in range(3):
        pairs = np.concatenate([v[i], h[i]], axis=1)
        assert_frequencies(pairs, joints[i].ravel())
    everyone = np.concatenate(h, axis=1)
    assert_frequencies(everyone, np.einsum("i,j,k->ijk", *p_hidden).ravel())

    # How often neighbours trade, by the definition: E[min(1, p(swapped) / p(as they are))].
    log_joints = [np.log(joint).ravel() for joint in joints]
    for i in range(2):
        a, b = log_joints[i], log_joints[i + 1]
        ratio = a[None, :] + b[:, None] - a[:, None] - b[None, :]
        rate = (np.exp(a[:, None] + b[None, :]) * np.exp(np.minimum(0, ratio))).sum()
        error = np.sqrt(rate * (1 - rate) / N_CHAINS)
        assert abs(swap_rates[i] - rate) < 4.5 * error, (i, swap_rates, rate)


@pytest.mark.parametrize("floatX", mostly_slow(["float64", "float32"]), indirect=True)
def test_parallel_tempering_is_trained_like_any_model(floatX):
    rbm = RBM(n_visible=5, n_hidden=4)
    model = ParallelTempering(rbm, BETAS)
    chain = model.new_chain(6)
    cost, updates = model.get_cost_updates(lr=0.1, persistent=chain, k=2)
    assert {*rbm.params, chain, model.swap_rates, *rbm.theano_rng.states[1:]} <= set(updates)
    train = pytensor.function([rbm.input], cost, updates=updates, mode=PYTHON)
    W = rbm.W.get_value()
    data = np.random.RandomState(3).randint(2, size=(7, 5)).astype(floatX)
    assert np.isfinite([train(data) for _ in range(3)]).all()
    assert chain.get_value().shape == (3, 6, 4) and 0 < chain.get_value().mean() < 1
    assert (rbm.W.get_value() != W).any() and rbm.W.dtype == floatX
    assert model.swap_rates.get_value().shape == (2,) and model.swap_rates.get_value().min() > 0


def test_two_temperatures_and_one_chain(double):
    rbm = RBM(n_visible=5, n_hidden=4)
    model = ParallelTempering(rbm, [0, 1])
    chain = model.new_chain(1)
    _, updates = model.get_cost_updates(lr=0.1, persistent=chain, k=1)
    train = pytensor.function([rbm.input], updates=updates, mode=PYTHON)
    for _ in range(3):
        train(np.ones((2, 5)))
    assert model.swap_rates.get_value() in ([0.0], [1.0])
    assert chain.get_value().shape == (2, 1, 4)


def test_parallel_tempering_from_the_data(double):
    """CD too: every temperature starts at the hidden sample of the positive phase."""
    rbm = RBM(n_visible=5, n_hidden=4)
    model = ParallelTempering(rbm, BETAS)
    chain_end, updates = model.negative_phase(k=3)
    particles = model.negative_particles(chain_end)
    run = pytensor.function([rbm.input], particles, updates=updates, mode=PYTHON)
    assert run(np.ones((7, 5))).shape == (7, 5)


def test_wrong_arguments_are_named(double):
    class OtherRBM(RBM):
        def free_energy(self, v_sample):
            return 2 * super().free_energy(v_sample)

    rbm = RBM(n_visible=5, n_hidden=4)
    cases = [
        (lambda: clamped(rbm.gibbs_vhv, [0, 2], 1), TypeError, "held: a boolean mask"),
        (lambda: TemperedRBM(None), TypeError, "rbm: an RBM is needed, not NoneType"),
        (lambda: TemperedRBM(OtherRBM()), TypeError, "rbm: .*binary units.* free_energy of its"),
        (lambda: TemperedRBM(rbm, np.zeros(4)), ValueError, "base_vbias: .*shape"),
        (lambda: ParallelTempering(rbm, [0, 2]), ValueError, "inverse_temperatures: .*not"),
        (lambda: ParallelTempering(rbm, [1.0]), ValueError, "inverse_temperatures: two or more"),
        (lambda: ParallelTempering(rbm, [0.5, 0.2, 1]), ValueError, "inverse_temperatures: .*0.2"),
        (lambda: ParallelTempering(rbm, "x"), TypeError, "inverse_temperatures: .*'x'"),
        (lambda: ParallelTempering(rbm, BETAS).new_chain(0), ValueError, "n_chains: .*not 0"),
        (lambda: ParallelTempering(rbm, BETAS).get_cost_updates(
            persistent=pytensor.shared(np.zeros((2, 6, 4)))), ValueError, "persistent: .*shape"),
    ]  # fmt: skip
    for call, error, message in cases:
        with pytest.raises(error, match=message) as caught:
            call()
        assert "\n" not in str(caught.value)
