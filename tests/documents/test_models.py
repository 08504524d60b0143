"""The models of docs/models.md, each against sums over all its states and plain NumPy.

Free energies and likelihoods are summed in NumPy by their definitions, and differentiated there by
complex steps, which are exact to rounding: Im f(x + iε) / ε, with an ε so small that nothing is
left of its square. Updates are computed a second time in NumPy, with the same random numbers.

Where samples are counted, each mean must lie within 4.5 standard errors of its exact value: with
the seeds that are fixed here, a correct program that had drawn other numbers would fail one of the
77 comparisons with probability 5e-4.
"""

import contextlib
import copy
import pickle
from types import SimpleNamespace

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from cases import mostly_slow
from enumeration import EnumeratedRBM, all_states, sigmoid
from pages import listings
from plain import plain_function
from programs import ROOT
from pytensor.graph.basic import Variable

from rbm_sym import RBM, RandomStreams, gibbs_chain
from rbm_sym.checkpoint import set_values, values_of
from rbm_sym.likelihood import pseudo_likelihood

PAGE = ROOT / "docs" / "models.md"
LISTINGS = listings(PAGE)
N_CHAINS = 20_000
LR = 0.1


@pytest.fixture(autouse=True)
def strict(double):
    with pytensor.config.change_flags(on_opt_error="raise"):
        yield


class Session:
    """The listings, run one after another: for each name, what there was after it was made.

    The names `cost` and `updates` are used again and again. A listing waits until a name is asked
    for that it or a later one makes.
    """

    def __init__(self, folder):
        self.folder, self.left = folder, iter(LISTINGS)
        self.names, self.made = {}, {}

    def __getitem__(self, name):
        while name not in self.made:
            self.run(next(self.left))
        return self.made[name]

    def run(self, listing):
        flags = pytensor.config.change_flags(floatX="float64", on_opt_error="raise")
        with flags, contextlib.chdir(self.folder):
            exec(compile(listing, PAGE.name, "exec"), self.names)
        now = SimpleNamespace(**self.names)
        self.made |= {name: now for name in self.names if name not in self.made}


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    return Session(tmp_path_factory.mktemp("models"))


@pytest.mark.slow
def test_all_of_the_page_runs(page):
    for listing in page.left:
        page.run(listing)


@pytest.mark.slow
def test_in_float32_nothing_on_the_page_is_float64(tmp_path):
    session = {}
    with pytensor.config.change_flags(floatX="float32"), contextlib.chdir(tmp_path):
        for listing in LISTINGS:
            exec(compile(listing, PAGE.name, "exec"), session)
            variables = [value for value in session.values() if isinstance(value, Variable)]
            assert "float64" not in {variable.dtype for variable in variables}, listing


@pytest.mark.slow
def test_an_update_by_hand_learns_nothing_from_an_unusable_minibatch(page):
    names = page["learn"]
    before = values(names.rbm.params)
    with pytest.raises(ValueError, match=r"input: .*infinite or undefined"):
        names.learn(np.full((2, 4), np.nan), np.zeros((2, 4)))
    assert_close(values(names.rbm.params), before)
    names.learn(np.ones((2, 4)), np.zeros((2, 4)))
    assert not np.array_equal(names.rbm.vbias.get_value(), before[2])


# What all models need.


def randomize(params, seed=5):
    rng = np.random.RandomState(seed)
    for param in params:
        param.set_value(rng.normal(size=param.get_value().shape))
    return values(params)


def values(params):
    return [param.get_value() for param in params]


def bits(*shape, seed=3):
    return np.random.RandomState(seed).randint(2, size=shape).astype("float64")


def gradient(function, of):
    """The gradient of a real function of arrays, by complex steps."""
    gradients = [np.empty(value.shape) for value in of]
    for i, place in ((i, place) for i, value in enumerate(of) for place in np.ndindex(value.shape)):
        moved = [value.astype("complex128") for value in of]
        moved[i][place] += 1e-30j
        gradients[i][place] = function(*moved).imag / 1e-30
    return gradients


