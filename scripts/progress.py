"""How far a training run has come, and the file from which it goes on."""

import argparse
import hashlib
import platform
import re
import time
from functools import cache
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytensor
from numba.core.registry import cpu_target

import rbm_sym
from rbm_sym.checkpoint import check_like, load_arrays, save_arrays, set_values, values_of

try:
    import threadpoolctl
except ImportError:
    threadpoolctl = None

FILE = "checkpoint.npz"
FORMAT = 2
PACKAGES = ("pytensor", "numba", "llvmlite", "numpy", "scipy")
# PyTensor's choice of backend and rewrites.
FLAGS = ("mode", "linker", "optimizer", "optimizer_including", "optimizer_excluding")
UNKNOWN = "unknown"
FEATURES, SOURCE = "processor features", "source of "


class Progress:
    """What a run has done, in memory and in its folder's checkpoint.

    Attributes
    ----------
    program : str, the name of the program whose run it is
    stages : {"training": shared variables, "sampling": shared variables}, all that the two change
        (the keys of their update dictionaries): parameters, chains, counts, random streams. Empty
        until `attach`
    settings : dict, the run's options
    data : str, the `checksum` of its data
    n_updates : int, updates made
    costs : (all planned updates,) float64, NaN for those to come
    records : {name: float64 array} of what else training has found, NaN for what is to come
    seconds : float, spent in training
    n_rows : int, rows of samples drawn
    picture : uint8 picture, whose first `n_rows` rows of samples are drawn
    finished : bool
    """

    def __init__(
        self, program, folder, settings, data, n_updates, picture, checkpoint_every,
        updates_before_samples=None, records=None,
    ):  # fmt: skip
        """Nothing done yet.

        Parameters
        ----------
        n_updates : int, planned in all
        picture : without any rows
        checkpoint_every : (minutes, epochs), of `checkpoint_times`
        updates_before_samples : int, after which samples are drawn; all for None
        records : {name: how many}, or None
        """
        self.path, self.program = folder / FILE, program
        self.settings, self.data, self.stages = settings, data, {}
        self._arrays = {}
        self.updates_before_samples = n_updates
        if updates_before_samples is not None:
            self.updates_before_samples = updates_before_samples
        self.records = {name: np.full(size, np.nan) for name, size in (records or {}).items()}
        # Written to, so that the memory is taken now and not little by little.
        self.n_updates, self.costs, self.seconds = 0, np.full(n_updates, np.nan), 0.0
        self.n_rows, self.picture = 0, picture
        self.finished = False
        self._minutes, self._epochs = checkpoint_every
        self._saved_at, self._epochs_since = time.monotonic(), 0

    def restore(self, arrays, state):
        """Take over what `load_checkpoint` has found, the values of the shared variables too.

        Those that `attach` brings later get theirs then. Now more updates may be planned than
        then.

        Raises
        ------
        ValueError
            if the checkpoint does not fit
        """
        if state["data"] != self.data:
            raise ValueError(
                f"--dataset: {self.settings['dataset']} is not the data of this run any more; "
                "resume with the data that it began with, or start another run"
            )
        n_updates, n_rows = state["n_updates"], state["n_rows"]
        if not 0 <= n_updates <= len(self.costs) or not 0 <= n_rows <= self.settings["n_samples"]:
            raise ValueError(
                f"{self.path}: {n_updates} updates and {n_rows} rows of samples are not of a run "
                f"with {len(self.costs)} and {self.settings['n_samples']}"
            )
        check_like("costs", arrays["costs"], self.costs[:n_updates])
        check_like("picture", arrays["picture"], self.picture)
        records = arrays_of("records", arrays)
        if list(records) != list(self.records):
            raise ValueError(f"{self.path}: records are {[*records]}, not {[*self.records]}")
        for name, planned in self.records.items():
            check_like(name, records[name], planned[: records[name].size])
        self.n_updates, self.seconds = n_updates, state["seconds"]
        self.costs[:n_updates] = arrays["costs"]
        for name, planned in self.records.items():
            planned[: len(records[name])] = records[name]
        self.finished = state["finished"] and state["n_updates_in_all"] == len(self.costs)
        # With more updates before them, samples are drawn anew, from another model.
        if state["updates_before_samples"] == self.updates_before_samples:
            self.n_rows = n_rows
            self.picture[:] = arrays["picture"]
            self._arrays["sampling"] = arrays_of("sampling", arrays)
        self._arrays["training"] = arrays_of("training", arrays)
        if self.stages:
            self.attach(self.stages)

    def attach(self, stages):
        """Take the shared variables of both stages, and give them what `restore` has found.

        Raises
        ------
        ValueError
            if the checkpoint does not fit
        """
        self.stages = stages
        # What was saved before there were any is what they have from the beginning.
        if self.n_updates or self._arrays.get("training"):
            for stage, arrays in self._arrays.items():
                set_values(stages[stage], arrays)
        self._arrays = {}

    def count_update(self, seconds):
        self.n_updates += 1
        self.seconds += seconds

    def count_epoch(self):
        self._epochs_since += 1

    def is_due(self):
        """Whether a checkpoint is to be written by now."""
        by_epochs = self._epochs is not None and self._epochs_since >= self._epochs
        minutes = (time.monotonic() - self._saved_at) / 60
        return by_epochs or (self._minutes is not None and minutes >= self._minutes)

    def save(self):
        """Write the checkpoint; the one before stays until this one is whole on the disk."""
        arrays = {
            f"{stage}/{name}": array
            for stage, variables in self.stages.items()
            for name, array in values_of(variables).items()
        }
        arrays |= {f"records/{name}": known(array) for name, array in self.records.items()}
        arrays |= {"costs": self.costs[: self.n_updates], "picture": self.picture}
        state = {
            "format": FORMAT,
            "program": self.program,
            "versions": versions(),
            "settings": self.settings,
            "data": self.data,
            "n_updates": self.n_updates,
            "n_updates_in_all": len(self.costs),
            "updates_before_samples": self.updates_before_samples,
            "seconds": self.seconds,
            "n_rows": self.n_rows,
            "finished": self.finished,
        }
        save_arrays(self.path, arrays, state)
        self._saved_at, self._epochs_since = time.monotonic(), 0


