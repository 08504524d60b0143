"""Make the runs again that were recorded on Theano, and say how far they agree.

The recordings, the settings of the runs and the programs that made them are test data of this
project, in tests/reference.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import pytensor
from sample_rbm import sampling_function
from train_rbm import make_persistent_chain, make_rbm, training_function

REFERENCE = Path(__file__).resolve().parents[1] / "tests" / "reference"
sys.path.insert(0, str(REFERENCE))
import run_settings  # noqa: E402


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


def replay(settings, pictures, n_updates=None):
    """Train as `settings` say, as far as the pictures (n, pixels) reach.

    Returns
    -------
    dict of arrays, as recorded: costs, snapshots and samples
    """
    args = argparse.Namespace(**settings)
    n_updates = min(n_updates or args.updates, len(pictures) // args.batch_size)
    with pytensor.config.change_flags(floatX=args.floatX):
        pictures = pictures[:, :: args.columns].astype(args.floatX)
        rbm, _ = make_rbm(args, pictures.shape[1])
        chain = make_persistent_chain(args)
        update, _ = training_function(args, rbm, chain, pytensor.shared(pictures, borrow=True))
        made = run_settings.trace({**settings, "updates": n_updates}, update, rbm, chain)
        if args.sample_steps:
            start = pictures[: run_settings.N_CHAINS]
            sample = sampling_function(rbm, start, args.sample_steps)
            made |= run_settings.samples(sample)
    return made


def difference(here, there):
    """The largest |here - there|, relative to the largest |there|."""
    here, there = np.asarray(here, dtype="float64"), np.asarray(there, dtype="float64")
    return np.abs(here - there).max() / max(np.abs(there).max(), 1e-300)


def first_above(tolerance, here, there):
    """The first update (from 1) whose cost differs by more than `tolerance`, or None.

    The difference is relative to the cost; a NaN differs.
    """
    n = min(len(here), len(there))
    here, there = np.asarray(here[:n], dtype="float64"), there[:n].astype("float64")
    apart = ~(np.abs(here - there) <= tolerance * np.abs(there))
    return int(np.argmax(apart)) + 1 if apart.any() else None
