"""How much memory is free, asked before a lot of it is needed."""

import os
from pathlib import Path

CONTROL_GROUPS = Path("/sys/fs/cgroup")


def check_memory(n_bytes, what):
    """Raise unless `n_bytes` are free.

    Parameters
    ----------
    n_bytes : int
    what : str, what needs the memory and how to make it smaller; the error begins with it

    Raises
    ------
    ValueError
        if more is needed than is free; if that is unknown, nothing is raised
    """
    free = free_memory()
    if free is not None and n_bytes > free:
        raise ValueError(
            f"{what}: about {n_bytes / 1e9:,.1f} GB of memory are needed, and "
            f"{free / 1e9:,.1f} GB are free"
        )


def free_memory():
    """Bytes that this process can take without swapping; None where the system does not say.

    It is the least of three numbers. They are what Linux calls available, what is left to the
    process's control group, such as a container, and what is left of the process's address space.
    """
    found = [_available(), _left_of_control_group(), _left_of_address_space()]
    return min((n_bytes for n_bytes in found if n_bytes is not None), default=None)


def _available():
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return 1024 * int(line.split()[1])
    except OSError:
        pass
    return None


def _left_of_control_group():
    """Bytes left to the control group.

    In version 2 of control groups, that of the process or else the root, as a container sees it;
    in version 1, the root.
    """
    try:
        own = Path("/proc/self/cgroup").read_text().strip().rpartition("::/")[2]
    except OSError:
        own = ""
    for folder, most, used, of_files in [
        (CONTROL_GROUPS / own, "memory.max", "memory.current", "file"),
        (CONTROL_GROUPS, "memory.max", "memory.current", "file"),
        (CONTROL_GROUPS / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "cache"),
    ]:
        try:
            left = int((folder / most).read_text()) - int((folder / used).read_text())
            counted = dict(map(str.split, (folder / "memory.stat").read_text().splitlines()))
        except (OSError, ValueError):  # no such group, or its limit is the word "max"
            continue
        # Pages of files are released when memory is short, except those of shared memory (shmem).
        return max(0, left + int(counted.get(of_files, 0)) - int(counted.get("shmem", 0)))
    return None


def _left_of_address_space():
    try:
        import resource

        most, _ = resource.getrlimit(resource.RLIMIT_AS)
        used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except (ImportError, OSError):
        return None
    return None if most == resource.RLIM_INFINITY else max(0, most - used)