def descended(function, start):
    pairs = zip(start, gradient(function, start), strict=True)
    return [value - LR * slope for value, slope in pairs]


def assert_close(found, expected):
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-11)


def numpys(streams, updates, seed=7):
    """Seed the streams; NumPy's generators for those in `updates`, in the order of their making."""
    streams.seed(seed)
    seeds = np.random.RandomState(seed)
    generators = [np.random.RandomState(seeds.randint(2**30)) for _ in streams.states]
    pairs = zip(generators, streams.states, strict=True)
    return [generator for generator, state in pairs if state in updates]


def bernoulli(generator, mean):
    return generator.binomial(1, mean).astype("float64")


def assert_same_without_rewrites(train, inputs, cost, updates, data):
    """Three updates by the compiled function, and from the same state without the rewrites."""
    plain = plain_function(inputs, cost, updates=updates)
    start = values_of(updates)
    costs = [train(*data) for _ in range(3)]
    end = values_of(updates)
    set_values(updates, start)
    assert_close([plain(*data) for _ in range(3)], costs)
    assert_close(values_of(updates).values(), end.values())
    assert all((start[name] != end[name]).any() for name in start)


def on_and_on_together(states):
    """Which units are on, and which pairs of them are: (number, units and pairs)."""
    states = states.reshape(len(states), -1)
    first, second = np.triu_indices(states.shape[1], k=1)
    return np.concatenate([states, states[:, first] * states[:, second]], axis=1)


def assert_chain_stays(model, states, p):
    """Chains that start at samples of p, over the rows of `states`, are its samples 3 steps on."""
    chosen = np.random.RandomState(2).choice(len(states), N_CHAINS, p=p)
    start = pytensor.shared(states[chosen])
    over_time, updates = gibbs_chain(model.step, start, 3)
    end = pytensor.function([], over_time[-1], updates=updates)()
    assert (end != states[chosen]).mean() > 0.1
    expected = p @ on_and_on_together(states)
    error = np.sqrt(expected * (1 - expected) / N_CHAINS)
    found = on_and_on_together(end).mean(axis=0)
    assert (np.abs(found - expected) <= 4.5 * error).all(), (found - expected) / error


# RBMs whose weights and biases are expressions.


def minus_energy(v, W, hbias, vbias):
    """-E(v, h), rows v and columns h; the biases are vectors, or have a row for each v."""
    return np.sum(v * vbias, axis=1)[:, None] + (v @ W + hbias) @ all_states(W.shape[1]).T


def free_energy(v, W, hbias, vbias):
    return -np.log(np.sum(np.exp(minus_energy(v, W, hbias, vbias)), axis=1))


def log_partition(n_rows, W, hbias, vbias):
    """log Σ_v exp(-F(v)), for each row of the biases."""
    batches = [np.tile(state, (n_rows, 1)) for state in all_states(len(W))]
    return np.log(sum(np.exp(-free_energy(v, W, hbias, vbias)) for v in batches))


def memories_before(frames, d, V, U):
    memories = [np.zeros(2)]
    for frame in frames[:-1]:
        memories.append(np.tanh(d + frame @ V + memories[-1] @ U))
    return np.array(memories)


def of_sequence(W, hbias, vbias, A, B, d, V, U, frames):
    before = memories_before(frames, d, V, U)
    return W, hbias + before @ B, vbias + before @ A


MASK = np.array([[1, 1, 0], [1, 1, 0], [0, 1, 1], [0, 1, 1]])

# From the values of `params` and the data: W, hbias and vbias.
ARRANGED = {
    "masked": lambda A, hbias, vbias, v: (A * MASK, hbias, vbias),
    "tied": lambda w, hbias, vbias, v: (
        np.array([[w[j - i + 2] for i in range(3)] for j in range(4)]),
        hbias,
        vbias,
    ),
    "low_rank": lambda L, R, hbias, vbias, v: (L @ R, hbias, vbias),
    "conditional": lambda W, hbias, vbias, A, B, v, u: (W, hbias + u @ B, vbias + u @ A),
    "rnn_rbm": of_sequence,
}


