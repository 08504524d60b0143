"""Products with matrices that are mostly zeros.

What is recognised: every product of two floating-point matrices (PyTensor's `Dot`).

What takes its place: `SparseProduct`, which looks at its left factor x when it runs. A sample of
binary units is mostly zeros (MNIST has one pixel in eight on, a trained hidden layer one unit in
twelve), and so are pictures; then row i of the product x y is the sum of those rows of y that
x[i] selects, weighted:

    (x y)[i] = Σ_j x[i, j] y[j],    over the j with x[i, j] != 0

Where x is dense, or y does not lie in memory row by row, BLAS computes the product as before.

Sums of such products with a bias or with a matrix are recognised too. `SparseProduct` adds a bias
itself; `MatrixPlusProduct` adds the product, times a number, to a matrix, in place: an update of
the weights then touches only the rows that have something to learn. Numbers that x y is multiplied
with are multiplied with one another first; their product must not leave the range of the dtype.

A zero in x is skipped whatever it would be multiplied with: where y or such a number is infinite
or not a number, the product may be 0 for NaN. So it may where the number is 0.

Why it is faster: of the multiplications, seven in eight are left out. BLAS, whose blocks use what
they have loaded several times over, does one multiplication in less than half the time; that
gives the density below which skipping pays.
"""

import functools
import operator

import numpy as np
import pytensor.tensor as pt
from numba import types
from pytensor.compile import optdb
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op
from pytensor.graph.rewriting.basic import dfs_rewriter, node_rewriter
from pytensor.link.numba.dispatch.basic import numba_njit
from pytensor.scalar import Add, Mul, Sub
from pytensor.tensor.elemwise import DimShuffle, Elemwise
from pytensor.tensor.math import Dot

from rbm_sym.kernels import (
    CACHE_LINE,
    FLOATS,
    FREE,
    any_layout,
    array_type,
    as_vector,
    contiguous,
    copied,
    flat,
    in_one_piece,
    kernel,
    numba_version_of,
    packed,
    register_in_place,
)
from rbm_sym.rewrites.numbers import as_number
from rbm_sym.vectors import (
    WORD,
    address,
    lowest_bit,
    nonzero_bits,
    row_adder,
)

# The largest share of nonzero entries of x with which skipping zeros is the faster way, found by
# scripts/benchmark_products.py. Of m rows it is this and FEW_ROWS / m, since BLAS fetches y once
# for all of them, which takes more time a row the fewer they are;
DENSEST, FEW_ROWS = 0.35, 1.2
# but at most this, with which both do little else than fetch y;
DENSEST_OF_FEW = 0.7
# and for a single row, for which BLAS has a function of its own, this.
DENSEST_ROW = 0.4

# So many numbers are looked at before it is asked whether they are too dense already.
COUNTED_AT_ONCE = 4096

# Cache lines of numbers that are summed up together: of a panel (see `rewrites.panels`), which is
# near, and of other rows, where longer stretches are fetched faster.
PANEL_LINES = 2
ROW_LINES = 8

# Short rows two at a time: an addition to a sum must wait for the one before it.
add_short_rows, add_long_rows = row_adder(PANEL_LINES, 2), row_adder(ROW_LINES, 1)

# A matrix of so many bytes stays in a near cache while it is used.
NEAR = 2**18

# So many rows of a product are computed together where y is near.
ROWS_TOGETHER = 8


class SparseProduct(Op):
    """x y, or x y + bias: matrices (m, k), (k, n), and (1, n) or a vector (n,), of one float dtype.

    Zeros in x are skipped, also where y is infinite or not a number. With `panels`, a third input
    holds the numbers of y once more (see `rewrites.panels`), or none. Raises ValueError when it
    runs, if shapes do not fit.
    """

    __props__ = ("panels",)

    def __init__(self, panels=False):
        self.panels = panels

    def make_node(self, x, y, *panels_and_bias):
        return Apply(self, [x, y, *panels_and_bias], [Dot().make_node(x, y).outputs[0].type()])

    def bias(self, node):
        """What is added to the product: an empty list or one variable."""
        return node.inputs[2 + self.panels :]

    def perform(self, node, inputs, output_storage):
        x, y, *bias = inputs[:2] + inputs[2 + self.panels :]
        output_storage[0][0] = sum(bias, start=np.dot(x, y))

    def infer_shape(self, *arguments):
        # PyTensor 3.0 passes the function graph before the node, later versions do not.
        *_, (x_shape, y_shape, *_others) = arguments
        return [(x_shape[0], y_shape[1])]

    def pullback(self, inputs, outputs, cotangents):
        (x, y, *others), (cotangent,) = inputs, cotangents
        panels, bias = others[: self.panels], others[self.panels :]
        return [
            Dot()(cotangent, y.T),
            Dot()(x.T, cotangent),
            # A copy of y, which has got its gradient.
            *(p.zeros_like() for p in panels),
            *(cotangent.sum(0, keepdims=b.ndim == 2) for b in bias),
        ]


