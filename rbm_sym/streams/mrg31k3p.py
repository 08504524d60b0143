"""MRG31k3p, a generator of many parallel streams (L'Ecuyer and Touzin 2000).

`theano.sandbox.rng_mrg` drew from it. The numbers of a matrix come from different streams, so that
none has to wait for another.
"""

import numpy as np
import pytensor.tensor as pt

from rbm_sym.streams.draws import Bernoulli, Draw

# Two recurrences of order three (L'Ecuyer and Touzin 2000, section 3): their moduli, and the
# matrices that turn (x[n-1], x[n-2], x[n-3]) into the next triple.
MODULUS_1 = 2**31 - 1
MODULUS_2 = 2**31 - 21069
STEP_1 = ((0, 2**22, 2**7 + 1), (1, 0, 0), (0, 1, 0))
STEP_2 = ((2**15, 0, 2**15 + 1), (1, 0, 0), (0, 1, 0))

# The distances that Theano has between the parallel streams of a draw, and between the draws of a
# graph.
STEPS_BETWEEN_STREAMS = 2**72
STEPS_BETWEEN_DRAWS = 2**134


def jump(state, n_steps):
    """The states (..., 6) int64 of MRG31k3p after `n_steps` draws, a Python integer."""
    first = _jump_triple(state[..., :3], STEP_1, MODULUS_1, n_steps)
    second = _jump_triple(state[..., 3:], STEP_2, MODULUS_2, n_steps)
    return np.concatenate([first, second], axis=-1)


def _jump_triple(triple, step, modulus, n_steps):
    power = _matrix_power(step, n_steps, modulus)
    # Each product is below 2**62 and is reduced before the sum, so int64 does not overflow.
    return (triple[..., np.newaxis, :] * power % modulus).sum(axis=-1) % modulus


def _matrix_power(matrix, exponent, modulus):
    # Python integers (dtype object): exponents and intermediate products exceed 64 bits.
    power = np.eye(3, dtype=object)
    square = np.array(matrix, dtype=object)
    while exponent:
        if exponent % 2:
            power = power.dot(square) % modulus
        square = square.dot(square) % modulus
        exponent //= 2
    return power.astype("int64")


def parallel_streams(state, n_streams):
    """States of `n_streams` streams, each 2**72 draws after the one before.

    Parameters
    ----------
    state : (6,) integers, the first stream
    n_streams : int, at least 1

    Returns
    -------
    (6, n_streams) int32: a column is a stream, so that a kernel reads contiguous memory.
    """
    states = np.asarray(state, dtype="int64").reshape(1, 6)
    while len(states) < n_streams:
        states = np.concatenate([states, jump(states, STEPS_BETWEEN_STREAMS * len(states))])
    return np.ascontiguousarray(states[:n_streams].T, dtype="int32")


class MRG31k3pUniform(Draw):
    """Uniform draws in (0, 1]; the state is (6, n_streams) int32, draw i from stream i % n_streams.

    In float32 the largest draws round to 1. `dtype` is "float32" or "float64".
    """

    state_type = pt.TensorType("int32", shape=(6, None))

    def perform(self, node, inputs, output_storage):
        state, n = inputs
        output_storage[0][0], output_storage[1][0] = _uniform_from_streams(state, n, self.dtype)


class MRG31k3pBernoulli(Bernoulli):
    """1 where a uniform draw is below p; the state as for `MRG31k3pUniform`."""

    state_type = MRG31k3pUniform.state_type

    def perform(self, node, inputs, output_storage):
        state, p = inputs
        output_storage[0][0], uniform = _uniform_from_streams(state, p.size, self.precision)
        output_storage[1][0] = (uniform.reshape(p.shape) < p).astype(self.dtype)


def _uniform_from_streams(state, n, dtype):
    """The next state, and a vector of `n` uniform draws."""
    n_streams = state.shape[1]
    rounds = []
    state = state.astype("int64")
    for start in range(0, int(n), n_streams):
        active = min(n_streams, int(n) - start)
        integers, state[:, :active] = _next_integers(state[:, :active])
        rounds.append(integers)
    integers = np.concatenate(rounds) if rounds else np.zeros(0, dtype="int64")
    return state.astype("int32"), integers.astype(dtype) * norm_of(dtype)


def norm_of(dtype):
    # The factors are Theano's; the one of float32 is not the number nearest to 2**-31.
    return np.float32(4.6566126e-10) if dtype == "float32" else np.float64(2.0**-31)


def _next_integers(state):
    """One draw of each stream: integers in [1, 2**31 - 1] and the next state, both int64."""
    x1, x2, x3, y1, y2, y3 = state
    new_x = (2**22 * x2 + (2**7 + 1) * x3) % MODULUS_1
    new_y = (2**15 * y1 + (2**15 + 1) * y3) % MODULUS_2
    difference = new_x - new_y
    integers = np.where(difference <= 0, difference + MODULUS_1, difference)
    return integers, np.stack([new_x, x1, x2, new_y, y1, y2])