def under_each_condition(names, model, condition):
    """F of each state, (rows, states), with a row for each of the condition."""
    W, hbias, vbias, A, B, *_ = model.params

    def of_all(states):
        conditions = pt.repeat(condition, states.shape[0], axis=0)
        weights = {"W": W, "hbias": hbias, "vbias": vbias}
        same = names.ConditionalRBM(conditions, A, B, n_visible=3, n_hidden=2, **weights)
        F = same.free_energy(pt.tile(states, (condition.shape[0], 1)))
        return F.reshape((condition.shape[0], states.shape[0]))

    return of_all


@pytest.fixture(params=mostly_slow(ARRANGED))
def arranged(page, request):
    """One of these models as the page has it, and its data."""
    name = request.param
    names = page[f"train_{name}"]
    model = getattr(names, name)
    data, inputs = [bits(6, model.n_visible)], [model.input]

    def of_all(states):
        """F of each state, a row: (1, states)."""
        return model.free_energy(states)[None]

    if name == "conditional":
        data.append(np.random.RandomState(4).normal(size=(6, 2)))
        inputs.append(names.condition)
        of_all = under_each_condition(names, model, names.condition)
    if name == "rnn_rbm":
        of_all = under_each_condition(names, model, names.before)
    return SimpleNamespace(
        model=model,
        data=data,
        inputs=inputs,
        cost=names.cost,
        updates=names.updates,
        streams=names.streams,
        train=getattr(names, f"train_{name}"),
        of_all=of_all,
        weights=lambda values: ARRANGED[name](*values, *data),
    )


@pytest.mark.slow
def test_exact_likelihood_of_an_arranged_rbm(arranged):
    """Mean F(v) + log Z of the model itself, where each row of the data may have its own Z."""
    model, v = arranged.model, arranged.data[0]
    start = randomize(model.params)
    states = pytensor.shared(all_states(model.n_visible))
    cost = pt.mean(model.free_energy(model.input) + pt.logsumexp(-arranged.of_all(states), axis=1))
    exact = pytensor.function(arranged.inputs, [cost, *pt.grad(cost, model.params)])

    def expected(*values):
        weights = arranged.weights(values)
        return np.mean(free_energy(v, *weights) + log_partition(len(v), *weights))

    assert_close(exact(*arranged.data), [expected(*start), *gradient(expected, start)])


def test_an_update_of_an_arranged_rbm(arranged):
    """CD-3 with the same draws: the cost, and each parameter."""
    start = randomize(arranged.model.params)
    W, hbias, vbias = arranged.weights(start)
    v = arranged.data[0]
    first, of_v, of_h = numpys(arranged.streams, arranged.updates)
    cost = arranged.train(*arranged.data)

    h = bernoulli(first, sigmoid(v @ W + hbias))
    for _ in range(3):
        mean = sigmoid(h @ W.T + vbias)
        particles = bernoulli(of_v, mean)
        h = bernoulli(of_h, sigmoid(particles @ W + hbias))
    log_p = np.sum(v * np.log(mean) + (1 - v) * np.log(1 - mean), axis=1)
    np.testing.assert_allclose(cost, log_p.mean(), rtol=1e-10)

    def expected(*values):
        weights = arranged.weights(values)
        return np.mean(free_energy(v, *weights)) - np.mean(free_energy(particles, *weights))

    assert_close(values(arranged.model.params), descended(expected, start))


def test_an_arranged_rbm_without_rewrites(arranged):
    randomize(arranged.model.params)
    assert_same_without_rewrites(
        arranged.train, arranged.inputs, arranged.cost, arranged.updates, arranged.data
    )


# The RNN-RBM, where it draws within a scan over time.


