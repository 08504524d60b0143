"""Transposed matrices that a scan multiplies with at each step.

What is recognised: a transposed matrix, such as W', that a scan takes from outside and uses as the
right factor of a product. A Gibbs step has one: from the hidden to the visible units.

What takes its place: `RowsInMemory`, which writes the transposed matrix out once, before the scan,
if the scan will use it often enough to be worth the copy.

Why it is faster: a product that skips zeros adds up rows of the right factor, and only rows that
lie in one piece can be added quickly.
"""

import numpy as np
import pytensor.tensor as pt
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from pytensor.compile import optdb
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op
from pytensor.graph.rewriting.basic import dfs_rewriter, node_rewriter
from pytensor.link.numba.dispatch.basic import numba_njit, register_funcify_default_op_cache_key
from pytensor.scan.op import Scan
from pytensor.tensor.elemwise import DimShuffle
from pytensor.tensor.math import Dot

from rbm_sym.kernels import FLOATS, any_layout, array_type, kernel

# Part of the key under which numba keeps machine code on disk: raise it when a kernel changes.
KERNEL_VERSION = 2

# How many rows of left factors must be multiplied with the matrix to make up for the copy.
ROWS_WORTH_A_COPY = 16

# Bytes that the processor loads at once.
CACHE_LINE = 64

# Square tiles of this size are turned around in registers.
TILE = 8


class RowsInMemory(Op):
    """A matrix whose rows are contiguous in memory, if it will be used for `n_rows` rows.

    (matrix (m, n), number of rows of left factors) to the same matrix: a copy, or itself.
    """

    __props__ = ()

    def __init__(self):
        self.view_map = {0: [0]}

    def make_node(self, matrix, n_rows):
        return Apply(self, [matrix, pt.cast(n_rows, "int64")], [matrix.type()])

    def perform(self, node, inputs, output_storage):
        matrix, n_rows = inputs
        worth_it = n_rows >= ROWS_WORTH_A_COPY
        output_storage[0][0] = np.ascontiguousarray(matrix) if worth_it else matrix

    def infer_shape(self, *arguments):
        # PyTensor 3.0 passes the function graph before the node, later versions do not.
        *_, (shape, _) = arguments
        return [shape]

    def pullback(self, inputs, outputs, cotangents):
        return [cotangents[0], pt.zeros_like(inputs[1], dtype="float64")]


@intrinsic
def _transpose_tile(typingctx, source, source_distance, target, target_distance):
    """Transpose TILE x TILE numbers; source and target point at the first, distances in bytes.

    Written for LLVM since it makes no vector code of such a loop: TILE vectors are loaded, in
    each round halves of pairs of vectors change places (first blocks of one number, then of two,
    then of four), and the vectors are stored.
    """

    def in_registers(context, builder, signature, arguments):
        number = context.get_data_type(signature.args[0].dtype)
        size = context.get_abi_sizeof(number)
        vector = ir.VectorType(number, TILE)
        source, source_distance, target, target_distance = arguments

        def row(base, distance, i):
            offset = builder.mul(distance, ir.Constant(distance.type, i))
            address = builder.add(builder.ptrtoint(base, distance.type), offset)
            return builder.inttoptr(address, vector.as_pointer())

        rows = [builder.load(row(source, source_distance, i)) for i in range(TILE)]
        for load in rows:
            load.align = size
        block = 1
        while block < TILE:
            upper = [j if not j & block else TILE + j - block for j in range(TILE)]
            lower = [j + block if not j & block else TILE + j for j in range(TILE)]
            masks = [ir.Constant(ir.VectorType(ir.IntType(32), TILE), m) for m in (upper, lower)]
            for i in range(TILE):
                if not i & block:
                    pair = rows[i], rows[i + block]
                    rows[i], rows[i + block] = (builder.shuffle_vector(*pair, m) for m in masks)
            block *= 2
        for i, turned in enumerate(rows):
            builder.store(turned, row(target, target_distance, i)).align = size
        return context.get_dummy_value()

    signature = types.void(source, source_distance, target, target_distance)
    return signature, in_registers


