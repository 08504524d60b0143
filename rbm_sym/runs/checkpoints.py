"""The file from which a run is resumed, and when it is written."""

import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rbm_sym.checkpoint import load_arrays

FILE = "checkpoint.npz"
FORMAT = 2
EXPECTED = {
    "program": str, "versions": dict, "settings": dict, "data": str, "n_updates": int,
    "n_updates_in_all": int, "updates_before_samples": int, "seconds": float, "n_rows": int,
    "finished": bool,
}  # fmt: skip


def load_checkpoint(folder: str | Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The checkpoint in a run's folder.

    Parameters
    ----------
    folder : str or path

    Returns
    -------
    arrays : dict from name to array
    state : dict, with "settings" and "versions" among its keys

    Raises
    ------
    OSError, ValueError
        if there is none, or it is damaged, or this version does not know its format

    Examples
    --------
    >>> import pytensor
    >>> from rbm_sym.runs import epochs, load_checkpoint, open_run
    >>> w = pytensor.shared(8.0, name="w")
    >>> with open_run("plots", {"lr": 0.1}) as run:
    ...     run.restore([w], epochs(3, 20))
    >>> arrays, state = load_checkpoint("plots")
    >>> state["n_updates"], state["settings"]
    (0, {'lr': 0.1})
    >>> arrays["training/0 w"]
    array(8.)
    """
    path = Path(folder) / FILE
    arrays, state = load_arrays(path)
    found = state.get("format")
    if found != FORMAT:
        raise ValueError(
            f"{path}: a checkpoint of format {found!r}, and this program reads format {FORMAT}; "
            "resume with the version of rbm_sym that wrote it, or start another run"
        )
    for name, kind in EXPECTED.items():
        if not isinstance(state.get(name), kind):
            raise ValueError(f"{path}: {name!r} is {state.get(name)!r}, not {kind.__name__}")
    if "costs" not in arrays:
        raise ValueError(f"{path}: 'costs' is missing")
    return arrays, state


def arrays_below(prefix, arrays):
    """The arrays whose names begin with `prefix/`: {the rest of the name: array}."""
    begin = f"{prefix}/"
    return {n.removeprefix(begin): array for n, array in arrays.items() if n.startswith(begin)}


def known(record):
    """A record without the NaN at its end."""
    places = np.flatnonzero(np.isfinite(record))
    return record[: places[-1] + 1] if places.size else record[:0]


class CheckpointTimes(NamedTuple):
    """How often a checkpoint is written: when one of the two has passed since the last one.

    minutes : float, or None for no limit; 0 writes one after every update
    epochs : int of at least 1, or None for no limit

    Examples
    --------
    >>> from rbm_sym.runs import CheckpointTimes
    >>> CheckpointTimes.of("10min,1epoch")
    CheckpointTimes(minutes=10.0, epochs=1)
    >>> str(CheckpointTimes(minutes=None, epochs=5))
    '5epochs'
    """

    minutes: float | None = 1.0
    epochs: int | None = 10

    @classmethod
    def of(cls, text: str) -> "CheckpointTimes":
        """From a text: "10min", "1epoch" or both, "10min,1epoch".

        Raises
        ------
        ValueError
            for any other text
        """
        found: dict[Any, Any] = {"min": None, "epoch": None}
        for part in text.split(","):
            match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(?:(min)(?:ute)?|(epoch))s?\s*", part)
            unit = match and (match[2] or match[3])
            if not match or found[unit] is not None or (match[3] and not _is_count(match[1])):
                raise ValueError(
                    f"minutes, epochs or both, as in 10min,1epoch, are needed, not {text!r}"
                )
            found[unit] = float(match[1]) if unit == "min" else int(match[1])
        return cls(found["min"], found["epoch"])

    def __str__(self) -> str:
        minutes = [] if self.minutes is None else [f"{self.minutes:g}min"]
        return ",".join(minutes + ([] if self.epochs is None else [f"{self.epochs}epochs"]))


def _is_count(text):
    return text.isdecimal() and int(text) > 0
