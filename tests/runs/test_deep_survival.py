"""Deep belief networks whose training is killed and stopped, and goes on to the bit."""

import csv
import random
import re
import shlex
import shutil
import signal
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import runs
from programs import check_refusal, run, save_bars
from runs import assert_same, die_in, started, wait_for, wait_for_line

from rbm_sym.checkpoint import load_arrays, save_arrays
from rbm_sym.runs.checkpoints import FILE, load_checkpoint

# Graphs of many kinds, which would be compiled for minutes; without the second one, in C.
FLAGS = "mode=FAST_COMPILE,cxx="
resume = partial(runs.resume, program="train_dbn.py", flags=FLAGS)
# Eight updates an epoch: two epochs of two layers, three rows of samples, four of fine-tuning.
SIZE = [
    "--hidden-layers", 7, 5, "--batch-size", 8, "--k", 1, "--n-chains", 5, "--n-samples", 3,
    "--steps", 2, "--pretraining-epochs", 2, "--finetuning-epochs", 4,
]  # fmt: skip
N_UPDATES = 64


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("deep")


@pytest.fixture(scope="module")
def options(folder):
    return ["--dataset", save_bars(folder / "bars.npz"), *SIZE, "--checkpoint-every", "0min"]


@pytest.fixture(scope="module")
def uninterrupted(folder, options):
    """What a run leaves if nothing happens to it."""
    result = run("train_dbn.py", *options, "--output", "whole", cwd=folder, flags=FLAGS)
    assert result.returncode == 0, result.stderr
    return contents(folder / "whole")


def contents(output):
    """What a run has left, but for the seconds that it took."""
    found = runs.contents(output)
    table = list(csv.reader(found["training_curve.csv"].decode().splitlines()))
    found["training_curve.csv"] = [row[:-1] for row in table]
    del found[FILE][0]["records/seconds"]
    return found


def test_a_run_that_is_killed_again_and_again_goes_on_to_the_bit(folder, options, uninterrupted):
    """After each of these numbers of updates and rows."""
    output = folder / "killed"
    program = ["--output", output, *options]
    for calls, n_updates, n_rows in [
        (0, 0, 0),  # before anything is made
        (4, 5, 0),  # in an epoch of the first layer
        (13, 18, 0),  # in one of the second, after a save for each update and the layer
        (15, 32, 1),  # between samples
        (5, 35, 3),  # in a round of fine-tuning, after three saves of samples
        (8, 44, 3),  # in the next one
    ]:
        die_in("train_dbn.py", "save", calls, *program, cwd=folder, flags=FLAGS)
        _, state = load_checkpoint(output)
        assert (state["n_updates"], state["n_rows"]) == (n_updates, n_rows)
        program = ["--resume", output, "--checkpoint-every", "0min"]
    assert f"after update {state['n_updates']}\n" in resume(output, cwd=folder).stdout
    assert_same(contents(output), uninterrupted)
    assert "is finished" in resume(output, cwd=folder).stdout


