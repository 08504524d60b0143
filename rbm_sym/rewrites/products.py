"""Products with matrices that are mostly zeros.

What is recognised: every product of two floating-point matrices (PyTensor's `Dot`).

What takes its place: `SparseProduct`, which looks at its left factor x when it runs. A sample of
binary units is mostly zeros (MNIST has one pixel in eight on, a trained hidden layer one unit in
twelve), and so are pictures; then row i of the product x y is the sum of those rows of y that
x[i] selects, weighted:

    (x y)[i] = Σ_j x[i, j] y[j],    over the j with x[i, j] != 0

Where x is dense, or y does not lie in memory row by row, BLAS computes the product as before.

Sums of such products with a bias or with a matrix are recognised too. `SparseProduct` adds a bias
itself; `MatrixPlusProduct` adds the product to a matrix, in place: an update of the weights then
touches only the rows that have something to learn.

Why it is faster: of the multiplications, seven in eight are left out. BLAS, whose blocks use what
they have loaded several times over, does one multiplication in less than half the time; that
gives the density below which skipping pays.
"""

import numpy as np
import pytensor.tensor as pt
from numba import types
from pytensor.compile import optdb
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op
from pytensor.graph.rewriting.basic import dfs_rewriter, node_rewriter
from pytensor.link.numba.dispatch.basic import numba_njit, register_funcify_default_op_cache_key
from pytensor.scalar import Add, Mul, Sub
from pytensor.tensor.elemwise import DimShuffle, Elemwise
from pytensor.tensor.math import Dot

from rbm_sym.kernels import (
    FLOATS,
    FREE,
    any_layout,
    array_type,
    as_vector,
    contiguous,
    flat,
    in_one_piece,
    kernel,
    register_in_place,
    to_overwrite,
)

# Part of the key under which numba keeps machine code on disk: raise it when a kernel changes.
KERNEL_VERSION = 3

# The largest share of nonzero entries of x with which skipping zeros is the faster way: for one
# row, when BLAS can use each entry of y only once, and for many.
DENSEST_ROW = 0.75
DENSEST_MATRIX = 0.4

# Rows of y shorter than this are not worth finding.
NARROWEST = 16


class SparseProduct(Op):
    """x y, or x y + bias: matrices (m, k), (k, n), (1, n) or a vector (n,), of one float dtype.

    Zeros in x are skipped, also where y is infinite or not a number.
    """

    __props__ = ()

    def make_node(self, x, y, *bias):
        return Apply(self, [x, y, *bias], [Dot().make_node(x, y).outputs[0].type()])

    def perform(self, node, inputs, output_storage):
        x, y, *bias = inputs
        output_storage[0][0] = sum(bias, start=np.dot(x, y))

    def infer_shape(self, *arguments):
        # PyTensor 3.0 passes the function graph before the node, later versions do not.
        *_, (x_shape, y_shape, *_bias_shape) = arguments
        return [(x_shape[0], y_shape[1])]

    def pullback(self, inputs, outputs, cotangents):
        (x, y, *bias), (cotangent,) = inputs, cotangents
        return [
            Dot()(cotangent, y.T),
            Dot()(x.T, cotangent),
            *(cotangent.sum(0, keepdims=b.ndim == 2) for b in bias),
        ]


class MatrixPlusProduct(Op):
    """z + x y: matrices (m, n), (m, k) and (k, n) of one floating-point dtype.

    `inplace` lets the sum take the memory of z; a rewrite sets it after the graph is built.
    """

    __props__ = ("inplace",)

    def __init__(self, inplace=False):
        self.inplace = inplace
        if inplace:
            self.destroy_map = {0: [0]}

    def make_node(self, z, x, y):
        return Apply(self, [z, x, y], [z.type()])

    def perform(self, node, inputs, output_storage):
        z, x, y = inputs
        output_storage[0][0] = z + np.dot(x, y)

    def infer_shape(self, *arguments):
        *_, (z_shape, _, _) = arguments
        return [z_shape]

    def pullback(self, inputs, outputs, cotangents):
        (_, x, y), (cotangent,) = inputs, cotangents
        return [cotangent, Dot()(cotangent, y.T), Dot()(x.T, cotangent)]


@numba_njit
def _count_nonzero(numbers):
    # 32 bits, like the numbers: LLVM counts a vector at a time.
    count = np.int32(0)
    for i in range(numbers.size):
        count += np.int32(numbers[i] != 0)
    return count


@numba_njit
def _select(row, selected):
    """Write the positions of nonzero numbers into `selected`; how many there are."""
    # Written always, counted if nonzero: no branch to predict. Unsigned, like all indices here:
    # numba need not look for negative ones.
    n_selected = np.uintp(0)
    for j in range(np.uintp(row.size)):
        selected[n_selected] = j
        n_selected += np.uintp(row[j] != 0)
    return n_selected