def compose(values, of_h, of_v, n_frames, n_steps):
    W, hbias, vbias, A, B, d, V, U = values
    memory, frames = np.zeros(2), []
    for _ in range(n_frames):
        frame = np.zeros(3)
        for _ in range(n_steps):
            h = bernoulli(of_h, sigmoid(frame @ W + hbias + memory @ B))
            frame = bernoulli(of_v, sigmoid(h @ W.T + vbias + memory @ A))
        memory = np.tanh(d + frame @ V + memory @ U)
        frames.append(frame)
    return np.array(frames)


@pytest.mark.slow
def test_a_melody_of_an_rnn_rbm(page):
    """Ten frames, each the end of a chain of five steps, from the same draws; and the next ten."""
    names = page["play"]
    start = randomize(names.rnn_rbm.params)
    generators = numpys(names.streams, names.melody_updates)
    for _ in range(2):
        assert np.array_equal(names.play(), compose(start, *generators, 10, 5))
    plain = plain_function([], names.melody, updates=names.melody_updates)
    generators = numpys(names.streams, names.melody_updates)
    assert np.array_equal(plain(), compose(start, *generators, 10, 5))


@pytest.mark.slow
def test_contrastive_divergence_within_a_scan_over_time(page):
    """The particles of each time come from a chain in the step of a chain over the frames."""
    names = page["train_within"]
    model, streams, updates = names.rnn_rbm, names.streams, names.within_updates
    start = randomize(model.params)
    v = bits(6, 3)
    plain = plain_function([names.frames], names.particles, updates=updates)
    of_h, of_v = numpys(streams, updates)
    found = names.train_within(v)
    learnt = values(model.params)

    W, hbias, vbias = of_sequence(*start, v)
    negative = []
    for frame, c, b in zip(v, hbias, vbias, strict=True):
        for _ in range(2):
            h = bernoulli(of_h, sigmoid(frame @ W + c))
            frame = bernoulli(of_v, sigmoid(h @ W.T + b))
        negative.append(frame)
    assert np.array_equal(found, negative)

    def expected(*values):
        weights = of_sequence(*values, v)
        return np.mean(free_energy(v, *weights)) - np.mean(free_energy(found, *weights))

    assert_close(learnt, descended(expected, start))
    randomize(model.params)
    streams.seed(7)
    assert_close(plain(v), found)
    assert_close(values(model.params), learnt)


# The deep Boltzmann machine.


def energy_of_layers(x, W, U, a, b, c):
    v, g, h = x[:, :3], x[:, 3:5], x[:, 5:]
    rows = range(len(x))
    linked = np.array([v[n] @ W @ g[n] + g[n] @ U @ h[n] for n in rows])
    return -(v @ a) - g @ b - h @ c - linked


def mean_field(v, W, U, a, b, c):
    h = np.zeros((len(v), 2))
    for _ in range(1000):
        g = sigmoid(b + v @ W + h @ U.T)
        before, h = h, sigmoid(c + g @ U)
        if np.abs(h - before).max() < 1e-6:
            break
    return np.concatenate([v, sigmoid(b + v @ W + h @ U.T), h], axis=1)


@pytest.fixture
def deep(page):
    names = page["train_deep"]
    return names, randomize(names.deep.params)


@pytest.mark.slow
def test_deep_boltzmann_machine(deep):
    """Mean field, at a fixed point; the energy; log Z and its gradient, the negative phase."""
    names, start = deep
    x, states = all_states(7), pt.matrix("x")
    energy = names.deep.free_energy(states)
    log_Z = pt.logsumexp(-energy)
    outputs = [names.deep.input, energy, log_Z, *pt.grad(log_Z, names.deep.params)]
    exact = pytensor.function([names.v, states], outputs)

    def expected(*values):
        return np.log(np.sum(np.exp(-energy_of_layers(x, *values))))

    v = all_states(3)
    inferred, *others = exact(v, x)
    np.testing.assert_allclose(inferred, mean_field(v, *start), rtol=0, atol=1e-11)
    W, U, _, b, c = start
    v, g, h = inferred[:, :3], inferred[:, 3:5], inferred[:, 5:]
    np.testing.assert_allclose(g, sigmoid(b + v @ W + h @ U.T), rtol=0, atol=1e-11)
    np.testing.assert_allclose(h, sigmoid(c + g @ U), rtol=0, atol=1e-6)
    assert np.ptp(g, axis=0).min() > 0.01 and np.ptp(h, axis=0).min() > 0.01
    assert_close(
        others, [energy_of_layers(x, *start), expected(*start), *gradient(expected, start)]
    )


