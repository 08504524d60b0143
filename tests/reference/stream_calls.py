"""The draws that record_streams.py records with Theano and test_streams.py makes again."""

import numpy as np

SEEDS = (1, 123, 843828734, 2**30 - 1)
# Each function is called twice, and twice again after the streams were seeded anew.
CALLS = 4
SEED_OF_LAST_CALLS = 7


def probabilities(dtype):
    return np.linspace(0, 1, 35).reshape(5, 7).astype(dtype)


def draws(rng, p, floatX, has_more_calls):
    """Symbolic and constant sizes, each distribution, each rule for the dtype.

    `has_more_calls` says that `rng` is a RandomStreams, which can do more than MRG_RandomStreams.
    """
    drawn = {
        "binomial_symbolic_size": rng.binomial(size=p.shape, n=1, p=p, dtype=floatX),
        "binomial_default_dtype": rng.binomial(size=p.shape, p=p),
        "binomial_constant_size": rng.binomial(size=(4, 3), p=0.3),
        "uniform_constant_size": rng.uniform((50,)),
        "uniform_one": rng.uniform((1,)),
        "uniform_symbolic_size": rng.uniform(p.shape),
        "uniform_interval": rng.uniform((3, 3), low=-2.0, high=0.5),
        "uniform_many": rng.uniform((130, 130)),
        "uniform_double": rng.uniform((3,), dtype="float64"),
        "normal_even": rng.normal((4, 3)),
        "normal_odd": rng.normal((5, 3), avg=1.0, std=2.0),
        "uniform_beyond_the_streams": rng.uniform((3, 15361)),
        "uniform_other_interval": rng.uniform(p.shape, low=-0.3, high=p),
        "normal_of_parameters": rng.normal(p.shape, avg=p, std=p + 0.1),
        "normal_double": rng.normal((7,), avg=0.3, std=0.7, dtype="float64"),
    }
    if has_more_calls:
        drawn["binomial_of_p"] = rng.binomial(p=p, dtype=floatX)
        drawn["binomial_of_ten"] = rng.binomial(size=(20,), n=10, p=0.4)
        drawn["uniform_of_bounds"] = rng.uniform(low=0.0, high=p)
    return drawn


def chain_step(rng, floatX):
    """A step of a chain that is no RBM's: one draw of each kind, the last one the next state."""

    def step(state):
        return [
            rng.uniform(size=state.shape, low=-1.0, high=0.3),
            rng.normal(size=state.shape, std=0.7),
            rng.binomial(size=state.shape, p=0.25 + state * 0.5, dtype=floatX),
        ]

    return step


def at_the_edge(streams, function, inputs):
    """Binomial draws whose probability is the very uniform number that they are compared with.

    `streams` is either class, `inputs` a symbolic vector; `function` compiles. The result has the
    rows p = u and p = 1 - u.
    """
    size = (100,)
    u = function([], streams(123).uniform(size))()
    draw = streams(123).binomial(size=size, p=inputs)
    again = streams(123).binomial(size=size, p=1 - inputs)
    return np.array(function([inputs], [draw, again])(u))


def excerpts(functions, generators, floatX):
    """What the compiled `functions` draw: for each call a list of excerpts of all their results."""
    calls = []
    for call in range(CALLS):
        if call == CALLS // 2:
            for generator in generators:
                generator.seed(SEED_OF_LAST_CALLS)
        values = [value for function in functions for value in function(probabilities(floatX))]
        calls.append([excerpt(value) for value in values])
    return calls


def excerpt(value):
    """Of a long draw, the beginning and the end: it wraps around the parallel streams."""
    drawn = value.ravel()
    return drawn if drawn.size <= 23 else np.concatenate([drawn[:3], drawn[-20:]])