@numba_njit
def _add_rows(total, x, y, distance, selected):
    """total += Σ_j x[j] y[j] over the selected j; row j of y starts at y[j * distance]."""
    n, n_selected, s = np.uintp(total.size), np.uintp(selected.size), np.uintp(0)
    # Eight at once: the sum is loaded and stored once for eight rows.
    while s + np.uintp(8) <= n_selected:
        a, b, c, d = selected[s], selected[s + 1], selected[s + 2], selected[s + 3]
        e, f, g, h = selected[s + 4], selected[s + 5], selected[s + 6], selected[s + 7]
        x_a, x_b, x_c, x_d, x_e, x_f, x_g, x_h = x[a], x[b], x[c], x[d], x[e], x[f], x[g], x[h]
        a, b, c, d = a * distance, b * distance, c * distance, d * distance
        e, f, g, h = e * distance, f * distance, g * distance, h * distance
        for q in range(n):
            total[q] += ((x_a * y[a + q] + x_b * y[b + q]) + (x_c * y[c + q] + x_d * y[d + q])) + (
                (x_e * y[e + q] + x_f * y[f + q]) + (x_g * y[g + q] + x_h * y[h + q])
            )
        s += np.uintp(8)
    while s < n_selected:
        x_a, a = x[selected[s]], selected[s] * distance
        for q in range(n):
            total[q] += x_a * y[a + q]
        s += np.uintp(1)


@numba_njit
def _skip_zeros(x, y, distance, product):
    selected = np.empty(x.shape[1], np.uintp)
    total = np.empty(product.shape[1], product.dtype)
    for i in range(x.shape[0]):
        row = x[i]
        if x.strides[1] == x.itemsize:
            n_selected = _select(contiguous(row), selected)
        else:
            n_selected = _select(row, selected)
        if n_selected == 0:
            continue
        # Summed up by itself and added at once: weights are much larger than their updates, and
        # to add term after term would round each at the size of the weight.
        total[:] = 0
        _add_rows(total, row, y, distance, selected[:n_selected])
        for j in range(total.size):
            product[i, j] += total[j]


_AS_IT_IS, _TRANSPOSED = ord("n"), ord("t")

# BLAS as numba calls it, which takes it from SciPy; addresses as integers serve both precisions.
_gemm = types.ExternalFunction("numba_xxgemm", types.intc(*[types.char] * 3, *[types.intp] * 11))


@numba_njit
def _form(matrix):
    """How BLAS sees the matrix, and the distance between its rows or columns; 0 if not at all."""
    rows, columns = matrix.shape
    down, right = matrix.strides[0] // matrix.itemsize, matrix.strides[1] // matrix.itemsize
    if right == 1 and down >= max(1, columns):
        return _AS_IT_IS, down
    if down == 1 and right >= max(1, rows):
        return _TRANSPOSED, right
    return _AS_IT_IS, 0


@numba_njit
def _readable(matrix):
    _, distance = _form(matrix)
    return matrix if distance else any_layout(matrix.copy())


@numba_njit
def _add_with_blas(x, y, product):
    kind = ord("s") if product.itemsize == 4 else ord("d")
    one = np.ones(1, product.dtype)
    x, y = _readable(x), _readable(y)
    x_form, x_distance = _form(x)
    y_form, y_distance = _form(y)
    n = product.shape[1]
    # BLAS counts by columns, so that it sees all three transposed.
    _gemm(
        kind, y_form, x_form, n, x.shape[0], x.shape[1], one.ctypes.data, y.ctypes.data, y_distance,
        x.ctypes.data, x_distance, one.ctypes.data, product.ctypes.data, n,
    )  # fmt: skip


