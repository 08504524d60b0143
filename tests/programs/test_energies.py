"""The example energies, each against a sum over all its states, an integral or a closed form.

Wherever samples are counted, each mean must lie within 4.5 standard errors of its exact value: with
the seeds that are fixed here, a correct program that had drawn other numbers would fail a
comparison with probability 7e-6.
"""

import ast
import itertools
import re

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from boltzmann_machine import BoltzmannMachine
from cases import mostly_slow
from enumeration import all_states, sigmoid
from gaussian_rbm import GaussianRBM
from hidden_levels import HiddenLevelsRBM
from langevin import NetworkEnergy
from one_hot_rbm import OneHotRBM, one_hot
from programs import ROOT, check_refusal, run

from rbm_sym import RBM, gibbs_chain

PYTHON = "FAST_COMPILE"
# In this mode too, PyTensor looks for a BLAS to link C programs with, which pip does not bring.
pytestmark = [
    pytest.mark.usefixtures("double"),
    pytest.mark.filterwarnings("ignore:PyTensor could not link to a BLAS"),
]
ENERGIES = ROOT / "scripts" / "energies"
N_CHAINS = 20_000
N_STEPS = 3


def randomize(model, seed=5):
    rng = np.random.RandomState(seed)
    for param in model.params:
        param.set_value(rng.normal(size=param.get_value().shape))
    return [param.get_value() for param in model.params]


def value(expression):
    return pytensor.function([], expression, mode=PYTHON)()


def after_steps(step, start, n_steps=N_STEPS):
    """The last result of a chain's last step."""
    outputs, updates = gibbs_chain(step, pytensor.shared(start), n_steps)
    outputs = outputs if isinstance(outputs, list) else [outputs]
    return pytensor.function([], outputs[-1][-1], updates=updates, mode=PYTHON)()


def assert_means(values, expected, squares):
    """The mean over rows of `values` is `expected`; `squares` are the means of their squares."""
    error = np.sqrt((squares - np.square(expected)) / len(values))
    assert (np.abs(values.mean(axis=0) - expected) <= 4.5 * error).all()


def assert_states(samples, states, probabilities):
    """Each of the states occurs as often as it should, and no other does."""
    indicators = (samples[:, None, :] == states).all(axis=2)
    assert indicators.any(axis=1).all(), "a state that cannot be"
    assert_means(indicators, probabilities, probabilities)


def draw(rng, states, probabilities):
    return states[rng.choice(len(states), N_CHAINS, p=probabilities)]


def normalized(log_weights):
    log_Z = np.logaddexp.reduce(log_weights)
    return np.exp(log_weights - log_Z), log_Z


# Gaussian visible units: given h they are normal, so v is a mixture of 2^n_hidden normals.


@pytest.fixture
def gaussian():
    rbm = GaussianRBM(n_visible=2, n_hidden=3)
    return rbm, *randomize(rbm)


def mixture(W, hbias, vbias, log_variance):
    """The weights, means and variances of its components, and log Z = log ∫ exp(-F(v)) dv."""
    h, variance = all_states(3), np.exp(log_variance)
    means = vbias + h @ W.T
    log_weights = h @ hbias + ((means**2 - vbias**2) / (2 * variance)).sum(axis=1)
    weights, log_sum = normalized(log_weights)
    return weights, means, variance, log_sum + np.log(2 * np.pi * variance).sum() / 2


def test_gaussian_free_energy_is_that_of_a_mixture_of_normals(gaussian):
    rbm, *params = gaussian
    weights, means, variance, log_Z = mixture(*params)
    v = np.random.RandomState(1).normal(scale=3, size=(50, 2))
    distances = np.square(v[:, None] - means) / variance + np.log(2 * np.pi * variance)
    expected = np.log(np.exp(-distances.sum(axis=2) / 2) @ weights)
    np.testing.assert_allclose(-value(rbm.free_energy(pt.as_tensor(v))) - log_Z, expected)


