"""MRG31k3p for numba."""

import numpy as np
from pytensor.link.numba.dispatch.basic import numba_njit

from rbm_sym.link.numba.draws import numba_bernoulli, numba_draw
from rbm_sym.link.numba.kernels import numba_version_of
from rbm_sym.streams.mrg31k3p import (
    MODULUS_1,
    MODULUS_2,
    MRG31k3pBernoulli,
    MRG31k3pUniform,
    norm_of,
)


@numba_njit(fastmath=False)
def _advance_streams(x1, x2, x3, y1, y2, y3, draws, norm):
    # All numbers are unsigned 32-bit words, and shifts replace products and remainders, so that
    # LLVM computes a vector of streams at a time.
    modulus_1, modulus_2 = np.uint32(MODULUS_1), np.uint32(MODULUS_2)
    for i in range(draws.size):
        b, c = np.uint32(x2[i]), np.uint32(x3[i])
        x = np.uint32(((b & 511) << 22) + (b >> 9) + ((c & 16777215) << 7) + (c >> 24))
        x = np.uint32(x - modulus_1) if x >= modulus_1 else x
        x = np.uint32(x + c)
        x = np.uint32(x - modulus_1) if x >= modulus_1 else x

        a, c = np.uint32(y1[i]), np.uint32(y3[i])
        y = np.uint32(((a & 65535) << 15) + 21069 * (a >> 16))
        y = np.uint32(y - modulus_2) if y >= modulus_2 else y
        z = np.uint32(((c & 65535) << 15) + 21069 * (c >> 16))
        z = np.uint32(z - modulus_2) if z >= modulus_2 else z
        z = np.uint32(z + c)
        z = np.uint32(z - modulus_2) if z >= modulus_2 else z
        y = np.uint32(y + z)
        y = np.uint32(y - modulus_2) if y >= modulus_2 else y

        x3[i], x2[i], x1[i] = x2[i], x1[i], np.int32(x)
        y3[i], y2[i], y1[i] = y2[i], y1[i], np.int32(y)
        difference = np.uint32(x - y + modulus_1) if x <= y else np.uint32(x - y)
        draws[i] = draws.dtype.type(np.int32(difference)) * norm


@numba_njit(fastmath=False)
def _fill_from_streams(state, first, draws, norm):
    start = first % state.shape[1]
    n = min(draws.size, state.shape[1] - start)
    stop = start + n
    _advance_streams(
        state[0, start:stop], state[1, start:stop], state[2, start:stop],
        state[3, start:stop], state[4, start:stop], state[5, start:stop], draws[:n], norm,
    )  # fmt: skip
    return n


@numba_njit(fastmath=False)
def _success(uniform, p):
    return uniform < p


@numba_version_of(MRG31k3pUniform)
def numba_mrg31k3p_uniform(op, **kwargs):
    return numba_draw(op, _fill_from_streams, norm_of(op.dtype))


@numba_version_of(MRG31k3pBernoulli)
def numba_mrg31k3p_bernoulli(op, node, **kwargs):
    return numba_bernoulli(op, node, _fill_from_streams, norm_of(op.precision), _success)
