"""What decides how the results of a run are rounded, apart from settings and data."""

import hashlib
import platform
import re
from functools import cache
from importlib.metadata import version
from pathlib import Path

import pytensor
from numba.core.registry import cpu_target

import rbm_sym

try:
    import threadpoolctl
except ImportError:
    threadpoolctl = None

PACKAGES = ("pytensor", "numba", "llvmlite", "numpy", "scipy")

# PyTensor's choice of backend and rewrites.
FLAGS = ("mode", "linker", "optimizer", "optimizer_including", "optimizer_excluding")
UNKNOWN = "unknown"
FEATURES, SOURCE = "processor features", "source of "


@cache
def versions():
    """What decides how results are rounded, apart from settings and data: {name: text}.

    The result stays as it was at the first call: if the source on the disk is changed later, the
    code that runs is still the old one.
    """
    target = cpu_target.target_context.codegen()
    _, processor, features = target.magic_tuple()
    enabled = sorted(name[1:] for name in features.split(",") if name.startswith("+"))
    found = {"rbm_sym": rbm_sym.__version__, "python": platform.python_version()}
    found |= {name: version(name) for name in PACKAGES}
    found |= {"C library": " ".join(platform.libc_ver())}
    found |= {"processor": processor, FEATURES: " ".join(enabled)}
    for package in ("SciPy", "NumPy"):
        found |= blas_of(package)
    flags = {name: getattr(pytensor.config, name) for name in FLAGS}
    found |= {"PyTensor's flags": ",".join(f"{n}={value}" for n, value in flags.items() if value)}
    return found | {f"{SOURCE}rbm_sym": source_of(Path(rbm_sym.__file__).parent)}


def blas_of(package):
    """The BLAS of SciPy, which numba calls, or that of NumPy, which Python code calls.

    The wheels of the two contain one each. In other installations, both may use the system's.
    """
    libraries = {None: [], "scipy": [], "numpy": []}
    for library in [] if threadpoolctl is None else threadpoolctl.threadpool_info():
        if library["user_api"] == "blas":
            owner = re.search(r"(scipy|numpy)(\.libs|.\.dylibs)", library["filepath"])
            libraries[owner and owner[1]].append(library)
    found = libraries[package.lower()] or libraries[None]

    def told(key):
        return ", ".join(str(library.get(key, UNKNOWN)) for library in found) or UNKNOWN

    return {
        f"{package}'s BLAS": told("internal_api"),
        f"version of {package}'s BLAS": told("version"),
        f"kernels of {package}'s BLAS": told("architecture"),
        f"threads of {package}'s BLAS": told("num_threads"),
    }


def source_of(folder):
    """A SHA-256 of the names and contents of all Python files of the package in a folder.

    Its programs are left out: in a checkout they lie in another folder.
    """
    digest = hashlib.sha256()
    programs = folder / "programs"
    for path in sorted(path for path in folder.rglob("*.py") if programs not in path.parents):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(folder).as_posix()} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()


def changed_versions(before):
    """What has changed since a checkpoint noted its `versions`, as a text; None for nothing."""
    now = versions()
    known = {name for name in now if before.get(name, UNKNOWN) != UNKNOWN}
    known_now = {name for name in now if now[name] != UNKNOWN}
    changes = [
        difference(name, before[name], now[name])
        for name in now
        if name in known & known_now and before[name] != now[name]
    ]
    for when, names in [("recorded then", known_now - known), ("known now", known - known_now)]:
        if names:
            changes.append(", ".join(name for name in now if name in names) + f" not {when}")
    return "; ".join(changes) or None


def difference(name, before, now):
    """What has changed in one of the `versions`, as a text."""
    if name.startswith(SOURCE):
        return f"the {name} has changed"
    if name != FEATURES:
        return f"{name} {before} then, {now} now"
    before, now = set(str(before).split()), set(now.split())
    sides = {"then but not now": before - now, "now but not then": now - before}
    return "; ".join(f"{name} {when}: {', '.join(sorted(x))}" for when, x in sides.items() if x)
