"""Partition functions and likelihoods against sums over all states."""

import numpy as np
import pytensor
import pytest
from cases import mostly_slow
from enumeration import EnumeratedRBM, all_states

from rbm_sym import RBM
from rbm_sym.datasets import draw_binary
from rbm_sym.likelihood import (
    LogPartition,
    ais_log_partition,
    exact_log_partition,
    log_likelihood,
    pseudo_likelihood,
    reverse_ais_log_partition,
    standard_temperatures,
)

TEMPERATURES = np.linspace(0, 1, 201)


@pytest.fixture
def small(double, make_rbm):
    rbm = make_rbm(n_visible=5, n_hidden=4)
    return rbm, EnumeratedRBM.of(rbm)


def random_rbm(n_visible, n_hidden, seed=3, scale=0.3):
    """An RBM whose units are far from independent, in the current floatX."""
    rng = np.random.RandomState(seed)
    rbm = RBM(n_visible=n_visible, n_hidden=n_hidden, numpy_rng=rng)
    shapes = [(n_visible, n_hidden), n_hidden, n_visible]
    for param, shape in zip(rbm.params, shapes, strict=True):
        param.set_value(rng.normal(scale=scale, size=shape).astype(pytensor.config.floatX))
    return rbm


@pytest.mark.parametrize("shape", [(1, 1), (1, 6), (6, 1), (5, 4), (3, 7)])
def test_exact_log_partition(floatX, make_rbm, shape):
    rbm = make_rbm(*shape)
    found = exact_log_partition(rbm)
    assert type(found) is float
    np.testing.assert_allclose(found, np.log(EnumeratedRBM.of(rbm).Z), rtol=1e-12)


@pytest.mark.parametrize("shape", [(784, 10), (12, 300), (4096, 6)])
def test_exact_log_partition_in_many_blocks(floatX, shape):
    """One layer after the other by NumPy: the states of the smaller one, all at once."""
    rbm = random_rbm(*shape)
    W, hbias, vbias = (param.get_value().astype("float64") for param in rbm.params)
    if len(vbias) < len(hbias):
        W, hbias, vbias = W.T, vbias, hbias
    states = all_states(len(hbias))
    log_weights = states @ hbias + np.logaddexp(0, states @ W.T + vbias).sum(axis=1)
    expected = np.logaddexp.reduce(log_weights)
    np.testing.assert_allclose(exact_log_partition(rbm), expected, rtol=1e-12)


def test_exact_log_partition_of_large_weights(double):
    """No overflow, and no unit cut off: log Z of independent units, in closed form."""
    rbm = RBM(n_visible=3, n_hidden=12, W=pytensor.shared(np.zeros((3, 12))))
    hbias, vbias = np.linspace(-900, 900, 12), np.array([-30.0, 20, 800])
    rbm.hbias.set_value(hbias)
    rbm.vbias.set_value(vbias)
    expected = np.logaddexp(0, hbias).sum() + np.logaddexp(0, vbias).sum()
    np.testing.assert_allclose(exact_log_partition(rbm), expected, rtol=1e-15)


def test_log_likelihood(small):
    rbm, exact = small
    found = log_likelihood(rbm, exact.visible, exact_log_partition(rbm))
    assert found.dtype == "float64"
    np.testing.assert_allclose(found, np.log(exact.p_visible), atol=1e-7)


def test_log_likelihood_of_float32_parameters_is_computed_in_float64(make_rbm):
    with pytensor.config.change_flags(floatX="float32"):
        rbm = make_rbm(n_visible=5, n_hidden=4)
    exact = EnumeratedRBM.of(rbm)
    found = log_likelihood(rbm, exact.visible.astype("int8"), np.log(exact.Z))
    np.testing.assert_allclose(found, np.log(exact.p_visible), atol=1e-7)


