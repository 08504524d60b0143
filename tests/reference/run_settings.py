"""The runs that record_runs.py records with Theano and replay.py makes again.

Names and meanings of the settings are those of train_rbm.py's options. `columns` is the distance
of the pixels that are taken (1: all 784), `updates` the length of the run, in batches in file
order. `sample_steps`: after it, chains start at the first 10 pictures and are sampled twice, with
that number of Gibbs steps before each of the two samples.
"""

import numpy as np

TUTORIAL = {
    "seed": 123, "columns": 1, "n_hidden": 500, "batch_size": 20, "learning_rate": 0.1,
    "algorithm": "pcd", "k": 15, "stream": "mrg", "floatX": "float64",
    "updates": 1000, "sample_steps": 0,
}  # fmt: skip
CD_1 = {"algorithm": "cd", "k": 1}

RUNS = {
    "tutorial_pcd15_shared_float64": {"stream": "shared"},
    "tutorial_pcd15_mrg_float64": {},
    "tutorial_pcd15_mrg_float32": {"floatX": "float32", "updates": 100},
    "tutorial_cd1_shared_float64": {"stream": "shared", **CD_1},
    "tutorial_cd1_mrg_float64": CD_1,
    # A short training, and then the tutorial's sampling.
    "tutorial_samples": {"updates": 10, "sample_steps": 1000},
    # Other seeds, chain lengths, batches and layers.
    "pcd1_shared": {
        "stream": "shared", "k": 1, "seed": 1, "batch_size": 1, "n_hidden": 16, "columns": 7,
        "learning_rate": 0.01, "updates": 500, "sample_steps": 1,
    },
    "pcd3_mrg": {
        "k": 3, "seed": 2, "batch_size": 50, "n_hidden": 1000, "updates": 100, "sample_steps": 3,
    },
    "pcd15_shared": {
        "stream": "shared", "seed": 3, "batch_size": 7, "n_hidden": 40, "columns": 2,
        "updates": 250, "sample_steps": 15,
    },
    "cd3_shared": {
        "stream": "shared", "algorithm": "cd", "k": 3, "seed": 4, "batch_size": 100,
        "n_hidden": 120, "columns": 3, "updates": 100, "sample_steps": 3,
    },
    "cd15_mrg": {
        "algorithm": "cd", "seed": 5, "batch_size": 10, "n_hidden": 64, "columns": 4,
        "updates": 500, "sample_steps": 15,
    },
}  # fmt: skip
RUNS = {name: {**TUTORIAL, **changed} for name, changed in RUNS.items()}

SNAPSHOTS = (10, 100, 250, 500, 750)
N_CHAINS = 10


def trace(settings, update, rbm, chain):
    """Call `update` for one minibatch after another.

    Returns
    -------
    dict of arrays: `costs`, of every update, and what `snapshot` takes after some of them
    """
    recorded, costs = {}, []
    for i in range(settings["updates"]):
        costs.append(update(i))
        if i + 1 in SNAPSHOTS:
            for name, value in snapshot(rbm, chain).items():
                recorded[f"{name}_{i + 1}"] = value
    return {"costs": np.array(costs), **recorded}


def snapshot(rbm, chain):
    """A part of the parameters that every unit has a share in, and the chain's bits."""
    W = rbm.W.get_value()
    taken = {
        "W_slice": W[::37, ::23],
        "W_sum_of_rows": W.sum(axis=1)[::7],
        "W_sum_of_columns": W.sum(axis=0)[::7],
        "hbias": rbm.hbias.get_value()[::5],
        "vbias": rbm.vbias.get_value()[::5],
    }
    if chain is not None:
        taken["chain_bits"] = np.packbits(chain.get_value().astype(bool))
    return taken


def samples(sample):
    """Two samples of the chains: means of the visible units, and bits."""
    recorded = {}
    for i in (1, 2):
        mean, drawn = sample()
        recorded[f"sample_mean_{i}"] = mean[:, ::23]
        recorded[f"sample_bits_{i}"] = np.packbits(drawn.astype(bool))
    return recorded