@intrinsic
def _address(typingctx, matrix, i, j):
    """A pointer to matrix[i, j]."""

    def get_pointer(context, builder, signature, arguments):
        matrix_type = signature.args[0]
        array = cgutils.create_struct_proxy(matrix_type)(context, builder, arguments[0])
        return cgutils.get_item_pointer(
            context, builder, matrix_type, array, arguments[1:], wraparound=False
        )

    return types.CPointer(matrix.dtype)(matrix, types.intp, types.intp), get_pointer


@numba_njit
def _copy_numbers(matrix, copy, first_row, last_row, first_column, last_column):
    for i in range(first_row, last_row):
        for j in range(first_column, last_column):
            copy[i, j] = matrix[i, j]


def _copy_rows(matrix, copy):
    m, n = matrix.shape
    tiled_m, tiled_n = m - m % TILE, n - n % TILE
    for i in range(0, tiled_m, TILE):
        for j in range(0, tiled_n, TILE):
            _transpose_tile(
                _address(matrix, i, j), matrix.strides[1], _address(copy, i, j), copy.strides[0]
            )
    _copy_numbers(matrix, copy, 0, tiled_m, tiled_n, n)
    _copy_numbers(matrix, copy, tiled_m, m, 0, n)


@register_funcify_default_op_cache_key(RowsInMemory)
def numba_rows_in_memory(op, node, **kwargs):
    dtype = np.dtype(node.outputs[0].dtype)
    matrix_type = array_type(dtype, 2, "A")
    copy_rows = kernel(_copy_rows, f"copy_rows_{dtype}", [matrix_type, matrix_type], KERNEL_VERSION)
    a_line = CACHE_LINE // dtype.itemsize

    @numba_njit
    def aligned_rows(m, n):
        # An odd number of lines a row: with a power of two, the beginnings of all rows would
        # compete for a few places in the cache.
        distance = ((n + a_line - 1) // a_line | 1) * a_line
        buffer = np.empty(m * distance + a_line, dtype)
        start = (-buffer.ctypes.data % CACHE_LINE) // buffer.itemsize
        return buffer[start : start + m * distance].reshape((m, distance))[:, :n]

    @numba_njit
    def rows_in_memory(matrix, n_rows):
        columns_in_one_piece = matrix.strides[0] == matrix.itemsize
        if n_rows.item() < ROWS_WORTH_A_COPY or not columns_in_one_piece:
            return any_layout(matrix)
        copy = any_layout(aligned_rows(matrix.shape[0], matrix.shape[1]))
        copy_rows(any_layout(matrix), copy)
        return copy

    return rows_in_memory, KERNEL_VERSION


@node_rewriter([Scan])
def rows_for_scan(fgraph, node):
    op = node.op
    outer = op.outer_non_seqs(node.inputs)
    inner = op.inner_non_seqs(op.fgraph.inputs)
    replacements = {}
    for outside, inside in zip(outer, inner, strict=True):
        if _is_transposed(outside) and _is_right_factor(op.fgraph, inside):
            replacements[outside] = RowsInMemory()(outside, _rows_multiplied(node))
    if not replacements:
        return False
    return op.make_node(*(replacements.get(x, x) for x in node.inputs)).outputs


def _is_transposed(variable):
    return (
        variable.owner is not None
        and isinstance(variable.owner.op, DimShuffle)
        and variable.owner.op.new_order == (1, 0)
        and variable.dtype in FLOATS
    )


def _is_right_factor(fgraph, variable):
    return any(
        position == 1 and isinstance(getattr(client, "op", None), Dot)
        for client, position in fgraph.clients[variable]
    )


def _rows_multiplied(node):
    """Steps times chains: the number of rows of a state, as far as it has rows."""
    op = node.op
    states = [x for x in op.outer_sitsot(node.inputs) if x.ndim == 3]
    states += [x for x in op.outer_untraced_sit_sot(node.inputs) if x.type.ndim == 2]
    states = [x for x in states if x.dtype.startswith("float")]
    n_steps = node.inputs[0]
    return n_steps * states[0].shape[-2] if states else n_steps


optdb.register(
    "rbm_sym_rows_for_scan",
    dfs_rewriter(rows_for_scan, ignore_newtrees=True), "numba", "rbm_sym", position=1.65,
)  # fmt: skip