def _add_product(x, y, product):
    """product += x y, the product being contiguous."""
    densest = DENSEST_MATRIX if x.shape[0] > 1 else DENSEST_ROW
    can_skip = y.shape[1] >= NARROWEST and y.strides[1] == y.itemsize and y.strides[0] > 0
    if can_skip and _count_nonzero(flat(x if in_one_piece(x) else x.T)) <= densest * x.size:
        _skip_zeros(x, as_vector(y), np.uintp(y.strides[0] // y.itemsize), product)
    else:
        _add_with_blas(x, y, product)


def _compiled_add_product(dtype):
    matrix = array_type(dtype, 2, "A")
    argument_types = [matrix, matrix, array_type(dtype, 2, "C")]
    return kernel(_add_product, f"add_product_{dtype}", argument_types, KERNEL_VERSION, FREE)


@register_funcify_default_op_cache_key(MatrixPlusProduct)
def numba_matrix_plus_product(op, node, **kwargs):
    add_product = _compiled_add_product(node.outputs[0].dtype)
    inplace = op.inplace

    @numba_njit
    def matrix_plus_product(z, x, y):
        if x.shape[1] != y.shape[0] or z.shape != (x.shape[0], y.shape[1]):
            raise ValueError("dot: the columns of the first matrix must be the rows of the second")
        total = to_overwrite(z, inplace)
        add_product(any_layout(x), any_layout(y), total)
        return total

    return matrix_plus_product, KERNEL_VERSION


@register_funcify_default_op_cache_key(SparseProduct)
def numba_sparse_product(op, node, **kwargs):
    dtype = node.outputs[0].dtype
    add_product = _compiled_add_product(dtype)

    @numba_njit
    def product(x, y):
        if x.shape[1] != y.shape[0]:
            raise ValueError("dot: the columns of the first matrix must be the rows of the second")
        product = np.zeros((x.shape[0], y.shape[1]), dtype)
        add_product(any_layout(x), any_layout(y), product)
        return product

    @numba_njit
    def product_and_bias(x, y, bias):
        if x.shape[1] != y.shape[0] or bias.size != y.shape[1]:
            raise ValueError("dot: the columns of the first matrix must be the rows of the second")
        product = np.empty((x.shape[0], y.shape[1]), dtype)
        numbers = flat(any_layout(bias))
        for i in range(product.shape[0]):
            for j in range(product.shape[1]):
                product[i, j] = numbers[j]
        add_product(any_layout(x), any_layout(y), product)
        return product

    return product if len(node.inputs) == 2 else product_and_bias, KERNEL_VERSION


@node_rewriter([Dot])
def sparse_product(fgraph, node):
    x, y = node.inputs
    if x.dtype != y.dtype or x.dtype not in FLOATS:
        return False
    return [SparseProduct()(x, y)]


@node_rewriter([Elemwise])
def sum_of_product_and_bias(fgraph, node):
    if not isinstance(node.op.scalar_op, Add) or len(node.inputs) != 2:
        return False
    for product, bias in (node.inputs, reversed(node.inputs)):
        if (
            _is_product(product)
            # Where others use the product too, it is better computed once.
            and len(fgraph.clients[product]) == 1
            and bias.type.broadcastable == (True, False)
            and bias.dtype == product.dtype == node.outputs[0].dtype
            and product.type.broadcastable == node.outputs[0].type.broadcastable
        ):
            if bias.owner is not None and isinstance(bias.owner.op, DimShuffle):
                (before,) = bias.owner.inputs
                bias = before if before.type.ndim == 1 else bias
            return [SparseProduct()(*product.owner.inputs, bias)]
    return False


@node_rewriter([Elemwise])
def matrix_plus_products(fgraph, node):
    """z + Σ c x y, the c being scalars: the update of the weights by a gradient."""
    if not isinstance(node.op.scalar_op, Add | Sub) or node.outputs[0].type.ndim != 2:
        return False
    terms = _terms(fgraph, node.outputs[0], outermost=True)
    products = [term for term in terms if _is_product(term[0])]
    others = [term for term in terms if not _is_product(term[0])]
    if not products or len(others) != 1:
        return False
    total = _scaled(*others[0])
    if not all(total.type.is_super(product.type) for product, _ in products):
        return False
    for product, factors in products:
        x, y = product.owner.inputs
        total = MatrixPlusProduct()(total, x, _scaled(y, factors))
    return [total]


def _is_product(variable):
    owner = variable.owner
    return owner is not None and isinstance(owner.op, SparseProduct) and len(owner.inputs) == 2


def _terms(fgraph, variable, factors=(), outermost=False):
    """A sum as a list of pairs: a matrix, and the scalar factors that it has."""
    owner = variable.owner
    unshared = outermost or len(fgraph.clients.get(variable, ())) == 1
    if owner is None or not unshared or not isinstance(owner.op, Elemwise):
        return [(variable, factors)]
    scalar_op, inputs = owner.op.scalar_op, owner.inputs
    if isinstance(scalar_op, Add):
        return [term for x in inputs for term in _terms(fgraph, x, factors)]
    if isinstance(scalar_op, Sub):
        minus_one = pt.constant(-1, dtype=variable.dtype)[None, None]
        first, second = inputs
        return [
            *_terms(fgraph, first, factors), *_terms(fgraph, second, (*factors, minus_one))
        ]  # fmt: skip
    if isinstance(scalar_op, Mul):
        scalars = [x for x in inputs if all(x.type.broadcastable)]
        matrices = [x for x in inputs if not all(x.type.broadcastable)]
        if len(matrices) == 1:
            return _terms(fgraph, matrices[0], (*factors, *scalars))
    return [(variable, factors)]


def _scaled(matrix, factors):
    for factor in factors:
        matrix = matrix * factor
    return matrix


# Late: the rewrites before these know Dot.
optdb.register(
    "rbm_sym_sparse_product", dfs_rewriter(sparse_product), "numba", "rbm_sym", position=47
)
optdb.register(
    "rbm_sym_sum_of_product_and_bias",
    dfs_rewriter(sum_of_product_and_bias), "numba", "rbm_sym", position=47.1,
)  # fmt: skip
optdb.register(
    "rbm_sym_matrix_plus_products",
    dfs_rewriter(matrix_plus_products), "numba", "rbm_sym", position=47.2,
)  # fmt: skip
register_in_place("rbm_sym_matrix_plus_product_in_place", MatrixPlusProduct)