def test_gaussian_hidden_units_follow_from_the_energy(gaussian):
    """exp(-E) summed over h is exp(-F), and its ratio for h_i = 1 and 0 is the odds of h_i."""
    rbm, *_ = gaussian
    v = np.random.RandomState(1).normal(scale=3, size=(1, 2))
    h = all_states(3)
    energy = value(rbm.energy(pt.as_tensor(np.repeat(v, 8, axis=0)), pt.as_tensor(h)))
    p_hidden, log_sum = normalized(-energy)
    np.testing.assert_allclose(log_sum, -value(rbm.free_energy(pt.as_tensor(v)))[0])
    np.testing.assert_allclose(p_hidden @ h, value(rbm.propup(pt.as_tensor(v))[1])[0])


def test_gaussian_chain_leaves_the_mixture(gaussian):
    rbm, *params = gaussian
    weights, means, variance, _ = mixture(*params)
    rng = np.random.RandomState(2)
    start = draw(rng, means, weights) + np.sqrt(variance) * rng.normal(size=(N_CHAINS, 2))
    v = after_steps(rbm.gibbs_vhv, start)
    moments = [weights @ (means**n) for n in range(5)]
    mean = moments[1]
    square = moments[2] + variance
    fourth = moments[4] + 6 * variance * moments[2] + 3 * variance**2
    assert_means(v, mean, square)
    assert_means(v**2, square, fourth)
    product = v[:, 0] * v[:, 1]
    assert_means(product, weights @ means.prod(axis=1),
                 weights @ (means**2 + variance).prod(axis=1))  # fmt: skip


def test_gaussian_gradient(gaussian):
    """The gradient of the exact mean log-likelihood, by differences, from exact particles.

    The means of 50 groups of particles have an error that their own spread tells: 5.5 standard
    errors of a mean of 50 are left with probability 1e-6.
    """
    rbm, *params = gaussian
    weights, means, variance, _ = mixture(*params)
    data = np.random.RandomState(3).normal(size=(6, 2))

    def log_likelihood(*values):
        for param, value in zip(rbm.params, values, strict=True):
            param.set_value(value)
        return -free_energy(data).mean() - mixture(*values)[-1]

    particles = pt.dmatrix("particles")
    free_energy = pytensor.function([particles], rbm.free_energy(particles), mode=PYTHON)
    rbm.input = pt.as_tensor(data)
    gradients = pytensor.function([particles], rbm.gradients(particles), mode=PYTHON)
    rng = np.random.RandomState(4)
    groups = []
    for _ in range(50):
        v = draw(rng, means, weights) + np.sqrt(variance) * rng.normal(size=(N_CHAINS, 2))
        groups.append(gradients(v))
    for i, of_groups in enumerate(zip(*groups, strict=True)):
        of_groups = np.array(of_groups)
        error = of_groups.std(axis=0, ddof=1) / np.sqrt(50)
        for place in np.ndindex(params[i].shape):
            moved = [[p.copy() for p in params] for _ in range(2)]
            moved[0][i][place] += 1e-5
            moved[1][i][place] -= 1e-5
            expected = -(log_likelihood(*moved[0]) - log_likelihood(*moved[1])) / 2e-5
            found = of_groups.mean(axis=0)[place]
            assert abs(found - expected) < 5.5 * error[place] + 1e-8, (i, place)


def test_gaussian_training_with_fixed_and_learnt_variances():
    data = np.random.RandomState(1).normal(loc=3, scale=0.5, size=(100, 2))
    for learn_variance in (False, True):
        rbm = GaussianRBM(n_visible=2, n_hidden=2, learn_variance=learn_variance)
        _, updates = rbm.get_cost_updates(lr=0.05, k=1)
        assert (rbm.log_variance in updates) == learn_variance
        train = pytensor.function([rbm.input], updates=updates, mode=PYTHON)
        for _ in range(200):
            train(data)
        deviations = np.exp(rbm.log_variance.get_value() / 2)
        # A variance of 1 is where it stays, or comes from on its way to that of the data.
        assert (abs(deviations - (0.5 if learn_variance else 1)) < 0.1).all(), deviations


