"""The listings of the guides, run as they stand there."""

import re
import signal

import numpy as np
import pytensor
import pytest
from pages import listings, run_listings
from programs import ROOT, start
from runs import contents

from rbm_sym import RBM
from rbm_sym.likelihood import exact_log_partition, log_likelihood
from rbm_sym.models import load_rbm, save_model

DOCS = ROOT / "docs"


def test_data(tmp_path, capsys):
    run_listings(DOCS / "data.md", tmp_path)
    assert capsys.readouterr().out.endswith("(1000, 64) (1000,)\n")


@pytest.mark.slow
def test_likelihood(tmp_path, capsys):
    """Both estimates, for a model so small that its likelihood can be computed."""
    rng = np.random.RandomState(1)
    with pytensor.config.change_flags(floatX="float32"):
        rbm = RBM(n_visible=784, n_hidden=10, numpy_rng=rng)
    rbm.W.set_value(rng.normal(scale=0.1, size=(784, 10)).astype("float32"))
    rbm.vbias.set_value(np.full(784, -2, "float32"))
    (tmp_path / "rbm_plots").mkdir()
    save_model(tmp_path / "rbm_plots" / "rbm.npz", rbm, {"dataset": "digits"})
    names = run_listings(DOCS / "likelihood.md", tmp_path)
    lines = capsys.readouterr().out.splitlines()[1:]
    exact = log_likelihood(rbm, names["pictures"], exact_log_partition(rbm)).mean()
    assert len(lines) == 2
    for found, error in (map(float, line.split()) for line in lines):
        assert error < 0.2 and abs(found - exact) < 4 * error


@pytest.mark.slow
def test_deep_networks(tmp_path, capsys):
    run_listings(DOCS / "deep_networks.md", tmp_path)
    found = re.search(r"dreams \(20, 784\)\ntest error ([\d.]+)", capsys.readouterr().out)
    assert float(found[1]) < 0.2


@pytest.mark.slow
def test_runs(tmp_path):
    """A training program of one's own, stopped and started again: the bits of one that is not."""
    (listing,) = listings(DOCS / "runs.md")
    program = tmp_path / "my_training.py"
    program.write_text(listing)
    for name in ("stopped", "whole"):
        (tmp_path / name).mkdir()

    with start(program, cwd=tmp_path / "stopped") as process:
        for line in process.stdout:
            if line.startswith("epoch 1"):
                break
        process.send_signal(signal.SIGINT)
        said, errors = process.communicate()
    assert process.returncode == 128 + signal.SIGINT, errors
    assert re.search(r"stopped after update \d+; run the program again to go on\n$", said)

    again = finish(program, tmp_path / "stopped")
    assert "... resuming after update " in again and "epoch 0" not in again
    assert "epoch 9: mean cost -" in again
    assert "resuming" not in finish(program, tmp_path / "whole")
    stopped, whole = (contents(tmp_path / name / "my_plots") for name in ("stopped", "whole"))
    assert stopped == whole
    assert set(whole) == {"checkpoint.npz", "rbm.npz", "training_curve.csv"}
    rbm, settings = load_rbm(tmp_path / "whole" / "my_plots" / "rbm.npz")
    assert rbm.n_hidden == 100 and settings == {"lr": 0.1, "n_hidden": 100}


def finish(program, folder):
    """What a program that runs to its end in a folder says."""
    with start(program, cwd=folder) as process:
        said, errors = process.communicate()
    assert process.returncode == 0, errors
    return said
