"""Record what training and sampling compute on Theano, for replay.py to compare with.

    python3.8 -m pip install "theano==1.0.5" "numpy<1.20" "scipy<1.6"
    OPENBLAS_NUM_THREADS=1 OPENBLAS_CORETYPE=Haswell THEANO_FLAGS=device=cpu \
        python3.8 record_runs.py runs.npz --dataset mnist.pkl.gz
    OPENBLAS_NUM_THREADS=1 OPENBLAS_CORETYPE=Sandybridge THEANO_FLAGS=device=cpu \
        python3.8 record_runs.py rounding_sandybridge.npz --dataset mnist.pkl.gz --costs-only \
        --runs tutorial_{pcd15,cd1}_{shared,mrg}_float64 tutorial_pcd15_mrg_float32

The model is theano_rbm.py, or with --tutorial FOLDER the `rbm.py` in that folder. The rounding
depends on OpenBLAS and on the kernels that it picks for the processor. With OpenBLAS 0.3.21 and
OPENBLAS_CORETYPE as above, recordings on different processors are equal to the last bit. The
second command records where Theano parts from itself when nothing but rounding differs; there is
one of SkylakeX too, for processors that have AVX-512.
"""

import argparse
import gzip
import json
import pickle
import sys
import time

import numpy as np
import theano
import theano.tensor as T
from run_settings import N_CHAINS, RUNS, samples, trace
from theano.sandbox.rng_mrg import MRG_RandomStreams
from theano.tensor.shared_randomstreams import RandomStreams

STREAMS = {"mrg": MRG_RandomStreams, "shared": RandomStreams}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output")
    parser.add_argument("--dataset", required=True, help="mnist.pkl.gz, or digits.npz")
    parser.add_argument("--runs", nargs="+", choices=sorted(RUNS), default=list(RUNS))
    parser.add_argument("--updates", type=int, help="instead of each run's own number")
    parser.add_argument("--costs-only", action="store_true", help="no snapshots and samples")
    parser.add_argument("--tutorial", metavar="FOLDER", help="record its rbm.py")
    args = parser.parse_args()

    RBM = load_model(args.tutorial)
    pictures = read_pictures(args.dataset)
    recorded = {}
    for name in args.runs:
        settings = dict(RUNS[name])
        settings["updates"] = min(
            args.updates or settings["updates"], len(pictures) // settings["batch_size"]
        )
        for key, value in record(RBM, settings, pictures).items():
            if key in ("costs", "settings") or not args.costs_only:
                recorded[f"{name}/{key}"] = value
        print(name, settings["updates"], "updates", flush=True)
    np.savez_compressed(args.output, **recorded)


def load_model(folder):
    if folder is None:
        from theano_rbm import RBM
    else:
        sys.path.insert(0, folder)
        from rbm import RBM
    return RBM


def read_pictures(path):
    if path.endswith(".npz"):
        pictures = np.load(path)["train_x"]
        return pictures / np.float32(256) if pictures.dtype == np.uint8 else pictures
    with gzip.open(path) as file:
        return pickle.load(file, encoding="latin1")[0][0]


def record(RBM, settings, pictures):
    floatX = theano.config.floatX = settings["floatX"]
    pictures = pictures[:, :: settings["columns"]].astype(floatX)
    train_x = theano.shared(pictures, borrow=True)
    n_hidden, batch_size = settings["n_hidden"], settings["batch_size"]

    x, index = T.matrix("x"), T.lscalar("index")
    numpy_rng = np.random.RandomState(settings["seed"])
    theano_rng = STREAMS[settings["stream"]](numpy_rng.randint(2**30))
    rbm = RBM(
        input=x, n_visible=pictures.shape[1], n_hidden=n_hidden,
        numpy_rng=numpy_rng, theano_rng=theano_rng,
    )  # fmt: skip
    chain = None
    if settings["algorithm"] == "pcd":
        chain = theano.shared(np.zeros((batch_size, n_hidden), dtype=floatX), borrow=True)
    cost, updates = rbm.get_cost_updates(
        lr=settings["learning_rate"], persistent=chain, k=settings["k"]
    )
    batch = train_x[index * batch_size : (index + 1) * batch_size]
    update = theano.function([index], cost, updates=updates, givens={x: batch})

    began = time.time()
    recorded = trace(settings, update, rbm, chain)
    facts = {
        "milliseconds an update": 1000 * (time.time() - began) / settings["updates"],
        "theano": theano.__version__,
        "numpy": np.__version__,
        "python": sys.version.split()[0],
        "blas": theano.config.blas.ldflags or "NumPy's",
    }
    if settings["sample_steps"]:
        recorded.update(samples(sampler(rbm, pictures[:N_CHAINS], settings["sample_steps"])))
    recorded["settings"] = np.array(json.dumps({**settings, **facts}))
    return recorded


def sampler(rbm, start, steps):
    chain = theano.shared(start, borrow=False)
    outputs, updates = theano.scan(rbm.gibbs_vhv, outputs_info=[None] * 5 + [chain], n_steps=steps)
    updates[chain] = outputs[5][-1]
    return theano.function([], [outputs[4][-1], outputs[5][-1]], updates=updates)


if __name__ == "__main__":
    main()
