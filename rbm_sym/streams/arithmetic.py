"""Arithmetic on draws.

These are Ops too, so that no compiler decides whether a product and a sum are rounded once or
twice.
"""

from functools import cache

import numba
import numpy as np
from pytensor.gradient import grad_undefined
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op
from pytensor.graph.replace import _vectorize_node
from pytensor.tensor.blockwise import vectorize_node_fallback

from rbm_sym.streams.draws import repeated_rows_error


class Arithmetic(Op):
    """A vector of floats from draws and parameters, by a numba kernel.

    `kernel` is a function of arrays. `fused` says whether numba may round a product and a sum in it
    only once.
    """

    kernel = None
    fused = False

    def make_node(self, draws, *parameters):
        return Apply(self, [draws, *parameters], [draws.type()])

    def perform(self, node, inputs, output_storage):
        output_storage[0][0] = compiled(self)(*inputs)

    def infer_shape(self, *arguments):
        *_, shapes = arguments
        return [shapes[0]]


class Affine(Arithmetic):
    """From a vector of standard draws to an interval or a normal distribution, elementwise.

    The inputs are three vectors of one length and one float dtype: the draws and two parameters.

    Parameters
    ----------
    fused : bool
        Whether a product and a sum are rounded only once, if the processor can do that (a fused
        multiply-add; processors since about 2013 can). C compilers compiled Theano's own code in
        this way, but not NumPy's.
    """

    __props__ = ("fused",)

    def __init__(self, fused):
        self.fused = fused


@_vectorize_node.register(Affine)
def vectorize_affine(op, node, draws, *parameters):
    if draws.type.ndim == 1:
        raise repeated_rows_error(op)
    return vectorize_node_fallback(op, node, draws, *parameters)


class OnInterval(Affine):
    """low + (high - low) draws, of (draws, low, high)."""

    @staticmethod
    def kernel(draws, low, high):
        result = np.empty_like(draws)
        for i in range(draws.size):
            result[i] = low[i] + (high[i] - low[i]) * draws[i]
        return result

    def pullback(self, inputs, outputs, cotangents):
        (draws, low, high), (cotangent,) = inputs, cotangents
        return [cotangent * (high - low), cotangent * (1 - draws), cotangent * draws]


class ScaledAndShifted(Affine):
    """shift + scale draws, of (draws, scale, shift)."""

    @staticmethod
    def kernel(draws, scale, shift):
        result = np.empty_like(draws)
        for i in range(draws.size):
            result[i] = shift[i] + scale[i] * draws[i]
        return result

    def pullback(self, inputs, outputs, cotangents):
        (draws, scale, _), (cotangent,) = inputs, cotangents
        return [cotangent * scale, cotangent * draws, cotangent]


class BoxMuller(Arithmetic):
    """As many standard normal numbers as there are uniform ones (Box and Muller 1958).

    The vector has an even length. Its first half gives the radii, its second half the angles.
    """

    __props__ = ()

    def pullback(self, inputs, outputs, cotangents):
        return [grad_undefined(self, 0, inputs[0], "a random draw has no derivative")]

    @staticmethod
    def kernel(uniform):
        normal = np.empty_like(uniform)
        two, two_pi = uniform.dtype.type(2.0), uniform.dtype.type(2.0 * np.pi)
        half = uniform.size // 2
        for i in range(half):
            radius = np.sqrt(-two * np.log(uniform[i]))
            angle = two_pi * uniform[half + i]
            normal[i] = radius * np.cos(angle)
            normal[half + i] = radius * np.sin(angle)
        return normal


def floating_point(op):
    """Numba's option `fastmath` for the kernel of this Op."""
    return {"contract"} if op.fused else False


@cache
def compiled(op):
    """The kernel for linkers other than numba's.

    It is compiled by numba too: NumPy cannot fuse, and its logarithm and cosine differ from the C
    library's in the last bit. PyTensor's `numba_njit` would not do, since only other compiled
    functions can call what it makes.
    """
    return numba.njit(fastmath=floating_point(op))(op.kernel)
