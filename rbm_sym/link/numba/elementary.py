"""The logistic function and softplus, a vector at a time.

What is recognised: `sigmoid` and `softplus` of floating-point tensors.

What takes its place: the same two functions, built from operations that LLVM can apply to whole
vectors. These are additions, multiplications, roundings and shifts; the C library's exp is not
called.

Why it is faster: PyTensor's own functions are computed one number at a time, since numba has no
vectorised exp. A vector of eight or sixteen numbers takes about the time of one number.

Both keep to strict floating point. They differ from the exact value by at most four units in the
last place, down to the smallest numbers.
"""

import math

import numpy as np
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op
from pytensor.graph.rewriting.basic import node_rewriter
from pytensor.link.numba.dispatch.basic import numba_njit
from pytensor.scalar.math import Sigmoid, Softplus
from pytensor.tensor.elemwise import Elemwise

from rbm_sym.internal.arguments import FLOATS
from rbm_sym.link.numba.kernels import array_type, kernel, numba_version_of
from rbm_sym.link.numba.layouts import flat


class VectorFunction(Op):
    """`sigmoid` or `softplus` of each number of a floating-point tensor."""

    __props__ = ("function",)

    def __init__(self, function):
        self.function = function

    def make_node(self, x):
        return Apply(self, [x], [x.type()])

    def perform(self, node, inputs, output_storage):
        (x,) = inputs
        t = np.exp(-np.abs(x))
        if self.function == "sigmoid":
            output_storage[0][0] = np.where(x >= 0, 1, t) / (1 + t)
        else:
            output_storage[0][0] = np.maximum(x, 0) + np.log1p(t)

    def infer_shape(self, *arguments):
        # PyTensor 3.0 passes the function graph before the node, later versions do not.
        *_, shapes = arguments
        return shapes

    def pullback(self, inputs, outputs, cotangents):
        (x,), (cotangent,) = inputs, cotangents
        sigmoid = VectorFunction("sigmoid")(x)
        derivative = sigmoid * (1 - sigmoid) if self.function == "sigmoid" else sigmoid
        return [cotangent * derivative]


def _strict(function):
    # By default numba checks a divisor for zero, as Python does, but no vector instruction can. Of
    # the options of fastmath, these functions are still right with fused multiply-add only.
    return numba_njit(function, fastmath={"contract"}, error_model="numpy")


def _polynomial(coefficients):
    """The polynomial with these coefficients, lowest order first, as a function (Horner's rule)."""
    highest = len(coefficients) - 1
    names = {f"c{i}": c for i, c in enumerate(coefficients)} | {"__name__": __name__}
    # Written out, since numba does not unroll a loop over a tuple.
    body = f"c{highest}"
    for i in reversed(range(highest)):
        body = f"({body}) * x + c{i}"
    return _strict(eval(f"lambda x: {body}", names))


def _exp_of_negative(dtype):
    """exp(y) for y ≤ 0: 2^n exp(r), where n = round(y / log 2) and |r| ≤ log(2) / 2."""
    number = np.dtype(dtype).type
    # log 2 in two parts. The upper one has few enough bits for its multiples to be exact.
    if dtype == "float32":
        bits, mantissa, bias, terms, lowest = np.int32, 23, 127, 8, -104
        log_2, rest_of_log_2 = 0.693145751953125, 1.428606820309417e-06
    else:
        bits, mantissa, bias, terms, lowest = np.int64, 52, 1023, 14, -746
        log_2, rest_of_log_2 = 0.6931471803691238, 1.9082149292705877e-10
    log_2, rest_of_log_2, lowest = number(log_2), number(rest_of_log_2), number(lowest)
    inverse_log_2 = number(1 / math.log(2))
    taylor = _polynomial([number(1 / math.factorial(i)) for i in range(terms)])

    @_strict
    def power_of_two(n):
        return bits((n + bias) << mantissa).view(number)

    @_strict
    def exp_of_negative(y):
        y = max(y, lowest)
        n = np.rint(y * inverse_log_2)
        r = (y - n * log_2) - n * rest_of_log_2
        exponent = np.int32(n)
        # In two halves: where exp(y) is denormal, 2^n alone is out of the exponent's range.
        half = exponent >> 1
        return taylor(r) * power_of_two(half) * power_of_two(exponent - half)

    return exp_of_negative


def _sigmoid(dtype):
    zero, one = np.dtype(dtype).type(0), np.dtype(dtype).type(1)
    exp_of_negative = _exp_of_negative(dtype)

    @_strict
    def sigmoid(x):
        t = exp_of_negative(-abs(x))
        return (one if x >= zero else t) / (one + t)

    return sigmoid


def _softplus(dtype):
    number = np.dtype(dtype).type
    zero, two = number(0), number(2)
    exp_of_negative = _exp_of_negative(dtype)
    # log(1 + t) = 2 artanh(s) = 2 s Σ_i s^2i / (2i + 1) with s = t / (2 + t), at most 1/3 here.
    terms = 8 if dtype == "float32" else 17
    artanh = _polynomial([number(1 / (2 * i + 1)) for i in range(terms)])

    @_strict
    def softplus(x):
        t = exp_of_negative(-abs(x))
        s = t / (two + t)
        return max(x, zero) + two * s * artanh(s * s)

    return softplus


@numba_version_of(VectorFunction)
def numba_vector_function(op, node, **kwargs):
    dtype = node.outputs[0].dtype
    loop = _loop({"sigmoid": _sigmoid, "softplus": _softplus}[op.function](dtype))
    vector = array_type(dtype, 1, "C")
    fill = kernel(loop, f"{op.function}_{dtype}", [vector, vector], {"contract"})

    @numba_njit
    def vector_function(x):
        result = np.empty(x.shape, dtype)
        fill(flat(x), flat(result))
        return result

    return vector_function


def _loop(function):
    # With globals of its own, not a closure: see `kernel`.
    source = "def loop(x, result):\n    for i in range(x.size):\n        result[i] = function(x[i])"
    namespace = {"function": function, "__name__": __name__}
    exec(source, namespace)
    return namespace["loop"]


@node_rewriter([Elemwise])
def vectorised_functions(fgraph, node):
    function = {Sigmoid: "sigmoid", Softplus: "softplus"}.get(type(node.op.scalar_op))
    if function is None or node.inputs[0].dtype not in FLOATS:
        return False
    return [VectorFunction(function)(node.inputs[0])]
