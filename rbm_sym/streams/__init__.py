"""Random streams with Theano's interface and Theano's numbers.

`RandomStreams` is `theano.tensor.shared_randomstreams.RandomStreams`, `MRG_RandomStreams` is
`theano.sandbox.rng_mrg.MRG_RandomStreams`. Each call of `binomial`, `uniform` or `normal` makes
a stream of its own, in call order. A stream is a shared variable that holds the state of a
generator; the call returns an expression for a draw from it. With the same seed and the same order
of calls, the draws are Theano's to the last bit. (If `low`, `high`, `avg` or `std` are computed in
the graph, the compiler decides how they are rounded. Theano's MRG streams merged such expressions
with the draw.)

A compiled function moves the states on by itself. It also accepts them as explicit updates
(`updates()`, or the second result of `gibbs_chain`).
"""

from rbm_sym.streams.random_streams import (
    MRG_RandomStreams,
    RandomStreams,
    Streams,
    make_streams,
)
from rbm_sym.streams.states import StreamState, building, stream_updates

__all__ = [
    "MRG_RandomStreams",
    "RandomStreams",
    "StreamState",
    "Streams",
    "building",
    "make_streams",
    "stream_updates",
]
