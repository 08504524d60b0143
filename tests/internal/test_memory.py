"""The memory that is free, and what does not fit into it."""

import multiprocessing
import resource
from pathlib import Path

import pytest

from rbm_sym.internal import memory
from rbm_sym.internal.memory import check_memory, free_memory


def test_what_cannot_fit_is_refused_with_the_figures():
    check_memory(1, "a byte")
    with pytest.raises(ValueError, match=r"n_hidden: about 1,000,000.0 GB .* \d+\.\d GB are free"):
        check_memory(10**15, "n_hidden")


def test_the_limit_of_a_process_counts():
    """Its address space may grow by 200 MB: no more is free."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()

    def measure():
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + 200 * 10**6
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        theirs.send(free_memory())

    process = context.Process(target=measure)
    process.start()
    process.join()
    assert process.exitcode == 0
    assert 100 * 10**6 < ours.recv() <= 200 * 10**6


def test_a_containers_limit_counts(tmp_path, monkeypatch):
    (tmp_path / "memory.max").write_text("3000000\n")
    (tmp_path / "memory.current").write_text("2500000\n")
    (tmp_path / "memory.stat").write_text("anon 1500000\nfile 1000000\nshmem 200000\n")
    monkeypatch.setattr(memory, "CONTROL_GROUPS", tmp_path)
    assert free_memory() == 1300000
    (tmp_path / "memory.max").write_text("max\n")
    assert free_memory() > 3000000
