"""What Theano computed: the recordings in tests/reference, and the programs that made them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

REFERENCE = Path(__file__).resolve().parents[2] / "tests" / "reference"
# Its programs also run on Theano's Python, where this package is not.
sys.path.insert(0, str(REFERENCE))
import run_settings  # noqa: E402
import stream_calls  # noqa: E402

__all__ = ["REFERENCE", "load_runs", "record", "run_settings", "stream_calls"]


def load_runs(path=REFERENCE / "runs.npz"):
    """The recorded runs: a dict from name to a dict of arrays and `settings`."""
    runs = {}
    with np.load(path) as file:
        for key in file:
            name, array = key.split("/")
            runs.setdefault(name, {})[array] = file[key]
    for run in runs.values():
        run["settings"] = json.loads(str(run["settings"]))
    return runs


def record(python, script, output, *arguments):
    """Let a Python that has Theano write the recording `output`.

    Raises
    ------
    ValueError
        with the last line of the script's error message, or if there is no such program
    """
    command = [str(part) for part in (python, REFERENCE / script, output, *arguments)]
    environment = {"THEANO_FLAGS": "device=cpu"} | os.environ
    try:
        process = subprocess.run(command, env=environment, capture_output=True, text=True)
    except OSError as error:
        raise ValueError(f"{python}: {error.strerror}") from None
    if process.returncode:
        reason = (process.stderr.strip().splitlines() or ["no message"])[-1]
        raise ValueError(f"{python} stopped: {reason}")
