"""The RBM against sums over all its states, and against the tutorial run by hand in NumPy."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from cases import mostly_slow
from enumeration import EnumeratedRBM, all_states, sigmoid

from rbm_sym import RBM, MRG_RandomStreams, RandomStreams, gibbs_chain

# The mathematics is checked with PyTensor's Python implementations, which need no compilation;
# test_training.py compiles.
PYTHON = "FAST_COMPILE"


def evaluate(outputs, givens=None):
    return pytensor.function([], outputs, givens=givens or {}, mode=PYTHON)()


@pytest.fixture
def exact(double, make_rbm):
    rbm = make_rbm()
    return rbm, EnumeratedRBM.of(rbm)


def test_attributes_and_initial_values_are_the_tutorials(floatX):
    rbm = RBM()
    assert (rbm.n_visible, rbm.n_hidden) == (784, 500)
    assert rbm.params == [rbm.W, rbm.hbias, rbm.vbias]
    assert [param.name for param in rbm.params] == ["W", "hbias", "vbias"]
    assert isinstance(rbm.theano_rng, MRG_RandomStreams)

    rng = np.random.RandomState(1234)
    assert rbm.theano_rng.default_instance_seed == rng.randint(2**30)
    bound = 4 * np.sqrt(6.0 / 1284)
    expected = rng.uniform(low=-bound, high=bound, size=(784, 500)).astype(floatX)
    assert np.array_equal(rbm.W.get_value(), expected)
    assert rbm.W.get_value().dtype == floatX
    assert not rbm.hbias.get_value().any() and not rbm.vbias.get_value().any()
    assert rbm.hbias.get_value().shape == (500,) and rbm.vbias.get_value().shape == (784,)


def test_given_parameters_and_generators_are_used(double):
    W = pytensor.shared(np.ones((4, 3)))
    hbias = pytensor.shared(np.ones(3))
    vbias = pytensor.shared(np.ones(4))
    x = pt.matrix()
    streams = RandomStreams(5)
    rbm = RBM(x, 4, 3, W, hbias, vbias, np.random.RandomState(0), streams)
    assert rbm.input is x and rbm.theano_rng is streams
    assert rbm.params == [W, hbias, vbias]


def test_energy_is_that_of_the_enumerated_model(exact):
    rbm, model = exact
    v, h = np.repeat(model.visible, 8, axis=0), np.tile(model.hidden, (16, 1))
    energy = evaluate(rbm.energy(pt.as_tensor(v), pt.as_tensor(h)))
    np.testing.assert_allclose(energy, model.energy.ravel(), rtol=1e-12, atol=1e-12)


def test_free_energy_is_minus_the_log_sum_over_hidden_states(exact):
    rbm, model = exact
    free_energy = evaluate(rbm.free_energy(pt.as_tensor(model.visible)))
    expected = -np.log(np.exp(-model.energy).sum(axis=1))
    np.testing.assert_allclose(free_energy, expected, rtol=1e-12)


def test_propup_and_propdown_are_the_conditionals_of_the_joint_distribution(exact):
    rbm, model = exact
    h_given_v = model.joint / model.p_visible[:, None]
    v_given_h = model.joint / model.p_hidden[None, :]
    up = evaluate(rbm.propup(pt.as_tensor(model.visible)))
    down = evaluate(rbm.propdown(pt.as_tensor(model.hidden)))
    np.testing.assert_allclose(up[1], h_given_v @ model.hidden, rtol=1e-12)
    np.testing.assert_allclose(down[1], v_given_h.T @ model.visible, rtol=1e-12)
    np.testing.assert_allclose(sigmoid(up[0]), up[1], rtol=1e-12)
    np.testing.assert_allclose(sigmoid(down[0]), down[1], rtol=1e-12)


def test_gradient_with_exact_particles_is_that_of_the_log_likelihood(exact):
    """Sum over p(v) in place of the chain: minus the gradient of the exact log-likelihood."""
    rbm, model = exact
    data = model.visible[[1, 3, 3, 14]]
    p = pt.as_tensor(model.p_visible)
    cost = pt.mean(rbm.free_energy(pt.as_tensor(data))) - pt.dot(
        p, rbm.free_energy(pt.as_tensor(model.visible))
    )
    gradients = evaluate(pt.grad(cost, rbm.params))

    step = 1e-6
    for param, gradient in zip(rbm.params, gradients, strict=True):
        value = param.get_value()
        slopes = np.empty_like(value)
        for index in np.ndindex(value.shape):
            ends = []
            for sign in (1, -1):
                moved = value.copy()
                moved[index] += sign * step
                param.set_value(moved)
                ends.append(EnumeratedRBM.of(rbm).mean_log_likelihood(data))
            slopes[index] = (ends[0] - ends[1]) / (2 * step)
        param.set_value(value)
        np.testing.assert_allclose(gradient, -slopes, atol=1e-8)


def test_grad_of_cost_is_the_classical_rule_for_binary_units(exact):
    """dF/dW = -v P(h=1|v)', dF/dc = -P(h=1|v), dF/db = -v; the particles are held constant."""
    rbm, _ = exact
    rng = np.random.RandomState(0)
    data, particles = rng.rand(5, 4), rng.randint(2, size=(6, 4)).astype(float)
    rbm.input = pt.as_tensor(data)
    negative = pt.as_tensor(particles)
    gradients = evaluate(pt.grad(rbm.cost(negative), rbm.params, consider_constant=[negative]))

    W, hbias, _ = (param.get_value() for param in rbm.params)
    h_data, h_particles = sigmoid(data @ W + hbias), sigmoid(particles @ W + hbias)
    expected = [
        particles.T @ h_particles / 6 - data.T @ h_data / 5,
        h_particles.mean(axis=0) - h_data.mean(axis=0),
        particles.mean(axis=0) - data.mean(axis=0),
    ]
    for gradient, by_hand in zip(gradients, expected, strict=True):
        np.testing.assert_allclose(gradient, by_hand, rtol=1e-10, atol=1e-14)


