"""A long run: neither its memory nor its time for an epoch grows."""

import re
import shutil
import signal
import statistics
import time
from pathlib import Path

import pytest
from test_survival import started, wait_for_line

# The first epochs find caches cold.
WARM_UP_EPOCHS = 3
PAIRS = 40


@pytest.mark.slow
def test_memory_and_speed_stay_what_they_were(tmp_path, pytestconfig, capsys):
    """The tutorial's training with its checkpoints.

    Memory is compared between the first and the last tenth, by medians. Speed is not: a machine
    that others use too changes its own by more than a slow leak would, within minutes. So the old
    process is compared with a new one, which goes on from a copy of its checkpoint: an epoch of the
    one after an epoch of the other, while the other one stands still.
    """
    seconds = 60 * pytestconfig.getoption("--soak-minutes")
    options = ["--epochs", 20_000, "--output", tmp_path / "old"]
    with started("train_rbm.py", *options, cwd=tmp_path) as old:
        wait_for_epochs(old, WARM_UP_EPOCHS)
        epochs, begin = [], time.monotonic()
        while not epochs or epochs[-1][0] < seconds:
            wait_for_epochs(old, 1)
            epochs.append((time.monotonic() - begin, resident_bytes(old.pid)))
        old.send_signal(signal.SIGSTOP)
        first = statistics.median(size for now, size in epochs if now < seconds / 10)
        last = statistics.median(size for now, size in epochs if now > seconds * 9 / 10)

        shutil.copytree(tmp_path / "old", tmp_path / "new")
        with started("train_rbm.py", "--resume", tmp_path / "new", cwd=tmp_path) as new:
            wait_for_epochs(new, WARM_UP_EPOCHS)
            new.send_signal(signal.SIGSTOP)
            pairs = [(seconds_of_epoch(old), seconds_of_epoch(new)) for _ in range(PAIRS)]
    slower = statistics.median(of_old / of_new for of_old, of_new in pairs)
    with capsys.disabled():
        print(
            f"\n{len(epochs)} epochs in {epochs[-1][0] / 60:.1f} minutes: {first / 1e6:.1f} MB at "
            f"first and {last / 1e6:.1f} MB at last; then {slower:.3f} times the seconds of an "
            f"epoch in a new process (median of {PAIRS} in turn)"
        )
    assert last < 1.01 * first
    assert slower < 1.05


def wait_for_epochs(process, n_epochs):
    for _ in range(n_epochs):
        wait_for_line(process, "Training epoch")


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