@pytest.mark.slow
def test_an_update_of_a_deep_boltzmann_machine(deep):
    """PCD-2 with the same draws, and what is inferred held constant: cost, chain, parameters."""
    names, start = deep
    (chain,) = (variable for variable in names.updates if variable.name == "chain")
    v, x = bits(6, 3), bits(20, 7)
    chain.set_value(x)
    of_g, of_v, of_h = numpys(names.streams, names.updates)
    cost = names.train_deep(v)

    W, U, a, b, c = start
    for _ in range(2):
        g = bernoulli(of_g, sigmoid(b + x[:, :3] @ W + x[:, 5:] @ U.T))
        x = [bernoulli(of_v, sigmoid(a + g @ W.T)), g, bernoulli(of_h, sigmoid(c + g @ U))]
        x = np.concatenate(x, axis=1)
    inferred = mean_field(v, *start)

    def expected(*values):
        return np.mean(energy_of_layers(inferred, *values)) - np.mean(energy_of_layers(x, *values))

    assert np.array_equal(chain.get_value(), x)
    np.testing.assert_allclose(cost, expected(*start), rtol=1e-10)
    assert_close(values(names.deep.params), descended(expected, start))


@pytest.mark.slow
def test_a_chain_of_a_deep_boltzmann_machine(deep):
    names, start = deep
    x = all_states(7)
    weights = np.exp(-energy_of_layers(x, *start))
    assert_chain_stays(names.deep, x, weights / weights.sum())


@pytest.mark.slow
def test_a_deep_boltzmann_machine_without_rewrites(deep):
    names, _ = deep
    assert_same_without_rewrites(
        names.train_deep, [names.v], names.cost, names.updates, [bits(6, 3)]
    )


# The convolutional RBM, on pictures of 3 x 3 with two filters of 2 x 2.

PLACES = list(np.ndindex(2, 2))


def hidden_input(pictures, w, c):
    """What comes in at each place from each filter: (batch, 2, 2, filters)."""
    result = np.zeros((len(pictures), 2, 2, 2), dtype=w.dtype)
    for i, j in PLACES:
        for (p, q), w_pq in zip(PLACES, w, strict=True):
            result[:, i, j] += pictures[:, i + p, j + q, None] * w_pq
    return result + c


def free_energy_of_pictures(pictures, w, a, c):
    """By the sum over all 256 hidden states."""
    inputs = hidden_input(pictures, w, c).reshape(len(pictures), 8)
    of_h = np.log(np.sum(np.exp(inputs @ all_states(8).T), axis=1))
    return -a * pictures.sum(axis=(1, 2)) - of_h


def visible_input(h, w, a):
    result = np.full((len(h), 3, 3), a)
    for i, j in PLACES:
        for (p, q), w_pq in zip(PLACES, w, strict=True):
            result[:, i + p, j + q] += h[:, i, j] @ w_pq
    return result


@pytest.fixture
def convolutional(page):
    names = page["train_convolutional"]
    return names, randomize(names.convolutional.params)