def test_step_is_the_visible_sample_of_a_gibbs_step(double, make_rbm):
    v = np.ones((5, 4))
    results = []
    for draw in (lambda rbm: rbm.step(v), lambda rbm: rbm.gibbs_vhv(v)[-1]):
        results.append(pytensor.function([], draw(make_rbm()), mode=PYTHON)())
    assert np.array_equal(*results)


def test_pseudo_likelihood_over_all_bits_is_exact(exact):
    """Over one round of the bit index, the mean is Σ_i log P(v_i | v without i)."""
    rbm, model = exact
    data = model.visible[[2, 7, 9]]
    rbm.input = pt.as_tensor(data)
    updates = {}
    cost = rbm.get_pseudo_likelihood_cost(updates)
    ((bit, _),) = updates.items()
    cost = pytensor.function([], cost, updates=updates, mode=PYTHON)
    costs = [float(cost()) for _ in range(4)]
    assert bit.get_value() == 0, "the index must be back at the first bit"

    index = data.astype(int) @ [8, 4, 2, 1]
    log_conditionals = 0
    for i in range(4):
        flipped = index ^ (8 >> i)
        p, q = model.p_visible[index], model.p_visible[flipped]
        log_conditionals += np.log(p / (p + q))
    np.testing.assert_allclose(np.mean(costs), log_conditionals.mean(), rtol=1e-12)


def test_pseudo_likelihood_rounds_half_to_even(double, make_rbm):
    rbm = make_rbm()
    costs = []
    for grey in (0.5, 0.0):
        rbm.input = pt.as_tensor(np.full((1, 4), grey))
        costs.append(evaluate(rbm.get_pseudo_likelihood_cost({})))
    assert costs[0] == costs[1]


def test_reconstruction_cost_is_the_cross_entropy(double, make_rbm):
    rng = np.random.RandomState(0)
    v, pre_sigmoid = rng.rand(5, 4), rng.normal(size=(5, 4))
    rbm = make_rbm(input=pt.as_tensor(v))
    cost = evaluate(rbm.get_reconstruction_cost({}, pt.as_tensor(pre_sigmoid)))
    q = sigmoid(pre_sigmoid)
    expected = (v * np.log(q) + (1 - v) * np.log(1 - q)).sum(axis=1).mean()
    np.testing.assert_allclose(cost, expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("mode", "floatX"),
    mostly_slow([(PYTHON, "float32"), (PYTHON, "float64"), (None, "float32")], n_quick=2),
)
def test_nothing_overflows_at_large_activations(floatX, make_rbm, mode):
    with pytensor.config.change_flags(floatX=floatX):
        check_nothing_overflows(floatX, make_rbm, mode)


def check_nothing_overflows(floatX, make_rbm, mode):
    rbm = make_rbm(n_visible=2, n_hidden=2)
    rbm.W.set_value(np.array([[3e4, -3e4], [3e4, -3e4]], dtype=floatX))
    v = np.array([[1, 1], [0, 1]], dtype=floatX)
    rbm.input = pt.as_tensor(v)
    outputs = [
        rbm.free_energy(rbm.input),
        rbm.get_pseudo_likelihood_cost({}),
        rbm.get_reconstruction_cost({}, rbm.propup(rbm.input)[0]),
        *pt.grad(pt.sum(rbm.free_energy(rbm.input)), rbm.params),
    ]
    for value in pytensor.function([], outputs, mode=mode)():
        assert np.isfinite(value).all()
        assert value.dtype == floatX


