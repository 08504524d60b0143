"""Products with matrices that are mostly zeros.

What is recognised: every product of two floating-point matrices (PyTensor's `Dot`).

What takes its place: `SparseProduct`, which looks at its left factor x when it runs. A sample of
binary units is mostly zeros (MNIST has one pixel in eight on, a trained hidden layer one unit in
twelve), and so are pictures; then row i of the product x y is the sum of those rows of y that
x[i] selects, weighted:

    (x y)[i] = Σ_j x[i, j] y[j],    over the j with x[i, j] != 0

Where x is dense, or the rows of y are not contiguous, BLAS computes the product as before.

Why it is faster: of the multiplications, seven in eight are left out. BLAS, whose blocks use what
they have loaded several times over, does one multiplication in less than half the time; that
gives the density below which skipping pays.
"""

from functools import cache

import numba
import numpy as np
from numba.np.linalg import _BLAS
from pytensor.compile import optdb
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op
from pytensor.graph.rewriting.basic import dfs_rewriter, node_rewriter
from pytensor.link.numba.dispatch.basic import numba_njit, register_funcify_default_op_cache_key
from pytensor.tensor.math import Dot

from rbm_sym.layouts import any_layout, contiguous, flat, in_one_piece

# Part of the key under which numba keeps machine code on disk: raise it when a kernel changes.
KERNEL_VERSION = 1

# The largest share of nonzero entries of x with which skipping zeros is the faster way: for one
# row, when BLAS can use each entry of y only once, and for many.
DENSEST_ROW = 0.75
DENSEST_MATRIX = 0.4

# Rows of y shorter than this are not worth finding.
NARROWEST = 16


class SparseProduct(Op):
    """The product of two matrices (m, k) and (k, n) of one floating-point dtype.

    Zeros in the first are skipped, also where the second is infinite or not a number.
    """

    __props__ = ()

    def make_node(self, x, y):
        return Apply(self, [x, y], [Dot().make_node(x, y).outputs[0].type()])

    def perform(self, node, inputs, output_storage):
        output_storage[0][0] = np.dot(*inputs)

    def infer_shape(self, *arguments):
        # PyTensor 3.0 passes the function graph before the node, later versions do not.
        *_, (x_shape, y_shape) = arguments
        return [(x_shape[0], y_shape[1])]

    def pullback(self, inputs, outputs, cotangents):
        (x, y), (cotangent,) = inputs, cotangents
        return [Dot()(cotangent, y.T), Dot()(x.T, cotangent)]


@numba_njit
def _count_nonzero(numbers):
    # 32 bits, like the numbers: LLVM counts a vector at a time.
    count = np.int32(0)
    for i in range(numbers.size):
        count += np.int32(numbers[i] != 0)
    return count


@numba_njit
def _add_rows(product, i, x, y, selected):
    """product[i] += Σ_j x[i, j] y[j] over the selected j."""
    n = y.shape[1]
    n_in_eights = selected.size - selected.size % 8
    # Eight at once: the sum is loaded and stored once for eight rows.
    for s in range(0, n_in_eights, 8):
        a, b, c, d = selected[s], selected[s + 1], selected[s + 2], selected[s + 3]
        e, f, g, h = selected[s + 4], selected[s + 5], selected[s + 6], selected[s + 7]
        x_a, x_b, x_c, x_d = x[i, a], x[i, b], x[i, c], x[i, d]
        x_e, x_f, x_g, x_h = x[i, e], x[i, f], x[i, g], x[i, h]
        for q in range(n):
            product[i, q] += (
                (x_a * y[a, q] + x_b * y[b, q]) + (x_c * y[c, q] + x_d * y[d, q])
            ) + ((x_e * y[e, q] + x_f * y[f, q]) + (x_g * y[g, q] + x_h * y[h, q]))
    for s in range(n_in_eights, selected.size):
        a = selected[s]
        x_a = x[i, a]
        for q in range(n):
            product[i, q] += x_a * y[a, q]


@numba_njit
def _skip_zeros(x, y, product):
    m, k = x.shape
    selected = np.empty(k, np.uint32)
    for i in range(m):
        # Written always, counted if nonzero: no branch to predict.
        n_selected = 0
        for j in range(k):
            selected[n_selected] = j
            n_selected += x[i, j] != 0
        product[i] = 0
        _add_rows(product, i, x, y, selected[:n_selected])


@cache
def _product_kernel(dtype):
    """One for all products of a graph, so that it is compiled once."""
    blas_product = _blas_product(dtype)

    @numba_njit
    def product(x, y):
        if x.shape[1] != y.shape[0]:
            raise ValueError("dot: the columns of the first matrix must be the rows of the second")
        product = np.empty((x.shape[0], y.shape[1]), dtype)
        densest = DENSEST_MATRIX if x.shape[0] > 1 else DENSEST_ROW
        can_skip = y.shape[1] >= NARROWEST and in_one_piece(y)
        if can_skip and _count_nonzero(flat(x if in_one_piece(x) else x.T)) <= densest * x.size:
            _skip_zeros(x, contiguous(y), product)
        else:
            blas_product(x, y, product)
        return product

    return product


def _blas_product(dtype):
    kind = ord("s" if dtype == "float32" else "d")
    gemm = _BLAS().numba_xxgemm(numba.from_dtype(np.dtype(dtype)))
    as_it_is, transposed = ord("n"), ord("t")

    @numba_njit
    def form(matrix):
        """How BLAS sees the matrix, and the distance between its rows or columns; 0 if not."""
        rows, columns = matrix.shape
        down, right = matrix.strides[0] // matrix.itemsize, matrix.strides[1] // matrix.itemsize
        if right == 1 and down >= max(1, columns):
            return as_it_is, down
        if down == 1 and right >= max(1, rows):
            return transposed, right
        return as_it_is, 0

    @numba_njit
    def readable(matrix):
        _, distance = form(matrix)
        return matrix if distance else any_layout(matrix.copy())

    @numba_njit
    def multiply(x, y, product):
        one, zero = np.ones(1, x.dtype), np.zeros(1, x.dtype)
        x, y = readable(x), readable(y)
        x_form, x_distance = form(x)
        y_form, y_distance = form(y)
        # BLAS counts by columns, so that it sees all three transposed.
        gemm(
            kind, y_form, x_form, y.shape[1], x.shape[0], x.shape[1], one.ctypes,
            y.ctypes, y_distance, x.ctypes, x_distance, zero.ctypes, product.ctypes, y.shape[1],
        )  # fmt: skip

    return multiply


@register_funcify_default_op_cache_key(SparseProduct)
def numba_sparse_product(op, node, **kwargs):
    kernel = _product_kernel(node.outputs[0].dtype)

    @numba_njit
    def sparse_product(x, y):
        return kernel(any_layout(x), any_layout(y))

    return sparse_product, KERNEL_VERSION


@node_rewriter([Dot])
def sparse_product(fgraph, node):
    x, y = node.inputs
    if x.dtype != y.dtype or x.dtype not in ("float32", "float64"):
        return False
    return [SparseProduct()(x, y)]


# Late: rewrites before this one know Dot.
optdb.register(
    "rbm_sym_sparse_product", dfs_rewriter(sparse_product), "numba", "rbm_sym", position=47
)