@pytest.mark.slow
def test_exact_likelihood_of_a_convolutional_rbm(convolutional):
    names, start = convolutional
    model, v = names.convolutional, all_states(9).reshape(-1, 3, 3)
    F = model.free_energy(model.input)
    data = bits(6, 3, 3)
    cost = pt.mean(model.free_energy(pt.as_tensor(data))) + pt.logsumexp(-F)
    exact = pytensor.function([model.input], [F, cost, *pt.grad(cost, model.params)])

    def expected(*values):
        log_Z = np.log(np.sum(np.exp(-free_energy_of_pictures(v, *values))))
        return np.mean(free_energy_of_pictures(data, *values)) + log_Z

    expected_F = free_energy_of_pictures(v, *start)
    assert_close(exact(v), [expected_F, expected(*start), *gradient(expected, start)])


@pytest.mark.slow
def test_an_update_of_a_convolutional_rbm(convolutional):
    """CD-2 with the same draws: cost and parameters."""
    names, start = convolutional
    data, (w, a, c) = bits(6, 3, 3), start
    of_h, of_v = numpys(names.streams, names.updates)
    cost = names.train_convolutional(data)
    v = data
    for _ in range(2):
        h = bernoulli(of_h, sigmoid(hidden_input(v, w, c)))
        v = bernoulli(of_v, sigmoid(visible_input(h, w, a)))

    def expected(*values):
        of_data = np.mean(free_energy_of_pictures(data, *values))
        return of_data - np.mean(free_energy_of_pictures(v, *values))

    np.testing.assert_allclose(cost, expected(*start), rtol=1e-10)
    assert_close(values(names.convolutional.params), descended(expected, start))


@pytest.mark.slow
def test_a_chain_of_a_convolutional_rbm(convolutional):
    names, start = convolutional
    v = all_states(9).reshape(-1, 3, 3)
    weights = np.exp(-free_energy_of_pictures(v, *start))
    assert_chain_stays(names.convolutional, v, weights / weights.sum())


@pytest.mark.slow
def test_a_convolutional_rbm_without_rewrites(convolutional):
    names, _ = convolutional
    assert_same_without_rewrites(
        names.train_convolutional,
        [names.convolutional.input],
        names.cost,
        names.updates,
        [bits(6, 3, 3)],
    )


# Costs without chains.


@pytest.mark.slow
def test_classifier(page):
    """p(y | x) from the sum over all labels and hidden states; the update; no rewrites."""
    names = page["train_classifier"]
    start = randomize(names.joint.params)
    x, y = bits(6, 2), np.array([0, 1, 2, 2, 1, 0], dtype="int32")

    def expected(*values):
        with_labels = [np.concatenate([x, np.tile(label, (6, 1))], axis=1) for label in np.eye(3)]
        p = np.array([np.exp(-free_energy(v, *values)) for v in with_labels])
        return -np.mean(np.log(p[y, range(6)] / p.sum(axis=0)))

    np.testing.assert_allclose(names.train_classifier(x, y), expected(*start), rtol=1e-10)
    assert_close(values(names.joint.params), descended(expected, start))
    assert_same_without_rewrites(
        names.train_classifier, [names.x, names.y], names.cost, names.updates, [x, y]
    )


@pytest.mark.slow
def test_whole_pseudo_likelihood(page):
    """p(v_i | others) from the sum over v_i and all hidden states; the update; no rewrites."""
    names = page["train_by_pseudo_likelihood"]
    start, v = randomize(names.rbm.params), bits(6, 4)

    def expected(*values):
        p, total = np.exp(-free_energy(v, *values)), 0
        for i in range(4):
            flipped = np.where(np.arange(4) == i, 1 - v, v)
            total += np.log(p / (p + np.exp(-free_energy(flipped, *values))))
        return -np.mean(total)

    np.testing.assert_allclose(-pseudo_likelihood(names.rbm, v).mean(), expected(*start))
    cost = names.train_by_pseudo_likelihood(v)
    np.testing.assert_allclose(cost, expected(*start), rtol=1e-10)
    assert_close(values(names.rbm.params), descended(expected, start))
    assert_same_without_rewrites(
        names.train_by_pseudo_likelihood, [names.rbm.input], names.cost, names.updates, [v]
    )


