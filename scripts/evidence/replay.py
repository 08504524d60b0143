"""Repeat the runs that were recorded on Theano, and compare the results."""

import argparse
import time

import numpy as np
import pytensor
import pytensor.tensor as pt
from recordings import run_settings

from rbm_sym import RBM
from rbm_sym.internal.settings import shared_setting
from rbm_sym.runs import compile_now
from rbm_sym.streams import make_streams


def replay(settings, pictures, n_updates=None):
    """Train with these settings, for as many updates as the pictures (n, pixels) allow.

    Returns
    -------
    made : dict of arrays, as in a recording: costs, snapshots and samples
    milliseconds : float, time of one update
    """
    args = argparse.Namespace(**settings)
    n_updates = min(n_updates or args.updates, len(pictures) // args.batch_size)
    with pytensor.config.change_flags(floatX=args.floatX):
        pictures = pictures[:, :: args.columns].astype(args.floatX)
        rbm, chain, update, updates = prepare(args, pictures)
        compile_now(update, updates)
        began = time.perf_counter()
        made = run_settings.trace({**settings, "updates": n_updates}, update, rbm, chain)
        milliseconds = 1000 * (time.perf_counter() - began) / n_updates
        if args.sample_steps:
            start = pytensor.shared(pictures[: run_settings.N_CHAINS])
            outputs, updates = rbm.sample(start, args.sample_steps)
            made |= run_settings.samples(pytensor.function([], outputs, updates=updates))
    return made, milliseconds


def prepare(args, pictures):
    """The RBM of a run, its persistent chain (None for CD), its training function and updates."""
    rng = np.random.RandomState(args.seed)
    theano_rng = make_streams(args.stream, rng)
    rbm = RBM(
        n_visible=pictures.shape[1], n_hidden=args.n_hidden, theano_rng=theano_rng, numpy_rng=rng
    )
    chain = None
    if args.algorithm == "pcd":
        chain = pytensor.shared(np.zeros((args.batch_size, args.n_hidden), args.floatX))
    lr = shared_setting("lr", args.learning_rate, args.floatX)
    k = shared_setting("k", args.k, "int64")
    batch_size = shared_setting("batch_size", args.batch_size, "int64")
    cost, updates = rbm.get_cost_updates(lr, chain, k)
    index = pt.lscalar("index")
    batch = pytensor.shared(pictures)[index * batch_size : (index + 1) * batch_size]
    update = pytensor.function([index], cost, updates=updates, givens={rbm.input: batch})
    return rbm, chain, update, updates


def snapshots(here, there):
    """Compare the snapshots of two runs, update by update.

    Yields
    ------
    update : int, the number of updates before the snapshot
    largest : float, the largest difference in any array of parameters, relative to the largest
        entry of the array
    same_bits : float, the share of equal bits in the persistent chain, or None
    """
    for update in run_settings.SNAPSHOTS:
        names = [n for n in here if n.endswith(f"_{update}") and n in there and "sample" not in n]
        arrays = [n for n in names if not n.startswith("chain_bits")]
        if not arrays:
            continue
        same_bits = None
        if len(names) > len(arrays):
            bits = [np.unpackbits(run[f"chain_bits_{update}"]) for run in (here, there)]
            same_bits = np.mean(bits[0] == bits[1])
        yield update, max(difference(here[n], there[n]) for n in arrays), same_bits


def difference(here, there):
    """The largest |here - there|, relative to the largest |there|."""
    here, there = np.asarray(here, dtype="float64"), np.asarray(there, dtype="float64")
    return np.abs(here - there).max() / np.abs(there).max()


def cost_differences(here, there):
    """|here - there| / |there| of the costs that both runs have."""
    n = min(len(here), len(there))
    here, there = np.asarray(here[:n], dtype="float64"), np.asarray(there[:n], dtype="float64")
    return np.abs(here - there) / np.abs(there)


def first_above(tolerance, differences):
    """The first update, counted from 1, that differs by more than `tolerance`; or None."""
    # In this form, NaN counts as different.
    apart = ~(differences <= tolerance)
    return int(np.argmax(apart)) + 1 if apart.any() else None
