"""A long run: neither its memory nor its time for an epoch grows."""

import re
import signal
import statistics
import time
from pathlib import Path

import pytest
from test_survival import started, wait_for_line

# An epoch takes a second or so. The first ones find caches cold.
WARM_UP_SECONDS = 10


@pytest.mark.slow
def test_memory_and_speed_stay_what_they_were(tmp_path, pytestconfig, capsys):
    """The tutorial's training with its checkpoints; medians of the first and the last tenth.

    A machine that others use too may be slower for a while. A program that has become slower stays
    so: if it seems to have, it is given as much time again to show that it has not.
    """
    seconds = 60 * pytestconfig.getoption("--soak-minutes")
    epochs = []
    options = ["--epochs", 20_000, "--output", tmp_path / "soak"]
    with started("train_rbm.py", *options, cwd=tmp_path) as process:
        wait_for_line(process, "compiled in")
        end = time.monotonic()
        begin = end + WARM_UP_SECONDS
        while True:
            wait_for_line(process, "Training epoch")
            begin_epoch, end = end, time.monotonic()
            if begin_epoch > begin:
                epochs.append((end, end - begin_epoch, resident_bytes(process.pid)))
            if end < begin + seconds:
                continue
            first = medians([e for e in epochs if e[0] < begin + seconds / 10])
            last = medians([e for e in epochs if e[0] > end - seconds / 10])
            if last[0] < 1.05 * first[0] or end > begin + 2 * seconds:
                break
        process.send_signal(signal.SIGTERM)
        _, stderr = process.communicate()
    assert process.returncode == 128 + signal.SIGTERM, stderr
    with capsys.disabled():
        print(
            f"\n{len(epochs)} epochs in {(end - begin) / 60:.1f} minutes: {first[0]:.3f} s each at "
            f"first and {last[0]:.3f} s at last, {first[1] / 1e6:.1f} MB and {last[1] / 1e6:.1f} MB"
        )
    assert last[1] < 1.01 * first[1]
    assert last[0] < 1.05 * first[0]


def medians(epochs):
    """Of the seconds that an epoch took, and of the bytes held at its end."""
    return [statistics.median(column) for column in list(zip(*epochs, strict=True))[1:]]


def resident_bytes(process_id):
    status = Path(f"/proc/{process_id}/status").read_text()
    return 1024 * int(re.search(r"VmRSS:\s+(\d+)", status)[1])
