"""Whole runs against real Theano: the same samples, parameters and costs from the same seed."""

import argparse
import os
from pathlib import Path

import numpy as np
import pytensor
import pytest
from cases import mostly_slow
from enumeration import sigmoid
from recordings import REFERENCE, load_runs, record
from replay import cost_differences, difference, first_above, prepare, replay, snapshots

import rbm_sym
from rbm_sym.datasets import read_arrays

RUNS = load_runs()
TUTORIAL = [name for name in RUNS if name.startswith("tutorial_") and name.endswith("_float64")]
OTHERS = [*(name for name in RUNS if not name.startswith("tutorial_")), "tutorial_samples"]


@pytest.fixture(scope="module")
def pictures():
    return read_arrays("digits")[0][0]


def assert_same(here, there, cost=2e-7, parameters=1e-8):
    """No bit of a sample differs, and everything else only as rounding makes it differ.

    Theano's softplus is cut off where the true value is 1e-7 away; ours is nearer. That is why
    costs, which do not act on training, may differ by more than parameters.
    """
    assert cost_differences(here["costs"], there["costs"]).max() < cost
    compared = list(snapshots(here, there))
    assert compared
    for update, largest, same_bits in compared:
        assert same_bits in (None, 1) and largest < parameters, f"after update {update}"
    for name in (name for name in here if name.startswith("sample")):
        tolerance = 0 if "bits" in name else 1e-9
        assert difference(here[name], there[name]) <= tolerance, name


@pytest.mark.parametrize(
    "name", mostly_slow(["tutorial_pcd15_mrg_float64", "tutorial_cd1_shared_float64"])
)
def test_the_tutorials_first_hundred_updates(name, pictures):
    here, _ = replay(RUNS[name]["settings"], pictures, 100)
    assert_same(here, RUNS[name], parameters=1e-11)


@pytest.mark.slow
@pytest.mark.parametrize("name", TUTORIAL)
def test_the_tutorials_first_500_updates(name, pictures):
    here, _ = replay(RUNS[name]["settings"], pictures)
    assert len(here["costs"]) == 500
    assert_same(here, RUNS[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHERS)
def test_other_settings_and_samples(name, pictures):
    settings = RUNS[name]["settings"]
    here, _ = replay(settings, pictures)
    assert len(here["costs"]) == settings["updates"]
    assert any(key.startswith("sample_bits") for key in here)
    assert_same(here, RUNS[name])


@pytest.mark.slow
def test_in_float32_rounding_flips_samples_as_rarely_as_in_theano(pictures):
    """A sample falls otherwise where its random number lies between a probability and its rounding.

    So the sum of all rounding errors is the number of samples that an update is expected to flip,
    and one over it the number of updates before the first: Theano's, recorded here and with the
    kernels for another processor, part after 30.
    """
    args = argparse.Namespace(**RUNS["tutorial_pcd15_mrg_float32"]["settings"])
    with pytensor.config.change_flags(floatX="float32"):
        rbm, chain, update, _ = prepare(args, pictures)
        means = [rbm.propdown(chain)[1], rbm.propup(rbm.input)[1]]
        means = pytensor.function([rbm.input], means)
    for index in range(40):
        update(index)
    v = (pictures[:20] > 0.5).astype("float32")
    W, hbias, vbias, h = (
        x.get_value().astype("float64") for x in (rbm.W, rbm.hbias, rbm.vbias, chain)
    )
    exact = sigmoid(h @ W.T + vbias), sigmoid(v @ W + hbias)
    errors = [np.abs(here - there).sum() for here, there in zip(means(v), exact, strict=True)]
    assert args.k * sum(errors) < 1 / 30


@pytest.mark.slow
@pytest.mark.skipif(
    not pytensor.__version__.startswith("3.0."),
    reason="one rounding decides where; PyTensor 3.3 rounds otherwise and parts at update 22",
)
def test_in_float32_the_run_follows_about_as_far_as_theano_itself(pictures):
    there = RUNS["tutorial_pcd15_mrg_float32"]
    here, _ = replay(there["settings"], pictures)
    ours = first_above(0.1, cost_differences(here["costs"], there["costs"]))
    other = load_runs(REFERENCE / "rounding_skylakex.npz")["tutorial_pcd15_mrg_float32"]
    theanos = first_above(0.1, cost_differences(other["costs"], there["costs"]))
    # Rounding decides where: an update compares 385,000 probabilities with random numbers.
    assert ours >= theanos - 5


@pytest.mark.slow
def test_in_float32_the_first_ten_updates_are_the_same(pictures):
    there = RUNS["tutorial_pcd15_mrg_float32"]
    here, _ = replay(there["settings"], pictures, 20)
    (first,) = snapshots(here, there)
    assert first[0] == 10 and first[1] < 1e-4 and first[2] == 1


@pytest.mark.slow
def test_another_seed_is_noticed(pictures):
    there = RUNS["pcd15_shared"]
    here, _ = replay({**there["settings"], "seed": 4}, pictures, 20)
    assert first_above(1e-3, cost_differences(here["costs"], there["costs"])) == 1
    with pytest.raises(AssertionError):
        assert_same(here, there)


def test_differences():
    there = np.array([1.0, -2.0, 4.0, 8.0])
    here = np.array([1.0, -2.1, np.nan, 8.0, 16.0])
    differences = cost_differences(here, there)
    np.testing.assert_allclose(differences, [0, 0.05, np.nan, 0], rtol=1e-12)
    assert [first_above(t, differences) for t in (0.01, 0.1)] == [2, 3]
    assert first_above(0.1, differences[:2]) is None
    assert difference([1.0, 2.0], [1.0, 4.0]) == 0.5


# Theano needs an old Python: see reference/record_runs.py.
THEANO_PYTHON = os.environ.get("RBM_SYM_THEANO_PYTHON")
needs_theano = pytest.mark.skipif(
    not THEANO_PYTHON, reason="RBM_SYM_THEANO_PYTHON names no Python that has Theano"
)


@pytest.mark.slow
@needs_theano
def test_theano_live_draws_what_is_recorded(tmp_path, monkeypatch):
    monkeypatch.setenv("THEANO_FLAGS", f"device=cpu,base_compiledir={tmp_path}")
    record(THEANO_PYTHON, "record_streams.py", tmp_path / "streams.npz")
    made = np.load(tmp_path / "streams.npz")
    recorded = np.load(REFERENCE / "streams.npz")
    assert set(made) == set(recorded)
    for name in made:
        np.testing.assert_array_equal(made[name], recorded[name], err_msg=name)


@pytest.mark.slow
@needs_theano
def test_theano_live_trains_as_recorded(tmp_path, monkeypatch):
    """But for rounding: its BLAS may not be the recording's."""
    digits = Path(rbm_sym.__file__).parent / "data" / "digits.npz"
    monkeypatch.setenv("THEANO_FLAGS", f"device=cpu,base_compiledir={tmp_path}")
    made = tmp_path / "runs.npz"
    record(THEANO_PYTHON, "record_runs.py", made, "--runs", *OTHERS[:2], "--dataset", digits)
    for name, run in load_runs(made).items():
        assert_same(run, RUNS[name], cost=1e-10)
