"""The runs of deep belief networks that record_dbn.py records with Theano and test_dbn.py repeats.

`columns` is the distance of the pixels that are taken (1: all 784). Each layer is pretrained for
`pretraining_updates`, then the network is fine-tuned for `finetuning_updates`, in batches in file
order; `pictures` are the numbers of training, validation and test pictures that are used. After
pretraining, chains start at what the network makes of the first 10 training pictures, and are
sampled twice, with `sample_steps` Gibbs steps before each of the two samples.
"""

import numpy as np

DEEP = {
    "seed": 123, "stream": "mrg", "columns": 1, "hidden_layers": [100, 100, 100], "k": 1,
    "batch_size": 10, "pretraining_rate": 0.01, "pretraining_updates": 300,
    "finetuning_rate": 0.1, "finetuning_updates": 300, "pictures": [3000, 1000, 1000],
    "sample_steps": 20, "floatX": "float64",
}  # fmt: skip

RUNS = {
    "deep": {},
    "tutorial": {"hidden_layers": [1000, 1000, 1000], "pictures": [10000, 1000, 1000]},
    "four_layers": {
        "seed": 1, "stream": "shared", "columns": 5, "hidden_layers": [60, 40, 50, 30],
        "pretraining_rate": 0.1, "batch_size": 7, "sample_steps": 3,
    },
    "long_chains": {
        "seed": 2, "columns": 3, "hidden_layers": [70, 90], "k": 5, "batch_size": 20,
        "pretraining_rate": 0.05, "finetuning_rate": 0.5, "sample_steps": 1,
        "pretraining_updates": 500, "finetuning_updates": 600, "pictures": [10000, 1000, 1000],
    },
    "one_layer": {
        "seed": 3, "stream": "shared", "columns": 4, "hidden_layers": [50], "k": 15,
        "batch_size": 1, "pretraining_rate": 0.02, "finetuning_rate": 0.01,
    },
    "wide": {
        "seed": 4, "hidden_layers": [500, 300], "batch_size": 33, "pretraining_rate": 0.1,
        "pictures": [10000, 1000, 1000],
    },
}  # fmt: skip
RUNS = {name: {**DEEP, **changed} for name, changed in RUNS.items()}

# Fine-tuning updates between two looks at the errors.
BETWEEN_SCORES = 100


def take(settings, sets):
    """Of three sets (pictures, labels), the part that the settings name."""
    return [
        (x[:n, :: settings["columns"]].astype(settings["floatX"]), y[:n].astype("int32"))
        for n, (x, y) in zip(settings["pictures"], sets)
    ]


def pretrain(settings, dbn, functions):
    """Pretrain layer after layer: the costs of all updates, and then parts of the parameters."""
    recorded = {}
    for i, (rbm, function) in enumerate(zip(dbn.rbm_layers, functions)):
        n_batches = settings["pictures"][0] // settings["batch_size"]
        rate, updates = settings["pretraining_rate"], settings["pretraining_updates"]
        costs = [function(index=u % n_batches, lr=rate) for u in range(updates)]
        recorded[f"pretraining_costs_{i}"] = np.array(costs)
        recorded[f"vbias_{i}"] = rbm.vbias.get_value()[::5]
    return {**recorded, **snapshot(dbn, "pretrained")}


def finetune(settings, dbn, functions):
    """Fine-tune: the costs of all updates, errors in between, and parts of the parameters."""
    train, valid_score, test_score = functions
    n_batches = settings["pictures"][0] // settings["batch_size"]
    costs, errors = [], []
    for u in range(settings["finetuning_updates"]):
        costs.append(train(u % n_batches))
        if (u + 1) % BETWEEN_SCORES == 0:
            errors.append([np.mean(valid_score()), np.mean(test_score())])
    recorded = {"finetuning_costs": np.array(costs), "errors": np.array(errors)}
    return {**recorded, **snapshot(dbn, "finetuned")}


def snapshot(dbn, when):
    """A part of the parameters that every unit has a share in."""
    taken = {}
    for i, param in enumerate(dbn.params):
        value = np.atleast_2d(param.get_value())
        taken[f"{when}_{i}_sums"] = value.sum(axis=0)[::3]
        taken[f"{when}_{i}_slice"] = value[::37, ::23]
    return taken