class MatrixPlusProduct(Op):
    """z + factor x y: matrices (m, n), (m, k), (k, n) and a number, of one floating-point dtype.

    Zeros in x are skipped, also where y or the factor is infinite or not a number. `inplace` lets
    the sum take the memory of z; a rewrite sets it after the graph is built. Raises ValueError when
    it runs, if shapes do not fit.
    """

    __props__ = ("inplace",)

    def __init__(self, inplace=False):
        self.inplace = inplace
        if inplace:
            self.destroy_map = {0: [0]}

    def make_node(self, z, factor, x, y):
        return Apply(self, [z, factor, x, y], [z.type()])

    def perform(self, node, inputs, output_storage):
        z, factor, x, y = inputs
        output_storage[0][0] = z + factor * np.dot(x, y)

    def infer_shape(self, *arguments):
        *_, (z_shape, _, _, _) = arguments
        return [z_shape]

    def pullback(self, inputs, outputs, cotangents):
        (_, factor, x, y), (cotangent,) = inputs, cotangents
        return [
            cotangent,
            pt.sum(cotangent * Dot()(x, y)),
            factor * Dot()(cotangent, y.T),
            factor * Dot()(x.T, cotangent),
        ]


# --- Skipping zeros --------------------------------------------------------------------------


@numba_njit
def _count_nonzero(numbers, most):
    """How many are not zero; of more than `most`, some number above it."""
    count = np.intp(0)
    for first in range(0, numbers.size, COUNTED_AT_ONCE):
        part = numbers[first : first + COUNTED_AT_ONCE]
        # No branch: LLVM counts a vector at a time.
        for i in range(part.size):
            count += part[i] != 0
        if count > most:
            break
    return count


@numba_njit
def _select(x, factor, positions, weights, ends):
    """Write down the nonzero numbers row after row: positions, factor x, and where rows end."""
    n = np.uintp(0)
    ends[0] = 0
    for i in range(x.shape[0]):
        row, compared = x[i], 0
        if x.strides[1] == x.itemsize:
            compared = x.shape[1] - x.shape[1] % WORD
            for first in range(0, compared, WORD):
                bits = nonzero_bits(contiguous(row), first)
                while bits:
                    j = np.uintp(first) + lowest_bit(bits)
                    positions[n], weights[n] = j, factor * row[j]
                    n += np.uintp(1)
                    bits &= bits - np.uint64(1)
        # Written always, counted if nonzero: no branch to predict. Unsigned, like all indices
        # here: numba need not look for negative ones.
        for j in range(np.uintp(compared), np.uintp(x.shape[1])):
            positions[n], weights[n] = j, factor * row[j]
            n += np.uintp(row[j] != 0)
        ends[i + 1] = n


