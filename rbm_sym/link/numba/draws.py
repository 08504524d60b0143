"""Numba's versions of the Ops that draw, and of the arithmetic on draws.

A generator gives a function `fill(state, first, draws, norm)`. It fills `draws` with the draws of a
call from number `first` on, and returns how many it made, which may be fewer than fit. `norm` is
the factor from integers to floats, if there is one. All functions keep to strict floating point,
since fused or reordered operations would change bits.
"""

from types import FunctionType

import numba
import numpy as np
from pytensor.link.numba.dispatch.basic import numba_njit

from rbm_sym.link.numba.kernels import array_type, kernel, numba_version_of
from rbm_sym.link.numba.layouts import copied, flat, packed
from rbm_sym.streams.arithmetic import Arithmetic, floating_point

# Uniform numbers that are made at a time for a Bernoulli sample. They stay in the fastest cache.
UNIFORM_AT_ONCE = 2048


def numba_draw(op, fill, norm):
    inplace, dtype = op.inplace, np.dtype(op.dtype)

    @numba_njit(fastmath=False)
    def draw(state, n):
        new_state = state if inplace else state.copy()
        draws = np.empty(n.item(), dtype)
        first = 0
        while first < draws.size:
            first += fill(new_state, first, draws[first:], norm)
        return new_state, draws

    return draw


def _sample(state, p, sample, norm):
    uniform = np.empty(min(UNIFORM_AT_ONCE, p.size), uniform_dtype)  # noqa: F821 (see below)
    # Always of this type: for another one, `fill` would be compiled again.
    first = np.intp(0)
    while first < p.size:
        n = fill(state, first, uniform[: p.size - first], norm)  # noqa: F821
        # Views of these parts, so that numba knows that the index i is not negative: faster loops.
        p_part, sample_part = p[first : first + n], sample[first : first + n]
        for i in range(n):
            sample_part[i] = success(uniform[i], p_part[i])  # noqa: F821
        first += n


def numba_bernoulli(op, node, fill, norm, success):
    dtype, precision = np.dtype(op.dtype), np.dtype(op.precision)
    to_overwrite = packed if op.inplace else copied
    p_dtype = node.inputs[1].dtype
    # A kernel finds what it uses in its globals.
    names = {"fill": fill, "success": success, "uniform_dtype": precision}
    take_sample = kernel(
        FunctionType(_sample.__code__, globals() | names),
        f"{type(op).__name__}_{precision}_{p_dtype}_{dtype}",
        [array_type(op.state_type.dtype, op.state_type.ndim, "C"), array_type(p_dtype, 1, "C"),
         array_type(dtype, 1, "C"), numba.from_dtype(precision)],
    )  # fmt: skip

    @numba_njit(fastmath=False)
    def draw(state, p):
        new_state = to_overwrite(state)
        sample = np.empty(p.shape, dtype)
        take_sample(new_state, flat(p), flat(sample), norm)
        return new_state, sample

    return draw


@numba_version_of(Arithmetic)
def numba_arithmetic(op, **kwargs):
    return numba_njit(fastmath=floating_point(op))(op.kernel)