def known(record):
    """A record without the NaNs at its end."""
    places = np.flatnonzero(np.isfinite(record))
    return record[: places[-1] + 1] if places.size else record[:0]


def arrays_of(stage, arrays):
    """Of a checkpoint's arrays, those of one stage's shared variables, or the records."""
    begin = f"{stage}/"
    return {n.removeprefix(begin): array for n, array in arrays.items() if n.startswith(begin)}


def load_checkpoint(folder):
    """The checkpoint in a run's folder.

    Returns
    -------
    arrays : dict
    state : dict, with "settings" and "versions" among its keys

    Raises
    ------
    OSError, ValueError
        if there is none, or it is damaged or of a format that is not known here
    """
    arrays, state = load_arrays(folder / FILE)
    found = state.get("format")
    if found != FORMAT:
        raise ValueError(
            f"{folder / FILE}: a checkpoint of format {found!r}, and this program reads format "
            f"{FORMAT}; resume with the version of rbm_sym that wrote it, or start another run"
        )
    expected = {
        "program": str, "versions": dict, "settings": dict, "data": str, "n_updates": int,
        "n_updates_in_all": int, "updates_before_samples": int, "seconds": float, "n_rows": int,
        "finished": bool,
    }  # fmt: skip
    for name, kind in expected.items():
        if not isinstance(state.get(name), kind):
            raise ValueError(
                f"{folder / FILE}: {name!r} is {state.get(name)!r}, no {kind.__name__}"
            )
    for name in ("costs", "picture"):
        if name not in arrays:
            raise ValueError(f"{folder / FILE}: {name!r} is missing")
    return arrays, state


@cache
def versions():
    """What, beside settings and data, decides how results are rounded: {name: text}.

    As it was when this process first asked: the source that is on the disk later is not what runs.
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
    """The BLAS of SciPy, which numba calls too, or that of NumPy, which Python code does.

    Wheels of the two bring one each; elsewhere, both may share what the system has.
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
    """A SHA-256 of the names and contents of all Python files below a folder."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(folder).as_posix()} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()


def changed_versions(before):
    """A text on what is not as it was when a checkpoint noted its `versions`, or None."""
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
    """What has changed about one of the `versions`."""
    if name.startswith(SOURCE):
        return f"the {name} has changed"
    if name != FEATURES:
        return f"{name} {before} then, {now} now"
    before, now = set(str(before).split()), set(now.split())
    sides = {"then but not now": before - now, "now but not then": now - before}
    return "; ".join(f"{name} {when}: {', '.join(sorted(x))}" for when, x in sides.items() if x)


def checkpoint_times(text):
    """An argparse type: "10min", "1epoch" or both, "10min,1epoch", to (minutes, epochs).

    One of the two is None if it is not given. Zero minutes are after every update.
    """
    found = {"min": None, "epoch": None}
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(?:(min)(?:ute)?|(epoch))s?\s*", part)
        unit = match and (match[2] or match[3])
        if not match or found[unit] is not None or (unit == "epoch" and not is_count(match[1])):
            raise argparse.ArgumentTypeError(
                f"minutes, epochs or both, as in 10min,1epoch, are needed, not {text!r}"
            )
        found[unit] = float(match[1]) if unit == "min" else int(match[1])
    return found["min"], found["epoch"]


def is_count(text):
    return text.isdecimal() and int(text) > 0
