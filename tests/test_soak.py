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
    """The tutorial's training with its checkpoints; medians of the first and the last tenth."""
    seconds = 60 * pytestconfig.getoption("--soak-minutes")
    ends, memory = [], []
    options = ["--epochs", 20_000, "--output", tmp_path / "soak"]
    with started("train_rbm.py", *options, cwd=tmp_path) as process:
        wait_for_line(process, "compiled in")
        begin = time.monotonic() + WARM_UP_SECONDS
        while not ends or ends[-1] < begin + seconds:
            wait_for_line(process, "Training epoch")
            ends.append(time.monotonic())
            memory.append(resident_bytes(process.pid))
        process.send_signal(signal.SIGTERM)
        _, stderr = process.communicate()
    assert process.returncode == 128 + signal.SIGTERM, stderr

    epochs = [
        (after - before, n_bytes)
        for before, after, n_bytes in zip(ends, ends[1:], memory[1:], strict=False)
        if before >= begin
    ]
    tenth = len(epochs) // 10
    first, last = (
        [statistics.median(column) for column in zip(*part, strict=True)]
        for part in (epochs[:tenth], epochs[-tenth:])
    )
    with capsys.disabled():
        print(
            f"\n{len(epochs)} epochs: {first[0]:.3f} s each at first and {last[0]:.3f} s at last, "
            f"{first[1] / 1e6:.1f} MB and {last[1] / 1e6:.1f} MB"
        )
    assert last[1] < 1.01 * first[1]
    assert last[0] < 1.05 * first[0]


def resident_bytes(process_id):
    status = Path(f"/proc/{process_id}/status").read_text()
    return 1024 * int(re.search(r"VmRSS:\s+(\d+)", status)[1])
