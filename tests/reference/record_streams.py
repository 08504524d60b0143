"""Record draws of Theano's two random streams, for test_streams.py.

    python3.8 -m pip install "theano==1.0.5" "numpy<1.20" "scipy<1.6"
    THEANO_FLAGS=device=cpu python3.8 record_streams.py streams.npz

For each seed, one compiled function makes all draws of stream_calls.py; it is called twice.
"""

import sys

import numpy as np
import theano
import theano.tensor as T
from stream_calls import SEEDS, draws, excerpt, probabilities
from theano.sandbox.rng_mrg import MRG_RandomStreams
from theano.tensor.shared_randomstreams import RandomStreams


def main(path):
    recorded = {}
    for floatX in ("float32", "float64"):
        theano.config.floatX = floatX
        for streams in (RandomStreams, MRG_RandomStreams):
            for seed in SEEDS:
                p = T.matrix("p")
                drawn = draws(streams(seed), p, floatX, streams is RandomStreams)
                function = theano.function([p], list(drawn.values()))
                for call in range(2):
                    values = function(probabilities(floatX))
                    for name, value in zip(drawn, values):
                        key = "/".join([floatX, streams.__name__, str(seed), name, str(call)])
                        recorded[key] = excerpt(value)
    np.savez_compressed(path, **recorded)


if __name__ == "__main__":
    main(sys.argv[1])