@pytest.mark.slow
def test_hessian_vector_product(page):
    """Differences of exact gradients, in NumPy; the gradient of g'd; no rewrites."""
    names = page["curvature"]
    params, start = names.rbm.params, randomize(names.rbm.params)
    directions = randomize(names.directions, seed=6)
    data, particles = bits(6, 4), bits(8, 4, seed=4)
    found = names.curvature(data, particles)

    def cost(*values):
        return np.mean(free_energy(data, *values)) - np.mean(free_energy(particles, *values))

    moved = [
        gradient(cost, [value + ε * d for value, d in zip(start, directions, strict=True)])
        for ε in (1e-5, -1e-5)
    ]
    for product, above, below in zip(found, *moved, strict=True):
        np.testing.assert_allclose(product, (above - below) / 2e-5, atol=1e-8)
    assert not found[2].any(), "the free energy is linear in vbias"

    gradients = pt.grad(names.rbm.cost(names.particles), params)
    slope = sum(pt.sum(g * d) for g, d in zip(gradients, names.directions, strict=True))
    twice = pt.grad(slope, params, disconnected_inputs="ignore")
    inputs = [names.rbm.input, names.particles]
    plain = plain_function(inputs, [*names.products, *twice])
    assert_close(plain(data, particles), [*found, *found])


# Other updates, and other chains.


@pytest.mark.slow
def test_updates_composed_otherwise(page):
    """Two of PCD-1 with the same draws: the centered gradient with all that is added to it."""
    names = page["train_composed"]
    rbm, data = names.composed, [bits(6, 4), bits(6, 4, seed=4)]
    W, c, b = randomize(rbm.params)
    h, on, velocities = bits(20, 3), np.full(4, 0.1), [0, 0, 0]
    names.chain.set_value(h)
    of_v, of_h = numpys(names.streams, names.updates)
    for update, x in enumerate(data):
        assert np.isfinite(names.train_composed(x))
        v = bernoulli(of_v, sigmoid(h @ W.T + b))
        h = bernoulli(of_h, sigmoid(v @ W + c))

        def cost(W, c, b, x=x, v=v):
            return np.mean(free_energy(x, W, c, b)) - np.mean(free_energy(v, W, c, b))

        of_W, of_c, of_b = gradient(cost, [W, c, b])
        of_W = of_W - np.outer(on, of_c) - np.outer(of_b, np.full(3, 0.5))
        of_c, of_b = of_c - of_W.T @ on, of_b - of_W @ np.full(3, 0.5)
        on = 0.99 * on + 0.01 * x.mean(axis=0)
        rate = 0.05 * (1 - update / 200)
        steps = [rate * (of_W + 1e-4 * W), rate * of_c, rate * of_b]
        velocities = [0.5 * m - step for m, step in zip(velocities, steps, strict=True)]
        W, c, b = (p + m for p, m in zip((W, c, b), velocities, strict=True))
        assert_close(values(rbm.params), [W, c, b])
    assert_close([names.chain.get_value(), names.how_often_on.get_value()], [h, on])


@pytest.mark.slow
def test_updates_composed_otherwise_without_rewrites(page):
    names = page["train_composed"]
    randomize(names.composed.params)
    assert_same_without_rewrites(
        names.train_composed, [names.composed.input], names.cost, names.updates, [bits(6, 4)]
    )


@pytest.mark.slow
def test_training_by_parallel_tempering(page):
    """The RBM learns, and neighbours trade; the distribution is tested with the sampler."""
    names = page["train_tempered"]
    start = randomize(names.composed.params)
    names.train_tempered(bits(6, 4))
    rates = names.tempered.swap_rates.get_value()
    assert rates.shape == (9,) and (rates >= 0).all() and (rates <= 1).all() and rates.any()
    assert all((p != q).any() for p, q in zip(values(names.composed.params), start, strict=True))