def test_pseudo_likelihood(small):
    rbm, exact = small
    log_p = np.log(exact.p_visible)
    place = np.arange(32)
    conditionals = [log_p - np.logaddexp(log_p, log_p[place ^ 2**i]) for i in range(5)][::-1]
    found = pseudo_likelihood(rbm, exact.visible)
    np.testing.assert_allclose(found, np.sum(conditionals, axis=0), atol=1e-7)
    # Of two units drawn at random: each pair's sum, times 5 / 2.
    pairs = {(i, j): 2.5 * (conditionals[i] + conditionals[j]) for i in range(5) for j in range(i)}
    for seed in range(5):
        some = pseudo_likelihood(rbm, exact.visible, n_bits=2, seed=seed)
        assert sum(np.allclose(some, pair, atol=1e-7) for pair in pairs.values()) == 1


def test_examples_in_many_batches(small, monkeypatch):
    rbm, exact = small
    for module in ("exact", "examples"):
        monkeypatch.setattr(f"rbm_sym.likelihood.{module}.NUMBERS_AT_ONCE", 12)
    log_Z = exact_log_partition(rbm)
    np.testing.assert_allclose(log_Z, np.log(exact.Z), rtol=1e-12)
    found = log_likelihood(rbm, exact.visible, log_Z)
    np.testing.assert_allclose(found, np.log(exact.p_visible), atol=1e-7)


@pytest.mark.parametrize("estimate", [ais_log_partition, reverse_ais_log_partition])
def test_the_estimate_is_right_and_so_is_its_error(small, estimate):
    """60 estimates from few runs: the errors have the size that is stated.

    By the central limit theorem the sum of 60 squared normal errors lies between 28 and 110 but
    for a share of 2e-4, and their mean within 0.5 but for 1e-4.
    """
    rbm, exact = small
    found = [
        estimate(rbm, n_runs=200, temperatures=np.linspace(0, 1, 11), seed=s) for s in range(60)
    ]
    deviations = [(e.log_partition - np.log(exact.Z)) / e.standard_error for e in found]
    assert 28 < np.sum(np.square(deviations)) < 110
    assert abs(np.mean(deviations)) < 0.5
    assert all(e.log_weights.shape == (200,) and e.log_weights.dtype == "float64" for e in found)
    assert all(1 < e.effective_sample_size < 200 for e in found)


def test_a_single_jump_is_importance_sampling(small):
    """Temperatures 0 and 1: log p*(v) - log p_base(v) of samples of the base model."""
    rbm, exact = small
    found = ais_log_partition(rbm, n_runs=500, temperatures=[0, 1], seed=1)
    vbias = rbm.vbias.get_value()
    log_base = exact.visible @ vbias - np.logaddexp(0, vbias).sum()
    possible = np.log(exact.p_visible * exact.Z) - log_base
    distances = np.abs(found.log_weights[:, None] - possible[None, :])
    assert (distances.min(axis=1) < 1e-7).all()
    assert len(set(distances.argmin(axis=1))) > 20


def test_the_base_model_has_the_mean_of_the_data(small):
    """One jump again: units are on as often as in the data and one more example of each kind."""
    rbm, exact = small
    data = np.array([[1, 1, 0, 0, 1], [1, 0, 0, 1, 1], [1, 0, 0, 0.5, 1]])
    p = (data.sum(axis=0) + 1) / 5
    found = ais_log_partition(rbm, n_runs=500, temperatures=[0, 1], data=data, seed=1)
    log_base = exact.visible @ np.log(p) + (1 - exact.visible) @ np.log(1 - p)
    possible = np.log(exact.p_visible * exact.Z) - log_base
    distances = np.abs(found.log_weights[:, None] - possible[None, :])
    assert (distances.min(axis=1) < 1e-7).all()
    # Their mean is the mean over the base model, within 4.5 standard errors.
    mean = np.exp(log_base) @ possible
    error = np.sqrt(np.exp(log_base) @ (possible - mean) ** 2 / 500)
    assert abs(found.log_weights.mean() - mean) < 4.5 * error