@numba_njit
def _skip_zeros(x, n_nonzero, y, panels, factor, product):
    m, n = product.shape
    # One more, since the last number is written before it is looked at.
    positions = np.empty(n_nonzero + 1, np.uint32)
    weights = np.empty(n_nonzero + 1, product.dtype)
    ends = np.empty(m + 1, np.intp)
    _select(x, factor, positions, weights, ends)

    # Block by block of columns, whose sums stay in registers. All rows of the product use the same
    # columns of y before the next, so that these are fetched once; where y is near anyway, few
    # rows at a time, so that the product stays near.
    size = product.itemsize
    short = panels.size or n * size < ROW_LINES * CACHE_LINE
    n_lines = PANEL_LINES if short else ROW_LINES
    width = n_lines * CACHE_LINE // size
    rows_together = ROWS_TOGETHER if y.size * size <= NEAR else m
    for top in range(0, m, rows_together):
        for block in range((n + width - 1) // width):
            # The last columns are done together with some before them, which are skipped then.
            start = min(block * width, n - width)
            skip = block * width - start
            if panels.size:
                columns, distance = address(panels) + block * panels.strides[0], width
            else:
                columns, distance = address(y) + start * size, y.strides[0] // size
            for i in range(top, min(top + rows_together, m)):
                total = address(product) + (i * n + start) * size
                selected = positions, weights, ends[i], ends[i + 1]
                # Summed up by itself and added at once: weights are much larger than their
                # updates, and to add term after term would round each at the size of the weight.
                if n_lines == ROW_LINES:
                    add_long_rows(total, skip, columns, distance, *selected)
                else:
                    add_short_rows(total, skip, columns, distance, *selected)


# --- BLAS ------------------------------------------------------------------------------------

_AS_IT_IS, _TRANSPOSED = ord("n"), ord("t")

# BLAS as numba calls it, which takes it from SciPy; addresses as integers serve both precisions.
_gemm = types.ExternalFunction("numba_xxgemm", types.intc(*[types.char] * 3, *[types.intp] * 11))
_gemv = types.ExternalFunction("numba_xxgemv", types.intc(*[types.char] * 2, *[types.intp] * 8))


@numba_njit
def _form(matrix):
    """How BLAS sees the matrix, and the distance between its rows or columns; 0 if not at all."""
    rows, columns = matrix.shape
    down, right = matrix.strides[0] // matrix.itemsize, matrix.strides[1] // matrix.itemsize
    # What an axis of one number has for a stride means nothing.
    if (right == 1 or columns <= 1) and (down >= columns or rows <= 1):
        return _AS_IT_IS, max(down, columns, 1)
    if (down == 1 or rows <= 1) and (right >= rows or columns <= 1):
        return _TRANSPOSED, max(right, rows, 1)
    return _AS_IT_IS, 0


@numba_njit
def _readable(matrix):
    _, distance = _form(matrix)
    return matrix if distance else any_layout(matrix.copy())


@numba_njit
def _multiply_with_gemm(x, y, scales, product):
    kind = ord("s") if product.itemsize == 4 else ord("d")
    x_form, x_distance = _form(x)
    y_form, y_distance = _form(y)
    n = product.shape[1]
    # BLAS counts by columns, so that it sees all three transposed.
    _gemm(
        kind, y_form, x_form, n, x.shape[0], x.shape[1], address(scales), address(y), y_distance,
        address(x), x_distance, address(scales) + scales.itemsize, address(product), n,
    )  # fmt: skip


@numba_njit
def _multiply_with_gemv(matrix, vector, scales, product):
    kind = ord("s") if product.itemsize == 4 else ord("d")
    form, distance = _form(matrix)
    rows, columns = matrix.shape
    # Transposed, to BLAS, is what lies row by row.
    form, rows, columns = (
        (_TRANSPOSED, columns, rows) if form == _AS_IT_IS else (_AS_IT_IS, rows, columns)
    )
    _gemv(
        kind, form, rows, columns, address(scales), address(matrix), distance, address(vector),
        address(scales) + scales.itemsize, address(product),
    )  # fmt: skip


@numba_njit
def _multiply_with_blas(x, y, scales, product):
    # What an array's address is all that is left of is freed; the caller of a function keeps its
    # arguments.
    if product.shape[0] == 1:
        _multiply_with_gemv(_readable(y).T, flat(x), scales, product)
    elif product.shape[1] == 1:
        _multiply_with_gemv(x, flat(y), scales, product)
    else:
        _multiply_with_gemm(x, _readable(y), scales, product)


# --- Either ----------------------------------------------------------------------------------


def _multiply(x, y, panels, bias, scales, product):
    """product = factor x y + kept product, with scales = [factor, kept], kept 0 or 1.

    Where there is a bias, it is added too, and kept must be 0.
    """
    if bias.size:
        for i in range(product.shape[0]):
            for j in range(product.shape[1]):
                product[i, j] = bias[j]
        # From here on the biases are what is kept.
        scales = np.array([scales[0], 1], product.dtype)
    densest = DENSEST_ROW
    if x.shape[0] != 1:
        densest = min(DENSEST_OF_FEW, DENSEST + FEW_ROWS / max(x.shape[0], 1))
    most = np.intp(densest * x.size)
    rows_in_one_piece = y.strides[1] == y.itemsize and y.strides[0] > 0
    wide_enough = product.shape[1] * product.itemsize >= PANEL_LINES * CACHE_LINE
    x = x if in_one_piece(x) or in_one_piece(x.T) else any_layout(x.copy())
    n_nonzero = most + 1
    if wide_enough and (panels.size or rows_in_one_piece):
        n_nonzero = _count_nonzero(as_vector(x), most)
    if x.size and n_nonzero > most:
        _multiply_with_blas(x, y, scales, product)
        return
    if not scales[1]:
        product[:] = 0
    if x.size:
        _skip_zeros(x, n_nonzero, y, panels, scales[0], product)


def _compiled_multiply(dtype):
    matrix, vector = array_type(dtype, 2, "A"), array_type(dtype, 1, "C")
    types = [matrix, matrix, array_type(dtype, 3, "C"), vector, vector, array_type(dtype, 2, "C")]
    return kernel(_multiply, f"multiply_{dtype}", types, FREE)


@numba_njit
def _check_shapes(x, y):
    if x.shape[1] != y.shape[0]:
        raise ValueError("dot: the columns of the first matrix must be the rows of the second")


@numba_version_of(SparseProduct)
def numba_sparse_product(op, node, **kwargs):
    dtype = np.dtype(node.outputs[0].dtype)
    multiply = _compiled_multiply(dtype)

    @numba_njit
    def product_and_bias(x, y, panels, bias):
        _check_shapes(x, y)
        if bias.size != y.shape[1]:
            raise ValueError("dot: one bias is needed for each column of the second matrix")
        product = np.empty((x.shape[0], y.shape[1]), dtype)
        scales = np.array([1, 0], dtype)
        multiply(any_layout(x), any_layout(y), contiguous(panels), flat(bias), scales, product)
        return product

    @numba_njit
    def product(x, y, panels):
        _check_shapes(x, y)
        product = np.empty((x.shape[0], y.shape[1]), dtype)
        none, scales = np.empty(0, dtype), np.array([1, 0], dtype)
        multiply(any_layout(x), any_layout(y), contiguous(panels), none, scales, product)
        return product

    @numba_njit
    def without_panels(x, y, *bias):
        return chosen(x, y, np.empty((0, 0, 0), dtype), *bias)

    chosen = product_and_bias if op.bias(node) else product
    return chosen if op.panels else without_panels


@numba_version_of(MatrixPlusProduct)
def numba_matrix_plus_product(op, node, **kwargs):
    dtype = np.dtype(node.outputs[0].dtype)
    multiply = _compiled_multiply(dtype)
    to_overwrite = packed if op.inplace else copied

    @numba_njit
    def matrix_plus_product(z, factor, x, y):
        _check_shapes(x, y)
        if z.shape != (x.shape[0], y.shape[1]):
            raise ValueError("the matrix and the product that is added to it differ in shape")
        total = to_overwrite(z)
        none, no_panels = np.empty(0, dtype), np.empty((0, 0, 0), dtype)
        scales = np.array([factor.item(), 1], dtype)
        multiply(any_layout(x), any_layout(y), no_panels, none, scales, total)
        return total

    return matrix_plus_product


# --- Rewrites --------------------------------------------------------------------------------


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
            return [product.owner.op(*product.owner.inputs, bias)]
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
    matrix, factors = others[0]
    total = matrix * _number(factors, matrix.dtype).dimshuffle("x", "x") if factors else matrix
    # One dtype throughout: where two meet, a scalar may be more exact than the matrix.
    alike = [node.outputs[0], *(product for product, _ in products)]
    if not all(total.type.is_super(variable.type) for variable in alike):
        return False
    # A product of one row or column, known to be so, is added to all rows or columns.
    if any(product.type.broadcastable != total.type.broadcastable for product, _ in products):
        return False
    for product, factors in products:
        x, y = product.owner.inputs[:2]
        total = MatrixPlusProduct()(total, _number(factors, total.dtype), x, y)
    return [total]


def _is_product(variable):
    owner = variable.owner
    return owner is not None and isinstance(owner.op, SparseProduct) and not owner.op.bias(owner)


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
        minus_one = pt.constant([[-1]], dtype=variable.dtype)
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


def _number(factors, dtype):
    """The product of scalars, as a variable without axes."""
    # Of the matrix's type before they meet: a product of small integers may leave their range.
    numbers = [as_number(f) for f in factors]
    numbers = [
        f.dimshuffle() if number is None else number
        for f, number in zip(factors, numbers, strict=True)
    ]
    return functools.reduce(
        operator.mul, (n.astype(dtype) for n in numbers), pt.constant(1, dtype=dtype)
    )


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
