"""Matrices that a scan multiplies with at each step, in a layout that suits these products.

What is recognised: a matrix, such as W or W', that a scan takes from outside and uses as the right
factor of products. A Gibbs step has one product with each.

What takes its place: `Panels` makes a copy of the matrix before the scan, if the scan will use it
often enough. The products then read its rows from the copy.

    the matrix (m, n)  →  | panel 0 | panel 1 | … |  each m rows of two cache lines, contiguous

Why it is faster: a product that skips zeros adds up rows of its right factor that lie far apart. In
a panel, all rows that a minibatch needs lie close together and come from a nearer cache. They begin
at the beginning of a cache line. And W' has no contiguous rows at all without panels, since its
rows are the columns of W.

Products with the same matrix outside of the scan use the panels too.
"""

import numpy as np
import pytensor.tensor as pt
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op
from pytensor.graph.rewriting.basic import node_rewriter
from pytensor.graph.traversal import ancestors
from pytensor.link.numba.dispatch.basic import numba_njit
from pytensor.scan.op import Scan
from pytensor.tensor.math import Dot

from rbm_sym.internal.arguments import FLOATS
from rbm_sym.internal.scans import changed, inner_graph, is_tensor
from rbm_sym.link.numba.kernels import array_type, kernel, numba_version_of
from rbm_sym.link.numba.layouts import CACHE_LINE, any_layout, empty_aligned
from rbm_sym.link.numba.multiplication import PANEL_LINES
from rbm_sym.link.numba.products import SparseProduct
from rbm_sym.link.numba.vectors import TILE, address, copy_line, transpose_tile

# Rows of left factors from which on the copy is worth it. The first number is for a matrix with
# contiguous columns, the second for one with contiguous rows.
ROWS_WORTH_A_TRANSPOSITION = 16
ROWS_WORTH_A_COPY = 128


class Panels(Op):
    """A matrix (m, n) cut into panels, if it is used for `n_rows` rows of left factors.

    (matrix, n_rows) to an array (number of panels, m, columns of a panel). The last panel ends
    where the matrix ends, and may overlap the one before it. There are no panels if they are not
    worth the copy, or if the matrix is narrower than a panel.
    """

    __props__ = ()

    def make_node(self, matrix, n_rows):
        return Apply(self, [matrix, pt.cast(n_rows, "int64")], [pt.tensor3(dtype=matrix.dtype)])

    def perform(self, node, inputs, output_storage):
        matrix, n_rows = inputs
        m, n = matrix.shape
        width = PANEL_LINES * CACHE_LINE // matrix.itemsize
        worth_it = n >= width and n_rows >= _rows_worth_a_copy(matrix)
        starts = [min(first, n - width) for first in range(0, n, width)] if worth_it else []
        panels = np.empty((len(starts), m, width), matrix.dtype)
        for panel, start in zip(panels, starts, strict=True):
            panel[:] = matrix[:, start : start + width]
        output_storage[0][0] = panels

    def pullback(self, inputs, outputs, cotangents):
        # A product with panels has the matrix as an input too, and its gradient goes there.
        return [pt.zeros_like(x, dtype="float64" if x.dtype == "int64" else None) for x in inputs]


def _rows_worth_a_copy(matrix):
    has_rows = matrix.strides[1] == matrix.itemsize
    return ROWS_WORTH_A_COPY if has_rows else ROWS_WORTH_A_TRANSPOSITION


_compiled_rows_worth_a_copy = numba_njit(_rows_worth_a_copy)


def _fill_panels(matrix, panels):
    n_panels, m, width = panels.shape
    for p in range(n_panels):
        start = min(p * width, matrix.shape[1] - width)
        panel, columns = panels[p], matrix[:, start : start + width]
        done = 0
        if matrix.strides[1] == matrix.itemsize:
            source, target = address(columns), address(panel)
            for _ in range(m):
                for line in range(PANEL_LINES):
                    copy_line(source + line * CACHE_LINE, target + line * CACHE_LINE)
                source += columns.strides[0]
                target += panel.strides[0]
            done = m
        elif matrix.strides[0] == matrix.itemsize:
            done = m - m % TILE
            for i in range(0, done, TILE):
                for j in range(0, width, TILE):
                    transpose_tile(columns.T[j:, i:], panel[i:, j:])
        for i in range(done, m):
            for j in range(width):
                panel[i, j] = columns[i, j]


@numba_version_of(Panels)
def numba_panels(op, node, **kwargs):
    dtype = np.dtype(node.outputs[0].dtype)
    width = PANEL_LINES * CACHE_LINE // dtype.itemsize
    types = [array_type(dtype, 2, "A"), array_type(dtype, 3, "C")]
    fill_panels = kernel(_fill_panels, f"fill_panels_{dtype}", types)

    @numba_njit
    def panels(matrix, n_rows):
        m, n = matrix.shape
        worth_it = n >= width and n_rows.item() >= _compiled_rows_worth_a_copy(matrix)
        panels = empty_aligned(matrix, (n + width - 1) // width if worth_it else 0, m, width)
        fill_panels(any_layout(matrix), panels)
        return panels

    return panels


@node_rewriter([Scan])
def panels_for_scan(fgraph, node):
    op = node.op
    inner = inner_graph(op)
    outer_inputs = op.outer_non_seqs(node.inputs)
    inner_inputs = inner.inputs[len(inner.inputs) - op.info.n_non_seqs :]
    new_inputs = []
    for outside, inside in zip(outer_inputs, inner_inputs, strict=True):
        products = [client for client, _ in inner.clients[inside] if _multiplies(client, inside)]
        if not products:
            continue
        panels = Panels()(outside, _rows_multiplied(node))
        new_inputs.append(panels)
        inner_panels = panels.type()
        inner.add_input(inner_panels)
        for product in products:
            fast = SparseProduct(panels=True)(*product.inputs, inner_panels)
            inner.replace(product.outputs[0], fast, import_missing=True)
    if not new_inputs:
        return False
    n_non_seqs = op.info.n_non_seqs + len(new_inputs)
    new_op = changed(op, inner.inputs, inner.outputs, n_non_seqs=n_non_seqs)
    return new_op.make_node(*node.inputs, *new_inputs).outputs


def _multiplies(node, matrix):
    """Whether this node is a product whose right factor is the matrix."""
    return (
        isinstance(getattr(node, "op", None), Dot)
        and node.inputs[1] is matrix
        and node.inputs[0].dtype == matrix.dtype
        and matrix.dtype in FLOATS
    )


def _rows_multiplied(node):
    """The rows that a scan multiplies: its steps times the chains, the rows of its state."""
    op = node.op
    states = [x for x in op.outer_sitsot(node.inputs) if x.ndim == 3]
    untraced = op.outer_untraced_sit_sot(node.inputs)
    states += [x for x in untraced if is_tensor(x) and x.type.ndim == 2]
    states = [x for x in states if x.dtype.startswith("float")]
    n_steps = node.inputs[0]
    return n_steps * states[0].shape[-2] if states else n_steps


@node_rewriter([Dot])
def panels_at_hand(fgraph, node):
    x, y = node.inputs
    for client, _ in fgraph.clients[y]:
        at_hand = isinstance(client.op, Panels) and x.dtype == y.dtype
        # If the number of panels depends on this product, the product cannot use them.
        if at_hand and node.outputs[0] not in ancestors(client.inputs):
            return [SparseProduct(panels=True)(x, y, client.outputs[0])]
    return False