@pytest.mark.slow
def test_kills_at_random_moments(folder, options, pytestconfig, capsys):
    """A fifth of --kills, of programs that run as compiled."""
    n_kills = max(2, pytestconfig.getoption("--kills") // 5)
    rng, killed_at, expected = random.Random(1), [], None
    longer = ["--pretraining-epochs", 20, "--n-samples", 20, "--finetuning-epochs", 40]
    for i in range(-1, n_kills):
        output = folder / f"random {i}"
        arguments = [*options, *longer, "--patience", 40, "--output", output]
        with started("train_dbn.py", *arguments, cwd=folder) as process:
            wait_for(output / FILE, process)
            began = time.monotonic()
            if expected is None:
                _, stderr = process.communicate()
                assert process.returncode == 0, stderr
                seconds, expected = time.monotonic() - began, contents(output)
                continue
            time.sleep(rng.uniform(0, seconds))
        killed_at.append(load_checkpoint(output)[1]["n_updates"])
        resume(output, cwd=folder, flags="")
        assert_same(contents(output), expected)
    with capsys.disabled():
        print(f"\n{n_kills} of {n_kills} ended with the same bits, killed after {killed_at}")


@pytest.mark.slow
def test_a_stopped_run_says_how_to_go_on_and_more_epochs_are_allowed(
    folder, options, uninterrupted
):
    output = folder / "stopped"
    fewer = [*options, "--finetuning-epochs", 2, "--output", output]
    result = run(runs.DYING, "train_dbn.py", "record:SIGTERM", 9, *fewer, cwd=folder, flags=FLAGS)
    assert result.returncode == 128 + signal.SIGTERM and result.stderr == ""
    said = r"\.\.\. stopped after update 10; go on with: python (.*)"
    command = shlex.split(re.fullmatch(said, result.stdout.splitlines()[-1])[1])
    assert command[1:] == ["--resume", str(output)]
    resume(output, cwd=folder)
    assert load_checkpoint(output)[1]["n_updates"] < N_UPDATES
    resume(output, "--finetuning-epochs", 4, cwd=folder)
    found, expected = contents(output), dict(uninterrupted)
    for name in ("pretrained.npz", "dbn.npz"):
        # Their settings are those of the time when they were saved.
        del found[name], expected[name]
        arrays, _ = load_arrays(output / name)
        np.testing.assert_equal(arrays, load_arrays(folder / "whole" / name)[0])
    assert_same(found, expected)


@pytest.mark.slow
def test_other_settings_and_labels_are_refused(folder, options, uninterrupted):
    """The pictures may stay the same."""
    before = contents(folder / "whole")
    with np.load(folder / "bars.npz") as bars:
        np.savez(folder / "other.npz", **{**bars, "valid_y": 1 - bars["valid_y"]})
    for more, message in [
        (["--hidden-layers", 7], r"--hidden-layers: the run in .* has \[7, 5\], not \[7\]"),
        (["--labelled", 32], "--labelled: .* has None, not 32"),
        (["--pretraining-epochs", 3], "--pretraining-epochs: .* has 2, not 3"),
        (["--finetuning-epochs", 3], "--finetuning-epochs: .* has 4, not 3"),
        (["--dataset", "other.npz"], "--dataset: .*other.npz is not the data"),
    ]:
        result = run("train_dbn.py", "--resume", "whole", *more, cwd=folder, flags=FLAGS)
        check_refusal(result, message)
    other = run("train_rbm.py", "--resume", "whole", cwd=folder)
    check_refusal(other, "whole: a run of train_dbn.py; resume it with that")
    assert_same(contents(folder / "whole"), before)


@pytest.mark.slow
def test_other_versions_are_told(folder, uninterrupted):
    output = Path(shutil.copytree(folder / "whole", folder / "versions"))
    arrays, state = load_arrays(output / FILE)
    state["versions"] |= {"scipy": "1.0", "source of rbm_sym": "0" * 64}
    save_arrays(output / FILE, arrays, state)
    said = resume(output, cwd=folder).stdout
    assert re.search(r": scipy 1\.0 then, \S+ now; the source of rbm_sym has changed\n", said)


@pytest.mark.slow
def test_a_diverged_layer_keeps_the_checkpoint_before(folder, options):
    arguments = [*options, "--pretraining-rate", 3e38, "--output", "diverged"]
    # As compiled: NumPy's functions warn of an overflow, which would be an error here.
    result = run("train_dbn.py", *arguments, cwd=folder, flags="blas__ldflags=")
    assert result.returncode == 2, result.stderr
    assert re.fullmatch(
        r"train_dbn.py: error: layer 0, epoch 0, update \d: .*: training has diverged; take a "
        r"smaller learning rate; diverged/checkpoint\.npz is from before that\n",
        result.stderr,
    ), result.stderr
    arrays, _ = load_checkpoint(folder / "diverged")
    assert all(np.isfinite(array).all() for name, array in arrays.items() if "W" in name)


@pytest.mark.slow
def test_a_run_without_a_reader_is_saved_between_samples(folder, options):
    output = folder / "unread"
    more = [*options, "--n-samples", 40, "--checkpoint-every", "10min", "--output", output]
    with started("train_dbn.py", *more, cwd=folder, flags=FLAGS) as process:
        wait_for_line(process, "plotting sample  0")
        process.stdout.close()
        process.wait()
    assert process.returncode == 128 + signal.SIGTERM
    assert 0 < load_checkpoint(output)[1]["n_rows"] < 40


@pytest.mark.slow
def test_records_that_do_not_fit_are_refused(folder, uninterrupted):
    arrays, state = load_arrays(folder / "whole" / FILE)
    seconds = arrays["records/seconds"]
    (folder / "torn").mkdir()
    for changed, n_updates in [
        ({}, 12),
        ({"records/validation errors": np.zeros(0)}, 64),
        ({"records/seconds": seconds[:5]}, 64),
        ({"records/seconds": np.where(np.arange(seconds.size) == 2, np.nan, seconds)}, 64),
    ]:
        changed["costs"] = arrays["costs"][:n_updates]
        torn = state | {"n_updates": n_updates}
        save_arrays(folder / "torn" / FILE, arrays | changed, torn)
        result = run("train_dbn.py", "--resume", "torn", cwd=folder, flags=FLAGS)
        check_refusal(result, rf"torn/{FILE}: {n_updates} updates do not fit the records of \d")