@pytest.mark.parametrize(("data", "n_steps"), [(None, 1), (np.zeros((10_000, 3)), 300)])
def test_the_way_back_starts_at_samples_of_the_rbm(double, data, n_steps):
    """Two modes, all visible units on or all off, between which a Gibbs step seldom leads.

    From uniform states only the choice by weights gets the modes' shares right; from states that
    are all off, only many steps do. The mean log weight tells what the states were, within 4.5
    standard errors: of the states, and of the weights that they were chosen by.
    """
    rbm = RBM(n_visible=3, n_hidden=1, W=pytensor.shared(np.full((3, 1), 4.0), name="W"))
    rbm.hbias.set_value(np.array([-7.0]))
    rbm.vbias.set_value(np.zeros(3))
    exact = EnumeratedRBM.of(rbm)
    arguments = dict(n_runs=4000, temperatures=[0, 1], data=data, seed=1)
    found = reverse_ais_log_partition(rbm, n_steps=n_steps, **arguments)
    base_vbias = np.zeros(3) if data is None else np.full(3, -np.log(10_001))
    log_base = exact.visible @ base_vbias - np.logaddexp(0, base_vbias).sum()
    possible = log_base - np.log(exact.p_visible * exact.Z)
    mean = exact.p_visible @ possible
    variance = exact.p_visible @ (possible - mean) ** 2
    n_effective = 4000
    if data is None:
        n_effective = min(n_effective, ais_log_partition(rbm, **arguments).effective_sample_size)
    error = np.sqrt(variance * (1 / 4000 + 1 / n_effective))
    assert abs(found.log_weights.mean() - mean) < 4.5 * error


def test_which_parameters_are_trained_makes_no_difference(small):
    rbm, exact = small
    rbm.params = [rbm.W]
    np.testing.assert_allclose(exact_log_partition(rbm), np.log(exact.Z))


def test_extreme_biases(double):
    rbm = RBM(n_visible=2, n_hidden=1)
    rbm.vbias.set_value(np.array([-800.0, 800.0]))
    found = ais_log_partition(rbm, 10, [0, 1], seed=1)
    assert abs(found.log_partition - exact_log_partition(rbm)) < 1


@pytest.mark.parametrize("floatX", mostly_slow(["float64", "float32"]), indirect=True)
def test_floats_of_either_size(floatX):
    """A larger model, from the mean of data too: exact and estimated within 4 standard errors.

    Of four comparisons of normal errors one would fail with probability 3e-4.
    """
    rbm = random_rbm(784, 8, scale=0.1)
    data = np.random.RandomState(1).uniform(size=(50, 784)) ** 2
    exact = exact_log_partition(rbm)
    for arguments in ({}, {"data": data}):
        for estimate in (ais_log_partition, reverse_ais_log_partition):
            found = estimate(rbm, n_runs=50, temperatures=TEMPERATURES, seed=4, **arguments)
            assert abs(found.log_partition - exact) < 4 * found.standard_error < 1


def test_same_seed_same_estimate(small):
    rbm, _ = small
    estimates = [ais_log_partition(rbm, 10, TEMPERATURES, seed=s) for s in (5, 5, 6, None, None)]
    values = [e.log_partition for e in estimates]
    assert values[0] == values[1] and len(set(values)) == 4


def test_progress_sees_every_part_of_the_walk(small):
    rbm, _ = small
    seen = []

    def progress(parts):
        for part in parts:
            seen.append(part)
            yield part

    ais_log_partition(rbm, 5, np.linspace(0, 1, 451), seed=1, progress=progress)
    assert len(seen) == 5


def test_estimate_of_known_weights():
    """Z = mean of (1, 2, 3): its logarithm, the error by the delta method, (Σ w)² / Σ w²."""
    shift = 900.0
    forward = LogPartition.of(np.log([1.0, 2, 3]) + shift)
    back = LogPartition.of(np.log([1.0, 2, 3]) - shift, sign=-1)
    assert np.isclose(forward.log_partition, np.log(2) + shift)
    assert np.isclose(back.log_partition, shift - np.log(2))
    for found in (forward, back):
        assert np.isclose(found.standard_error, 1 / 2 / np.sqrt(3))
        assert np.isclose(found.effective_sample_size, 36 / 14)


def test_standard_temperatures():
    betas = standard_temperatures()
    assert len(betas) == 14_501 and betas[0] == 0 and betas[-1] == 1
    assert (np.diff(betas) > 0).all()
    assert np.searchsorted(betas, [0.5, 0.9]).tolist() == [500, 4500]


