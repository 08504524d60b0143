"""The product with a matrix of which one column was flipped.

What is recognised: x with its column i set to c - x[:, i], times y, where c is a constant between
-1 and 1. With c = 1, this is in the free energy of pictures with one bit flipped, from which the
pseudo-likelihood is estimated.

What takes its place, if the graph also has the product with x itself: that product, plus the change
by the column:

    (x with column i set to z) y = x y + (z - x[:, i]) y[i],    z = c - x[:, i]

Columns that are set to something else are not recognised. If a column with large numbers is set to
small ones, these would be the difference of two large numbers, and lose their digits. Here both
have the same size, |x[:, i]| ≤ |z| + 1. For x (m, k) and y (k, n), the error of the result is at
most

    4 (k + 4) ε |x'| |y|,    |x'| with |z| + 1 for column i,    ε = 2^-24 (float32) or 2^-53

Why it is faster: the product with x is computed anyway, for the free energy of the pictures before
the flip. Only a column times a row is added.
"""

from pytensor.graph.rewriting.basic import node_rewriter
from pytensor.scalar import Sub
from pytensor.tensor.basic import get_underlying_scalar_constant_value
from pytensor.tensor.elemwise import Elemwise
from pytensor.tensor.exceptions import NotScalarConstantError
from pytensor.tensor.math import Dot
from pytensor.tensor.subtensor import IncSubtensor, Subtensor

from rbm_sym.internal.arguments import FLOATS


@node_rewriter([Dot])
def one_column_replaced(fgraph, node):
    flipped, y = node.inputs
    if flipped.owner is None or not isinstance(flipped.owner.op, IncSubtensor):
        return False
    op = flipped.owner.op
    x, z, *indices = flipped.owner.inputs
    if not op.set_instead_of_inc or not _is_one_column(op.idx_list):
        return False
    # Integers may leave their range, and a product of two dtypes is rounded in another way.
    if not x.dtype == y.dtype == z.dtype or x.dtype not in FLOATS:
        return False
    if not any(isinstance(c.op, Dot) and c.inputs == [x, y] for c, _ in fgraph.clients[x]):
        return False
    column = _subtracted_from_constant(z)
    if column is None or column.owner is None or not isinstance(column.owner.op, Subtensor):
        return False
    if column.owner.op.idx_list != op.idx_list or column.owner.inputs != [x, *indices]:
        return False
    return [Dot()(x, y) + (z - column)[:, None] * y[indices[0]]]


def _is_one_column(idx_list):
    return len(idx_list) == 2 and idx_list[0] == slice(None) and not isinstance(idx_list[1], slice)


def _subtracted_from_constant(z):
    """The x, if z is c - x with a constant c, |c| ≤ 1; otherwise None."""
    if z.owner is None or not isinstance(z.owner.op, Elemwise):
        return None
    if not isinstance(z.owner.op.scalar_op, Sub):
        return None
    c, x = z.owner.inputs
    try:
        number = get_underlying_scalar_constant_value(c)
    except NotScalarConstantError:
        return None
    return x if abs(number) <= 1 else None
