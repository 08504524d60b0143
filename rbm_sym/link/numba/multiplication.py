"""The multiplication of two matrices, of which the left one may be mostly zeros.

Row i of the product x y is the sum of those rows of y that x[i] selects, weighted:

    (x y)[i] = Σ_j x[i, j] y[j],    over the j with x[i, j] != 0

BLAS computes the product if x is dense, or if y does not lie in memory row by row. BLAS needs less
than half the time for one multiplication, since its blocks use each number that they have loaded
several times. This gives the density of x below which it is faster to skip zeros.
"""

import numpy as np
from numba import types
from pytensor.link.numba.dispatch.basic import numba_njit

from rbm_sym.link.numba.kernels import FREE, array_type, kernel
from rbm_sym.link.numba.layouts import (
    CACHE_LINE,
    any_layout,
    as_vector,
    contiguous,
    flat,
    in_one_piece,
)
from rbm_sym.link.numba.vectors import WORD, address, lowest_bit, nonzero_bits, row_adder

# Up to this share of nonzero entries in x it is faster to skip zeros; the numbers were found by
# scripts/evidence/benchmark_products.py. With m rows, the limit is DENSEST + FEW_ROWS / m: BLAS
# fetches y once for all rows, which takes more time per row if the rows are few.
DENSEST, FEW_ROWS = 0.35, 1.2

# But the limit is at most this, at which both ways do little else than fetch y.
DENSEST_OF_FEW = 0.7

# The limit for a single row, for which BLAS has another function.
DENSEST_ROW = 0.4

# Numbers that are counted between two tests whether x is too dense already.
COUNTED_AT_ONCE = 4096

# Cache lines of numbers that are summed together, in a panel (see `panels`) and in other rows. A
# panel is in a near cache; from other rows, longer pieces are fetched faster.
PANEL_LINES = 2
ROW_LINES = 8

# Short rows are added two at a time, since each addition has to wait for the one before it.
add_short_rows, add_long_rows = row_adder(PANEL_LINES, 2), row_adder(ROW_LINES, 1)

# A matrix of up to this many bytes stays in a near cache while it is used.
NEAR = 2**18

# Rows of a product that are computed together if y is in a near cache.
ROWS_TOGETHER = 8

# --- Skipping zeros --------------------------------------------------------------------------


@numba_njit
def _count_nonzero(numbers, most):
    """How many numbers are not zero; if more than `most`, any number above `most`."""
    count = np.intp(0)
    for first in range(0, numbers.size, COUNTED_AT_ONCE):
        part = numbers[first : first + COUNTED_AT_ONCE]
        # Without a branch, so that LLVM counts a vector at a time.
        for i in range(part.size):
            count += part[i] != 0
        if count > most:
            break
    return count


@numba_njit
def _select(x, factor, positions, weights, ends):
    """Write the nonzero numbers row after row: positions, factor x, and where each row ends."""
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
        # Each number is written, but counted only if it is not zero: there is no branch to predict.
        # Indices are unsigned, so that numba does not test for negative ones.
        for j in range(np.uintp(compared), np.uintp(x.shape[1])):
            positions[n], weights[n] = j, factor * row[j]
            n += np.uintp(row[j] != 0)
        ends[i + 1] = n


@numba_njit
def _skip_zeros(x, n_nonzero, y, panels, factor, product):
    m, n = product.shape
    # One more than needed, since the last number is written before it is tested.
    positions = np.empty(n_nonzero + 1, np.uint32)
    weights = np.empty(n_nonzero + 1, product.dtype)
    ends = np.empty(m + 1, np.intp)
    _select(x, factor, positions, weights, ends)

    # Block by block of columns, so that the sums stay in registers. All rows of the product use a
    # block before the next one is fetched, so that each is fetched once. If y is in a near cache
    # anyway, only a few rows are computed at a time, so that the product stays near too.
    size = product.itemsize
    short = panels.size or n * size < ROW_LINES * CACHE_LINE
    n_lines = PANEL_LINES if short else ROW_LINES
    width = n_lines * CACHE_LINE // size
    rows_together = ROWS_TOGETHER if y.size * size <= NEAR else m
    for top in range(0, m, rows_together):
        for block in range((n + width - 1) // width):
            # The last block overlaps the one before it; the columns already done are skipped.
            start = min(block * width, n - width)
            skip = block * width - start
            if panels.size:
                columns, distance = address(panels) + block * panels.strides[0], width
            else:
                columns, distance = address(y) + start * size, y.strides[0] // size
            for i in range(top, min(top + rows_together, m)):
                total = address(product) + (i * n + start) * size
                selected = positions, weights, ends[i], ends[i + 1]
                # The sum is made first and then added. Weights are much larger than their updates:
                # if each term were added to the weight, it would be rounded at the weight's size.
                if n_lines == ROW_LINES:
                    add_long_rows(total, skip, columns, distance, *selected)
                else:
                    add_short_rows(total, skip, columns, distance, *selected)


# --- BLAS ------------------------------------------------------------------------------------
_AS_IT_IS, _TRANSPOSED = ord("n"), ord("t")

# BLAS as numba calls it, which takes it from SciPy. Addresses are integers, for both precisions.
_gemm = types.ExternalFunction("numba_xxgemm", types.intc(*[types.char] * 3, *[types.intp] * 11))
_gemv = types.ExternalFunction("numba_xxgemv", types.intc(*[types.char] * 2, *[types.intp] * 8))


@numba_njit
def _form(matrix):
    """How BLAS sees the matrix, and the distance between its rows or columns; 0 if not at all."""
    rows, columns = matrix.shape
    down, right = matrix.strides[0] // matrix.itemsize, matrix.strides[1] // matrix.itemsize
    # The stride of an axis of length one means nothing.
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
    # BLAS expects columns, so that all three matrices are transposed for it.
    _gemm(
        kind, y_form, x_form, n, x.shape[0], x.shape[1], address(scales), address(y), y_distance,
        address(x), x_distance, address(scales) + scales.itemsize, address(product), n,
    )  # fmt: skip


@numba_njit
def _multiply_with_gemv(matrix, vector, scales, product):
    kind = ord("s") if product.itemsize == 4 else ord("d")
    form, distance = _form(matrix)
    rows, columns = matrix.shape
    # For BLAS, a matrix that lies row by row is transposed.
    form, rows, columns = (
        (_TRANSPOSED, columns, rows) if form == _AS_IT_IS else (_AS_IT_IS, rows, columns)
    )
    _gemv(
        kind, form, rows, columns, address(scales), address(matrix), distance, address(vector),
        address(scales) + scales.itemsize, address(product),
    )  # fmt: skip


@numba_njit
def _multiply_with_blas(x, y, scales, product):
    # Copies are made here and passed to a function as arguments. Numba frees an array after its
    # last use, and the use of its address does not count.
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
        # From here on, the product with its biases is kept and added to.
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


def compiled_multiply(dtype):
    matrix, vector = array_type(dtype, 2, "A"), array_type(dtype, 1, "C")
    types = [matrix, matrix, array_type(dtype, 3, "C"), vector, vector, array_type(dtype, 2, "C")]
    return kernel(_multiply, f"multiply_{dtype}", types, FREE)