def test_symbolic_parameters(double):
    """A W that is no shared variable: half of one."""
    W = pytensor.shared(np.full((2, 3), 2.0), name="twice")
    rbm = RBM(n_visible=2, n_hidden=3, W=W / 2)
    expected = np.log(EnumeratedRBM(np.ones((2, 3)), np.zeros(3), np.zeros(2)).Z)
    np.testing.assert_allclose(exact_log_partition(rbm), expected)


def test_draw_binary():
    grey = np.tile(np.array([[0.0, 0.25, 1.0]], dtype="float32"), (4000, 1))
    binary = draw_binary(grey, seed=0)
    assert binary.dtype == "float32" and set(np.unique(binary)) == {0, 1}
    assert binary[:, 0].sum() == 0 and binary[:, 2].sum() == 4000
    # Four standard errors: false alarm 6e-5.
    assert abs(binary[:, 1].mean() - 0.25) < 4 * np.sqrt(0.25 * 0.75 / 4000)
    assert np.array_equal(binary, draw_binary(grey, seed=0))


def test_wrong_arguments_are_named(double, make_rbm):
    class OtherRBM(RBM):
        def free_energy(self, v_sample):
            return 2 * super().free_energy(v_sample)

    rbm, large = RBM(n_visible=5, n_hidden=4), RBM(n_visible=30, n_hidden=26)
    broken = make_rbm(n_visible=5, n_hidden=4)
    broken.hbias.set_value(np.array([0, np.nan, 0, 0]))
    data = np.zeros((2, 5))
    cases = [
        (lambda: exact_log_partition(large), ValueError, "rbm: .*at most 25.* 26; use ais"),
        (lambda: exact_log_partition(None), TypeError, "rbm: an RBM is needed, not NoneType"),
        (lambda: exact_log_partition(OtherRBM()), TypeError, "rbm: .*OtherRBM has a free_energy"),
        (lambda: exact_log_partition(broken), ValueError, "rbm: .*undefined numbers"),
        (lambda: ais_log_partition(rbm, n_runs=1), ValueError, "n_runs: at least 2"),
        (lambda: ais_log_partition(rbm, n_runs=2.0), TypeError, "n_runs: .*2.0"),
        (lambda: ais_log_partition(rbm, temperatures=[0.5, 1]), ValueError, "temperatures: .*0.5"),
        (lambda: ais_log_partition(rbm, temperatures=[0, 0.5]), ValueError, "temperatures: .*0.5"),
        (lambda: ais_log_partition(rbm, data=data[:, 1:]), ValueError, r"data: .*\(2, 4\)"),
        (lambda: ais_log_partition(rbm, data=data + 255), ValueError, "data: .*255.0; divide"),
        (lambda: ais_log_partition(rbm, seed=-1), ValueError, "seed: .*-1"),
        (lambda: ais_log_partition(rbm, seed="x"), TypeError, "seed: .*'x'"),
        (lambda: reverse_ais_log_partition(rbm, n_steps=0), ValueError, "n_steps: .*not 0"),
        (lambda: log_likelihood(rbm, data + 0.5, 0), ValueError, "data: zeros and ones.*draw_b"),
        (lambda: log_likelihood(rbm, data, None), TypeError, "log_partition: a finite number"),
        (lambda: log_likelihood(rbm, data, np.nan), TypeError, "log_partition: a finite number"),
        (lambda: log_likelihood(rbm, data * np.nan, 0), ValueError, r"data: values in \[0, 1\]"),
        (lambda: log_likelihood(rbm, data[:0], 0), ValueError, r"data: .*\(0, 5\)"),
        (lambda: log_likelihood(rbm, [["a"]], 0), TypeError, "data: .*numeric"),
        (lambda: pseudo_likelihood(rbm, data, n_bits=6), ValueError, "n_bits: at most .*not 6"),
        (lambda: pseudo_likelihood(rbm, data, n_bits=0), ValueError, "n_bits: .*not 0"),
    ]  # fmt: skip
    for call, error, message in cases:
        with pytest.raises(error, match=message) as caught:
            call()
        assert "\n" not in str(caught.value)