# The Boltzmann machine without hidden units.


def test_boltzmann_machine():
    machine = BoltzmannMachine(pt.dmatrix("x"), n_visible=4)
    W, vbias = randomize(machine)
    v = all_states(4)
    pairs = [(j, k) for j in range(4) for k in range(j + 1, 4)]
    expected = -v @ vbias - sum(W[j, k] * v[:, j] * v[:, k] for j, k in pairs)
    np.testing.assert_allclose(value(machine.free_energy(pt.as_tensor(v))), expected)
    p, _ = normalized(-expected)
    rng = np.random.RandomState(2)
    assert_states(after_steps(machine.step, draw(rng, v, p), 2), v, p)
    # And from elsewhere it gets there.
    assert_states(after_steps(machine.step, np.zeros((N_CHAINS, 4)), 40), v, p)


# One-hot groups.


@pytest.fixture
def groups():
    """Two binary units, a group of three and one of two: 24 visible states."""
    rbm = OneHotRBM(n_visible=7, n_hidden=2, group_sizes=[3, 2])
    parts = [all_states(2), np.eye(3), np.eye(2)]
    states = np.array([np.concatenate(rows) for rows in itertools.product(*parts)])
    return rbm, states, *randomize(rbm)


def test_one_hot_chain(groups):
    rbm, v, W, hbias, vbias = groups
    h = all_states(2)
    joint = (v @ vbias)[:, None] + h @ hbias + v @ W @ h.T
    log_p = np.logaddexp.reduce(joint, axis=1)
    np.testing.assert_allclose(-value(rbm.free_energy(pt.as_tensor(v))), log_p)
    p, _ = normalized(log_p)
    means = np.exp(joint - np.logaddexp.reduce(joint, axis=0)).T @ v
    np.testing.assert_allclose(value(rbm.propdown(pt.as_tensor(h))[1]), means)
    assert_states(after_steps(rbm.gibbs_vhv, draw(np.random.RandomState(2), v, p)), v, p)


def test_the_label_of_lowest_free_energy_is_the_most_probable(groups):
    rbm, v, *_ = groups
    others = v[::2, :5]
    found = value(rbm.label_free_energies(pt.as_tensor(others)))
    expected = value(rbm.free_energy(pt.as_tensor(v))).reshape(12, 2)
    np.testing.assert_allclose(found, expected)


def test_more_units_in_groups_than_there_are():
    with pytest.raises(ValueError, match="group_sizes: at most the 4 visible units, not 6"):
        OneHotRBM(n_visible=4, n_hidden=2, group_sizes=[3, 3])


def test_one_hot():
    assert one_hot(pt.as_tensor([2, 0]), 3).eval().tolist() == [[0, 0, 1], [1, 0, 0]]


# A network's free energy and Langevin steps: integrals over a grid in the plane.


def test_langevin_steps_leave_the_distribution():
    model = NetworkEnergy(pt.dmatrix("x"), n_visible=2, n_hidden=3, scale=1.0, step_size=1.2)
    W, hbias, slopes = randomize(model)
    spacing = 0.02
    line = np.arange(-7, 7, spacing) + spacing / 2
    grid = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
    free_energy = np.square(grid).sum(axis=1) / 2 - np.logaddexp(0, grid @ W + hbias) @ slopes
    np.testing.assert_allclose(value(model.free_energy(pytensor.shared(grid))), free_energy)
    p, _ = normalized(-free_energy)
    rng = np.random.RandomState(2)
    start = draw(rng, grid, p) + rng.uniform(-spacing / 2, spacing / 2, (N_CHAINS, 2))
    v = after_steps(model.step, start)
    moved = (v != start).any(axis=1).mean()
    assert 0.3 < moved < 1, "some proposals are accepted and some are not"
    for values in (lambda x: x, np.square, lambda x: x[:, :1] * x[:, 1:], lambda x: x > 0.5):
        on_grid = values(grid)
        assert_means(values(v), p @ on_grid, p @ np.square(on_grid, dtype="float64"))


# Hidden units of other levels.


