"""What makes compiled graphs fast.

Importing this package adds rewrites to PyTensor's own (`pytensor.compile.optdb`). They apply
wherever a graph is compiled by numba, PyTensor's default. They change no random draw. They change
results only by rounding, as long as no sum or product on the way leaves the range of its dtype;
where numbers are infinite or not numbers, the modules say what becomes of them. One idea a
module, each saying what it recognises, what it puts in its place and why that is faster. Those in
this folder serve any backend; those that bring in numba's own Ops are in `rbm_sym.link.numba`.
`pipeline` is the list of them all, in the order in which they act:

| rewrite | acts on |
|---|---|
| `rbm_sym_rounded_sample` | the rounding of a Bernoulli sample |
| `rbm_sym_one_column_replaced` | a product with a matrix, one of its columns flipped |
| `rbm_sym_last_step_only` | a scan's results over time of which the last is read |
| `rbm_sym_panels_for_scan` | a matrix that a scan multiplies with |
| `rbm_sym_panels_at_hand` | the same matrix, where it is multiplied with elsewhere |
| `rbm_sym_number` | arithmetic among arrays of one element |
| `rbm_sym_matrix_sum` | sums over the rows or columns of a matrix |
| `rbm_sym_sparse_product` | products of matrices, one of them mostly zeros |
| `rbm_sym_sum_of_product_and_bias` | a bias added to such a product |
| `rbm_sym_matrix_plus_products` | such products added to a matrix, as in updates |
| `rbm_sym_vectorised_functions` | sigmoid and softplus |

To do without one of them, or without all:

    with without("rbm_sym_matrix_sum"):
        function = pytensor.function(inputs, outputs)
    with without(ALL):
        function = pytensor.function(inputs, outputs)
"""

from contextlib import contextmanager

import pytensor
from pytensor.compile.mode import get_default_mode

from rbm_sym.rewrites.pipeline import ALL, PIPELINE

NAMES = tuple(stage.name for stage in PIPELINE if ALL in stage.tags)


@contextmanager
def without(name):
    """Functions compiled inside of this context do without a rewrite.

    It changes the default mode: a function that is given a `mode` of its own gets the rewrites of
    that. On PyTensor 3.0, copy or unpickle such a function inside of this context too.

    Parameters
    ----------
    name : one of `NAMES`, or `ALL`

    Raises
    ------
    ValueError
        if there is no such rewrite

    Examples
    --------
    >>> import numpy as np
    >>> import pytensor
    >>> import pytensor.tensor as pt
    >>> from rbm_sym.rewrites import ALL, without
    >>> x = pt.matrix("x")
    >>> with without("rbm_sym_matrix_sum"):
    ...     sums = pytensor.function([x], x.sum(axis=0))
    >>> with without(ALL):
    ...     plain = pytensor.function([x], x.sum(axis=0))
    >>> sums(np.ones((2, 3))), plain(np.ones((2, 3)))
    (array([2., 2., 2.]), array([2., 2., 2.]))
    """
    if name not in (*NAMES, ALL):
        raise ValueError(f"name: one of {', '.join((*NAMES, ALL))} is needed, not {name!r}")
    # As a setting: the argument `mode` of a function does not reach the inside of its scans on
    # PyTensor 3.0.
    with pytensor.config.change_flags(mode=get_default_mode().excluding(name)):
        yield