@pytest.mark.slow
def test_what_is_known_is_completed(page):
    """p(v_3, v_4 | v_1, v_2), from the sum over all states."""
    names = page["complete"]
    randomize(names.composed.params)
    names.streams.seed(7)
    completed = names.complete(np.tile([1.0, 0, 0, 0], (N_CHAINS, 1)))
    assert np.array_equal(completed[:, :2], np.tile([1.0, 0], (N_CHAINS, 1)))
    p = EnumeratedRBM.of(names.composed).p_visible.reshape(4, 4)[2]
    expected = p / p.sum()
    found = np.bincount((completed[:, 2:] @ [2, 1]).astype(int), minlength=4) / N_CHAINS
    error = np.sqrt(expected * (1 - expected) / N_CHAINS)
    assert (np.abs(found - expected) <= 4.5 * error).all(), (found - expected) / error


# Static shapes.


@pytest.mark.slow
@pytest.mark.parametrize("persistent", [True, False])
def test_static_shapes(page, persistent):
    """PCD-3 of the page, and CD-3, of a batch whose size is known: as in NumPy."""
    names = page["train_fixed"]
    streams, updates, train = names.streams, names.updates, names.train_fixed
    rbm, x = names.fixed, bits(20, 64).astype("uint8")
    if not persistent:
        v = pt.matrix("v", shape=(20, 64))
        streams = RandomStreams(1)
        rbm = RBM(input=v, n_visible=64, n_hidden=32, theano_rng=streams)
        cost, updates = rbm.get_cost_updates(lr=LR, k=3)
        train, x = pytensor.function([v], cost, updates=updates), x.astype("float64")
    W, hbias, vbias = values(rbm.params)
    generators = numpys(streams, updates)
    if persistent:
        h = bits(20, 32)
        names.chain.set_value(h)
    else:
        h = bernoulli(generators[0], sigmoid(x @ W + hbias))
    of_v, of_h = generators[-2:]
    assert np.isfinite(train(x))
    for _ in range(3):
        v = bernoulli(of_v, sigmoid(h @ W.T + vbias))
        h = bernoulli(of_h, sigmoid(v @ W + hbias))
    if persistent:
        assert np.array_equal(names.chain.get_value(), h)
    on, on_in_v = sigmoid(x @ W + hbias), sigmoid(v @ W + hbias)
    slopes = [x.T @ on - v.T @ on_in_v, on.sum(axis=0) - on_in_v.sum(axis=0), (x - v).sum(axis=0)]
    pairs = zip((W, hbias, vbias), slopes, strict=True)
    assert_close(values(rbm.params), [value + LR / 20 * slope for value, slope in pairs])
    with pytest.raises(TypeError, match="shape"):
        train(x[:10])


# Keeping and copying.


@pytest.mark.slow
def test_what_is_saved_is_the_whole_state(page):
    names = page["arrays"]
    x = bits(20, 64).astype("uint8")
    set_values(names.updates, names.arrays)
    costs = [names.train_fixed(x) for _ in range(2)]
    set_values(names.updates, names.arrays)
    assert [names.train_fixed(x) for _ in range(2)] == costs


@pytest.mark.slow
def test_pickles_and_copies(page):
    """They go on by themselves, with the draws of the original."""
    names = page["train_low_rank"]
    model, train, v = names.low_rank, names.train_low_rank, bits(6, 4)
    copies = [pickle.loads(pickle.dumps(train)), copy.deepcopy(train)]
    loaded, cost, updates = pickle.loads(pickle.dumps((model, names.cost, names.updates)))
    copies.append(pytensor.function([loaded.input], cost, updates=updates))
    before = values(model.params)
    results = [[one(v) for _ in range(3)] for one in copies]
    assert_close(values(model.params), before)
    assert [train(v) for _ in range(3)] == results[0] == results[1] == results[2]
    assert_close(values(loaded.params), values(model.params))
    train.copy()(v)
    assert (values(model.params)[0] != values(loaded.params)[0]).any()
