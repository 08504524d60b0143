"""Products with matrices that are mostly zeros.

What is recognised: every product of two floating-point matrices (PyTensor's `Dot`).

What takes its place: `SparseProduct`, which looks at its left factor x when it runs. Pictures and
samples of binary units are mostly zeros. In MNIST one pixel in eight is on, and in a trained hidden
layer one unit in twelve. These zeros are skipped (`multiplication` says how). If x is dense, or if
y does not lie in memory row by row, BLAS computes the product as before.

Sums of such products with a bias or with a matrix are recognised too. `SparseProduct` adds a bias
itself. `MatrixPlusProduct` adds the product, times a number, to a matrix, in place. An update of
the weights then changes only the rows of units that are on in some example. If x y is multiplied
with several numbers, these are multiplied with one another first; their product must not leave the
range of the dtype.

A zero in x is skipped whatever it would be multiplied with. If y or such a number is infinite or
not a number, the product may be 0 where it would be NaN. The same holds if the number is 0.

Why it is faster: seven of eight multiplications are left out.
"""

import functools
import operator

import numpy as np
import pytensor.tensor as pt
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op
from pytensor.graph.rewriting.basic import node_rewriter
from pytensor.link.numba.dispatch.basic import numba_njit
from pytensor.scalar import Add, Mul, Sub
from pytensor.tensor.elemwise import DimShuffle, Elemwise
from pytensor.tensor.math import Dot

from rbm_sym.internal.arguments import FLOATS
from rbm_sym.link.numba.kernels import numba_version_of
from rbm_sym.link.numba.layouts import any_layout, contiguous, copied, flat, packed
from rbm_sym.link.numba.multiplication import compiled_multiply
from rbm_sym.link.numba.one_element import as_number


class SparseProduct(Op):
    """x y, or x y + bias: matrices (m, k), (k, n), and (1, n) or a vector (n,), of one float dtype.

    Zeros in x are skipped, even if y is infinite or not a number. With `panels`, a third input is
    the copy of y in panels (see `panels`), or an empty one. Raises ValueError when it runs, if
    shapes do not fit.
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
            # A copy of y, which has its gradient already.
            *(p.zeros_like() for p in panels),
            *(cotangent.sum(0, keepdims=b.ndim == 2) for b in bias),
        ]


class MatrixPlusProduct(Op):
    """z + factor x y: matrices (m, n), (m, k), (k, n) and a number, of one floating-point dtype.

    Zeros in x are skipped, even if y or the factor is infinite or not a number. With `inplace`, the
    sum is written into the memory of z; a rewrite sets this after the graph is built. Raises
    ValueError when it runs, if shapes do not fit.
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


@numba_njit
def _check_shapes(x, y):
    if x.shape[1] != y.shape[0]:
        raise ValueError("dot: the columns of the first matrix must be the rows of the second")


@numba_version_of(SparseProduct)
def numba_sparse_product(op, node, **kwargs):
    dtype = np.dtype(node.outputs[0].dtype)
    multiply = compiled_multiply(dtype)

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
    multiply = compiled_multiply(dtype)
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
            # A product that is used elsewhere too is computed only once.
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
    """z + Σ c x y with scalars c: the update of the weights by a gradient."""
    if not isinstance(node.op.scalar_op, Add | Sub) or node.outputs[0].type.ndim != 2:
        return False
    terms = _terms(fgraph, node.outputs[0], outermost=True)
    products = [term for term in terms if _is_product(term[0])]
    others = [term for term in terms if not _is_product(term[0])]
    if not products or len(others) != 1:
        return False
    matrix, factors = others[0]
    total = matrix * _number(factors, matrix.dtype).dimshuffle("x", "x") if factors else matrix
    # All must have one dtype: a scalar may have a higher precision than the matrix.
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
    """The terms of a sum as a list of pairs (matrix, its scalar factors)."""
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
    """The product of factors of one element each, as a scalar variable."""
    # Cast before they are multiplied: a product of small integers may leave their range.
    numbers = [as_number(f) for f in factors]
    numbers = [
        f.dimshuffle() if number is None else number
        for f, number in zip(factors, numbers, strict=True)
    ]
    return functools.reduce(
        operator.mul, (n.astype(dtype) for n in numbers), pt.constant(1, dtype=dtype)
    )
