"""The memory and time of runs: neither grows, and looking for divergence takes next to none.

Speed is measured, so nothing else may run beside these tests.
"""

import re
import signal
import statistics
import time
from pathlib import Path
from timeit import timeit

import numpy as np
import pytensor
import pytest
from runs import started, wait_for_line

from rbm_sym import RBM
from rbm_sym.datasets import read_arrays
from rbm_sym.runs import CheckpointTimes, epochs, open_run

# The first epochs find caches cold.
WARM_UP_EPOCHS = 3
PAIRS = 50


@pytest.mark.slow
def test_memory_and_speed_stay_what_they_were(tmp_path, pytestconfig, capsys):
    """The tutorial's training with its checkpoints.

    Memory is compared between the first and the last tenth, by medians. Speed cannot be: a machine
    that others use too changes its own by more within minutes. So before and after, the process is
    timed beside another one that stands still in between: an epoch of the one after an epoch of the
    other. Two processes are up to 8 % apart from the beginning, by where their memory happens to
    lie, and only a change of their ratio counts. At a learning rate of next to nothing, all epochs
    are the same work; otherwise samples become sparser with time, and epochs faster.
    """
    seconds = 60 * pytestconfig.getoption("--soak-minutes")
    options = ["--epochs", 20_000, "--learning-rate", 1e-30, "--k", 1, "--output"]
    with (
        started("train_rbm.py", *options, tmp_path / "run", cwd=tmp_path) as process,
        started("train_rbm.py", *options, tmp_path / "other", cwd=tmp_path) as other,
    ):
        for each in (process, other):
            wait_for_epochs(each, WARM_UP_EPOCHS)
            each.send_signal(signal.SIGSTOP)
        ratio_at_first = ratio(process, other)

        process.send_signal(signal.SIGCONT)
        epochs, begin = [], time.monotonic()
        while not epochs or epochs[-1][0] < seconds:
            wait_for_epochs(process, 1)
            epochs.append((time.monotonic() - begin, resident_bytes(process.pid)))
        process.send_signal(signal.SIGSTOP)
        first = statistics.median(size for now, size in epochs if now < seconds / 10)
        last = statistics.median(size for now, size in epochs if now > seconds * 9 / 10)

        slower = ratio(process, other) / ratio_at_first
    with capsys.disabled():
        print(
            f"\n{len(epochs)} epochs in {epochs[-1][0] / 60:.1f} minutes: {first / 1e6:.1f} MB at "
            f"first and {last / 1e6:.1f} MB at last; then {slower:.3f} times the seconds of an "
            "epoch before, measured against another process"
        )
    assert last < 1.01 * first
    assert slower < 1.05


def wait_for_epochs(process, n_epochs):
    for _ in range(n_epochs):
        wait_for_line(process, "Training epoch")


def ratio(process, other):
    """The seconds of an epoch in one process for those in another, by turns; both stand still."""
    pairs = [(seconds_of_epoch(process), seconds_of_epoch(other)) for _ in range(PAIRS)]
    return statistics.median(of_one / of_other for of_one, of_other in pairs)


def seconds_of_epoch(process):
    """How long a process that stands still takes for its next epoch; it stands still again."""
    begin = time.perf_counter()
    process.send_signal(signal.SIGCONT)
    wait_for_epochs(process, 1)
    seconds = time.perf_counter() - begin
    process.send_signal(signal.SIGSTOP)
    return seconds


def resident_bytes(process_id):
    status = Path(f"/proc/{process_id}/status").read_text()
    return 1024 * int(re.search(r"VmRSS:\s+(\d+)", status)[1])


@pytest.mark.slow
@pytest.mark.parametrize("floatX", ["float32"], indirect=True)
def test_the_watch_costs_less_than_a_hundredth(tmp_path, capsys, floatX):
    """The loop with all its looks, around an update that takes no time, beside the tutorial's."""
    pictures = read_arrays("digits")[0][0]
    rbm = RBM(n_visible=784, n_hidden=500)
    chain = pytensor.shared(np.zeros((20, 500), floatX))
    cost, updates = rbm.get_cost_updates(persistent=chain, k=15)
    update = pytensor.function([rbm.input], cost, updates=updates)
    update(pictures[:20])

    def seconds_of_loop(run):
        began = time.perf_counter()
        for _ in run.updates(run.stages_left()[0]):
            run.record(1.0)
        return (time.perf_counter() - began) / 1000

    of_updates, of_loops = [], []
    with open_run(tmp_path, checkpoint_every=CheckpointTimes(60)) as run:
        run.restore(updates, epochs(20, 1000))
        for _ in range(20):
            of_updates.append(timeit(lambda: update(pictures[:20]), number=10) / 10)
            of_loops.append(seconds_of_loop(run))
    share = statistics.median(of_loops) / statistics.median(of_updates)
    with capsys.disabled():
        print(f"\nthe watch takes {100 * share:.2f} % of an update's time")
    assert share < 0.01