@pytest.mark.parametrize("streams", [RandomStreams, MRG_RandomStreams])
@pytest.mark.parametrize("start_layer", ["visible", "hidden"])
def test_gibbs_steps_leave_the_distribution_unchanged(double, make_rbm, streams, start_layer):
    """Chains that start exactly at p stay there.

    The counts of 20,000 independent chains over the model's states are compared with p by
    Pearson's chi-square, at a false-alarm probability of 1e-6 for each of the 12 comparisons.
    """
    from scipy.stats import chisquare

    rbm = make_rbm(streams=streams)
    model = EnumeratedRBM.of(rbm)
    if start_layer == "visible":
        step, states, p = rbm.gibbs_vhv, model.visible, model.p_visible
    else:
        step, states, p = rbm.gibbs_hvh, model.hidden, model.p_hidden
    n_chains = 20_000
    drawn = np.random.RandomState(11).choice(len(p), size=n_chains, p=p)
    chains = pytensor.shared(states[drawn])
    outputs, updates = gibbs_chain(step, chains, n_steps=1)
    updates[chains] = outputs[-1][-1]
    advance = pytensor.function([], updates=updates, mode=PYTHON)
    powers = 2 ** np.arange(states.shape[1])[::-1]
    for _ in range(3):
        advance()
        counts = np.bincount((chains.get_value() @ powers).astype(int), minlength=len(p))
        assert chisquare(counts, n_chains * p).pvalue > 1e-6


def test_samples_of_the_model(double, make_rbm):
    """Chains that start exactly at p(v) stay there, and the means that are shown are P(v = 1).

    The counts of 20,000 independent chains over all states are compared with their probabilities by
    Pearson's chi-square, at a false-alarm probability of 1e-6.
    """
    from scipy.stats import chisquare

    rbm, n_chains = make_rbm(), 20_000
    model = EnumeratedRBM.of(rbm)
    drawn = np.random.RandomState(5).choice(len(model.visible), size=n_chains, p=model.p_visible)
    chains = pytensor.shared(model.visible[drawn])
    outputs, updates = rbm.sample(chains, n_steps=2)
    means, samples = pytensor.function([], outputs, updates=updates, mode=PYTHON)()
    np.testing.assert_array_equal(chains.get_value(), samples)
    powers = 2 ** np.arange(rbm.n_visible)[::-1]
    counts = np.bincount((samples @ powers).astype(int), minlength=len(model.visible))
    assert chisquare(counts, n_chains * model.p_visible).pvalue > 1e-6
    error = means.std(axis=0) / np.sqrt(n_chains)
    assert (np.abs(means.mean(axis=0) - model.p_visible @ model.visible) < 5 * error).all()
    assert set(updates) == {chains, *rbm.theano_rng.states}
    with pytest.raises(TypeError, match="chains: a shared floatX matrix of 4 columns"):
        rbm.sample(pt.matrix("chains"))
    with pytest.raises(ValueError, match="n_steps"):
        rbm.sample(chains, 0)


