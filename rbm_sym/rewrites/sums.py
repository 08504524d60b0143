"""Sums over the rows of a matrix: over the examples of a minibatch.

What is recognised: the sum of a floating-point matrix over its first axis.

What takes its place: `SumOfRows`, which adds row after row to a vector.

Why it is faster: PyTensor's general sum makes the axis the last one first. The plain loop walks
through the memory in order, and is compiled in a fraction of the time.
"""

import numpy as np
from pytensor.compile import optdb
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op
from pytensor.graph.rewriting.basic import dfs_rewriter, node_rewriter
from pytensor.link.numba.dispatch.basic import numba_njit, register_funcify_default_op_cache_key
from pytensor.tensor.math import Sum
from pytensor.tensor.type import vector

from rbm_sym.layouts import any_layout

# Part of the key under which numba keeps machine code on disk: raise it when a kernel changes.
KERNEL_VERSION = 1


class SumOfRows(Op):
    """The sum of a matrix (m, n) over its rows: (n,), added up in `acc_dtype`."""

    __props__ = ("dtype", "acc_dtype")

    def __init__(self, dtype, acc_dtype):
        self.dtype = dtype
        self.acc_dtype = acc_dtype

    def make_node(self, x):
        return Apply(self, [x], [vector(dtype=self.dtype, shape=x.type.shape[1:])])

    def perform(self, node, inputs, output_storage):
        total = np.sum(inputs[0], axis=0, dtype=self.acc_dtype)
        output_storage[0][0] = total.astype(self.dtype)

    def infer_shape(self, *arguments):
        # PyTensor 3.0 passes the function graph before the node, later versions do not.
        *_, ((_, n),) = arguments
        return [(n,)]

    def pullback(self, inputs, outputs, cotangents):
        (x,), (cotangent,) = inputs, cotangents
        return [cotangent[None, :] * x.ones_like()]


@register_funcify_default_op_cache_key(SumOfRows)
def numba_sum_of_rows(op, **kwargs):
    dtype, acc_dtype = np.dtype(op.dtype), np.dtype(op.acc_dtype)

    @numba_njit
    def add_up(x):
        m, n = x.shape
        total = np.zeros(n, acc_dtype)
        for i in range(m):
            for j in range(n):
                total[j] += x[i, j]
        result = np.empty(n, dtype)
        for j in range(n):
            result[j] = total[j]
        return result

    @numba_njit
    def sum_of_rows(x):
        return add_up(any_layout(x))

    return sum_of_rows, KERNEL_VERSION


@node_rewriter([Sum])
def sum_of_rows(fgraph, node):
    (x,) = node.inputs
    result = node.outputs[0]
    if node.op.axis != (0,) or x.ndim != 2 or x.dtype not in ("float32", "float64"):
        return False
    return [SumOfRows(result.dtype, node.op.acc_dtype or result.dtype)(x)]


optdb.register(
    "rbm_sym_sum_of_rows", dfs_rewriter(sum_of_rows), "numba", "rbm_sym", position=47
)
