"""Record draws of Theano's two random streams, for test_streams.py.

    python3.8 -m pip install "theano==1.0.5" "numpy<1.20" "scipy<1.6"
    THEANO_FLAGS=device=cpu python3.8 record_streams.py streams.npz

For each seed, one compiled function makes all draws of stream_calls.py, and another one runs a
chain of five steps. The arrays have the axes (seed, call, draw).
"""

import sys

import numpy as np
import theano
import theano.tensor as T
from stream_calls import SEEDS, at_the_edge, chain_step, draws, excerpts
from theano.sandbox.rng_mrg import MRG_RandomStreams
from theano.tensor.shared_randomstreams import RandomStreams


def main(path):
    recorded = {}
    for floatX in ("float32", "float64"):
        theano.config.floatX = floatX
        for streams in (RandomStreams, MRG_RandomStreams):
            by_seed = [record(streams, seed, floatX) for seed in SEEDS]
            for name in by_seed[0]:
                key = f"{floatX}/{streams.__name__}/{name}"
                recorded[key] = np.array([calls[name] for calls in by_seed])
            edge = at_the_edge(streams, theano.function, T.vector("p"))
            recorded[f"{floatX}/{streams.__name__}/edge"] = edge
    np.savez_compressed(path, **recorded)


def record(streams, seed, floatX):
    """A dict from name to the excerpts of all calls."""
    rng, chain_rng, p = streams(seed), streams(seed), T.matrix("p")
    drawn = draws(rng, p, floatX, streams is RandomStreams)
    function = theano.function([p], list(drawn.values()))
    outputs, updates = theano.scan(
        chain_step(chain_rng, floatX), outputs_info=[None, None, T.round(p)], n_steps=5
    )
    chain = theano.function([p], outputs, updates=updates)
    names = [*drawn, "chain_0", "chain_1", "chain_2"]
    calls = excerpts([function, chain], [rng, chain_rng], floatX)
    return dict(zip(names, zip(*calls)))


if __name__ == "__main__":
    main(sys.argv[1])