@pytest.mark.parametrize("levels", mostly_slow([[-1, 1], [0, 1, 2], [0, 1]]))
def test_hidden_levels(levels):
    rbm = HiddenLevelsRBM(n_visible=3, n_hidden=2, levels=levels)
    W, hbias, vbias = randomize(rbm)
    v, h = all_states(3), np.array(list(itertools.product(levels, repeat=2)), dtype="float64")
    joint = (v @ vbias)[:, None] + h @ hbias + v @ W @ h.T
    log_p = np.logaddexp.reduce(joint, axis=1)
    free_energy = value(rbm.free_energy(pt.as_tensor(v)))
    np.testing.assert_allclose(-free_energy, log_p)
    p, _ = normalized(log_p)
    means = np.exp(joint - log_p[:, None]) @ h
    np.testing.assert_allclose(value(rbm.propup(pt.as_tensor(v))[1]), means, atol=1e-12)
    rng = np.random.RandomState(2)
    pairs = np.array([np.concatenate(pair) for pair in itertools.product(v, h)])
    p_pairs, _ = normalized(joint.ravel())
    start = pytensor.shared(draw(rng, pairs, p_pairs)[:, 3:])
    steps, updates = gibbs_chain(rbm.gibbs_hvh, start, N_STEPS)
    run = pytensor.function([], [steps[2][-1], steps[5][-1]], updates=updates, mode=PYTHON)
    assert_states(np.concatenate(run(), axis=1), pairs, p_pairs)
    assert_states(after_steps(rbm.gibbs_vhv, draw(rng, v, p)), v, p)
    if levels == (0, 1):
        binary = RBM(n_visible=3, n_hidden=2, W=rbm.W, hbias=rbm.hbias, vbias=rbm.vbias)
        np.testing.assert_allclose(free_energy, value(binary.free_energy(pt.as_tensor(v))))
        np.testing.assert_allclose(means, sigmoid(v @ W + hbias))


# The programs, as they are run.


def output_of(program, *arguments):
    result = run(f"energies/{program}", *arguments, cwd=ROOT)
    assert result.returncode == 0, result.stderr
    return result.stdout


def numbers_in(output, pattern):
    return [float(number) for number in re.findall(pattern, output)]


@pytest.mark.parametrize(
    "program", mostly_slow(sorted(path.name for path in ENERGIES.glob("*.py")))
)
def test_the_programs_know_their_options(program):
    result = run(f"energies/{program}", "--help", cwd=ROOT)
    assert result.returncode == 0 and result.stderr == ""
    said = "\n".join(result.stdout.splitlines())
    (first, *_) = ast.get_docstring(ast.parse((ENERGIES / program).read_text())).splitlines()
    assert f"usage: {program} [-h]" in said and f"\n{first}\n" in said and "epoch " not in said
    result = run(f"energies/{program}", "--unknown", cwd=ROOT)
    check_refusal(result, "unrecognized arguments: --unknown")
    assert result.stdout == ""


@pytest.mark.slow
def test_the_programs_learn():
    left = numbers_in(output_of("gaussian_rbm.py"), r"reconstruction ([\d.]+)")
    assert len(left) == 10 and left == sorted(left, reverse=True) and left[-1] < 0.45

    exact = numbers_in(output_of("boltzmann_machine.py"), r"log-likelihood (-[\d.]+)")
    assert len(exact) == 6 and exact[-1] > -3.7

    radii = re.findall(r"radius ([\d.]+) ± ([\d.]+)", output_of("langevin.py"))
    learnt, of_data = np.array(radii[-2:], dtype=float)
    assert len(radii) == 6 and (np.abs(learnt - of_data) < 0.15).all()

    costs = numbers_in(output_of("hidden_levels.py"), r"cost (-[\d.]+)")
    assert len(costs) == 6 and min(costs[2], costs[5]) > -110

    errors = numbers_in(output_of("one_hot_rbm.py", "--epochs", "4"), r"error ([\d.]+) %")
    assert len(errors) == 4 and errors[-1] < 15
