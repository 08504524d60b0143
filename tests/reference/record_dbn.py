"""Record what deep belief networks compute on Theano, for test_dbn.py to compare with.

    python3.8 -m pip install "theano==1.0.5" "numpy<1.20" "scipy<1.6"
    OPENBLAS_NUM_THREADS=1 OPENBLAS_CORETYPE=Haswell THEANO_FLAGS=device=cpu \
        python3.8 record_dbn.py dbn_runs.npz --dataset ../../rbm_sym/data/digits.npz

The network is theano_dbn.py, the settings are in dbn_settings.py.
"""

import argparse
import json
import sys

import numpy as np
import theano
from dbn_settings import RUNS, finetune, pretrain, take
from run_settings import N_CHAINS, samples
from theano.tensor.shared_randomstreams import RandomStreams
from theano_dbn import DBN


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output")
    parser.add_argument("--dataset", required=True, help="digits.npz")
    parser.add_argument("--runs", nargs="+", choices=sorted(RUNS), default=list(RUNS))
    parser.add_argument(
        "--settings",
        type=json.loads,
        help="JSON: one run, named `live`, of these, in place of --runs",
    )
    args = parser.parse_args()

    runs = {name: RUNS[name] for name in args.runs}
    if args.settings is not None:
        runs = {"live": {**RUNS["deep"], **args.settings}}
    sets = read_sets(args.dataset)
    recorded = {}
    for name, settings in runs.items():
        for key, value in record(settings, sets).items():
            recorded[f"{name}/{key}"] = value
        print(name, flush=True)
    np.savez_compressed(args.output, **recorded)


def read_sets(path):
    arrays = np.load(path)
    return [
        (arrays[name + "_x"] / np.float32(256), arrays[name + "_y"])
        for name in ("train", "valid", "test")
    ]


def record(settings, sets):
    theano.config.floatX = settings["floatX"]
    arrays = take(settings, sets)
    datasets = [(theano.shared(x), theano.shared(y)) for x, y in arrays]
    numpy_rng = np.random.RandomState(settings["seed"])
    theano_rng = None
    if settings["stream"] == "shared":
        theano_rng = RandomStreams(numpy_rng.randint(2**30))
    dbn = DBN(numpy_rng, theano_rng, arrays[0][0].shape[1], settings["hidden_layers"], n_outs=10)

    train_x, batch_size = datasets[0][0], settings["batch_size"]
    functions = dbn.pretraining_functions(train_x, batch_size, settings["k"])
    recorded = pretrain(settings, dbn, functions)
    start = theano.function([dbn.x], dbn.rbm_layers[-1].input)(arrays[0][0][:N_CHAINS])
    outputs, updates = dbn.sample(theano.shared(start), settings["sample_steps"])
    recorded.update(samples(theano.function([], outputs, updates=updates)))
    functions = dbn.build_finetune_functions(datasets, batch_size, settings["finetuning_rate"])
    recorded.update(finetune(settings, dbn, functions))
    facts = {
        "theano": theano.__version__,
        "numpy": np.__version__,
        "python": sys.version.split()[0],
        "blas": theano.config.blas.ldflags or "NumPy's",
    }
    recorded["settings"] = np.array(json.dumps({**settings, **facts}))
    return recorded


if __name__ == "__main__":
    main()