def test_sample_results_have_the_tutorials_order_and_dtype(floatX, make_rbm):
    rbm = make_rbm()
    v = pt.as_tensor(all_states(4).astype(floatX))
    h = pt.as_tensor(all_states(3).astype(floatX))
    for results, widths in [
        (rbm.sample_h_given_v(v), [3]),
        (rbm.sample_v_given_h(h), [4]),
        (rbm.gibbs_hvh(h), [4, 3]),
        (rbm.gibbs_vhv(v), [3, 4]),
    ]:
        values = evaluate(results)
        assert len(values) == 3 * len(widths)
        for i, width in enumerate(widths):
            pre_sigmoid, mean, sample = values[3 * i : 3 * i + 3]
            assert {x.shape[1] for x in (pre_sigmoid, mean, sample)} == {width}
            assert {str(x.dtype) for x in (pre_sigmoid, mean, sample)} == {floatX}
            np.testing.assert_allclose(mean, sigmoid(pre_sigmoid), rtol=1e-5)
            assert set(np.unique(sample)) <= {0, 1}


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (dict(n_visible=0), ValueError, "n_visible: .*not 0"),
        (dict(n_hidden=0), ValueError, "n_hidden: .*not 0"),
        (dict(n_hidden=2.5), TypeError, "n_hidden: .*not 2.5"),
        (dict(W=np.zeros((4, 3))), TypeError, "W: .*pytensor.shared"),
        (dict(W=pytensor.shared(np.zeros((3, 4)))), ValueError, r"W: .*\(4, 3\).*\(3, 4\)"),
        (dict(W=pytensor.shared(np.zeros(4))), ValueError, "W: .*1 dimension"),
        (dict(W=pytensor.shared(np.zeros((4, 3), "float32"))), TypeError, "W: .*float64"),
        (dict(hbias=pytensor.shared(np.zeros(4))), ValueError, r"hbias: .*\(3,\).*\(4,\)"),
        (dict(vbias=pytensor.shared(np.zeros(4, "int64"))), TypeError, "vbias: .*float64"),
        (dict(input=pt.imatrix()), TypeError, "input: .*float64"),
        (dict(input=pt.vector(dtype="float64")), ValueError, "input: .*1 dimension"),
        (dict(numpy_rng=np.random.default_rng(0)), TypeError, "numpy_rng: .*RandomState"),
        (dict(theano_rng=np.random.RandomState(0)), TypeError, "theano_rng: MRG_RandomStreams"),
    ],
)
def test_bad_constructor_arguments(double, arguments, error, message):
    with pytest.raises(error, match=message) as caught:
        RBM(**{"n_visible": 4, "n_hidden": 3, **arguments})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (dict(k=0), ValueError, "k: .*not 0"),
        (dict(k=1.0), TypeError, "k: .*not 1.0"),
        (dict(k=True), TypeError, "k: .*not True"),
        (dict(k=pt.dscalar()), TypeError, "k: "),
        (dict(k=pt.constant(0)), ValueError, "k: .*not 0"),
        (dict(lr=True), TypeError, "lr: .*not True"),
        (dict(lr=10**400), ValueError, "lr: .*not 1000"),
        (dict(lr=pt.constant(-1.0)), ValueError, "lr: .*not -1.0"),
        (dict(lr=pt.zscalar()), TypeError, "lr: a scalar"),
        (dict(lr=0), ValueError, "lr: .*not 0"),
        (dict(lr=-0.1), ValueError, "lr: .*not -0.1"),
        (dict(lr=float("nan")), ValueError, "lr: .*not nan"),
        (dict(lr=float("inf")), ValueError, "lr: .*not inf"),
        (dict(lr="0.1"), TypeError, "lr: .*'0.1'"),
        (dict(lr=pt.vector()), TypeError, "lr: a scalar"),
        (dict(persistent=np.zeros((2, 3))), TypeError, "persistent: .*pytensor.shared"),
        (dict(persistent=pt.dmatrix()), TypeError, "persistent: .*pytensor.shared"),
        (dict(persistent=pytensor.shared(np.zeros(3))), ValueError, "persistent: .*1 dim"),
        (dict(persistent=pytensor.shared(np.zeros((2, 4)))), ValueError, r"persistent: .*\(2, 4\)"),
        (dict(persistent=pytensor.shared(np.zeros((2, 3), "float32"))), TypeError, "persistent"),
    ],
)
def test_bad_arguments_of_get_cost_updates(double, make_rbm, arguments, error, message):
    with pytest.raises(error, match=message) as caught:
        make_rbm().get_cost_updates(**arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("floatX", "lr"), [("float32", 1e-50), ("float32", 1e39)], indirect=["floatX"]
)
def test_a_learning_rate_that_floatX_cannot_hold_is_refused(floatX, make_rbm, lr):  # noqa: N802
    with pytest.raises(ValueError, match=r"lr: .*in float32, not 1e[-+]"):
        make_rbm().get_cost_updates(lr=lr)


def test_a_variable_that_would_be_updated_twice_is_refused(double):
    rbm = RBM(n_visible=3, n_hidden=3)
    with pytest.raises(ValueError, match="updated only once"):
        rbm.get_cost_updates(persistent=rbm.W)
    bias = pytensor.shared(np.zeros(3))
    with pytest.raises(ValueError, match="updated only once"):
        RBM(n_visible=3, n_hidden=3, hbias=bias, vbias=bias).get_cost_updates()


def test_a_parameter_that_is_no_shared_variable_is_named(double):
    W = pytensor.shared(np.zeros((3, 4)))
    rbm = RBM(n_visible=4, n_hidden=3, W=W.T)
    with pytest.raises(TypeError, match=r"params\[0\]: a shared variable is needed"):
        rbm.get_cost_updates()
