"""Graph rewrites, which make compiled functions fast.

Importing this package adds rewrites to PyTensor's own (`pytensor.compile.optdb`). They apply
wherever a graph is compiled by numba, PyTensor's default. They change no random draw. They change
results only by rounding, as long as no intermediate sum or product leaves the range of its dtype.
For numbers that are infinite or not numbers, the modules say what happens.

There is one idea in a module. Each says what it recognises, what it puts in its place and why that
is faster. The rewrites in this folder serve any backend; those that need numba's own Ops are in
`rbm_sym.link.numba`. `pipeline` lists all of them in the order in which they act. `without` leaves
out these:

| rewrite | acts on |
|---|---|
| `rbm_sym_rounded_sample` | the rounding of a Bernoulli sample |
| `rbm_sym_one_column_replaced` | a product with a matrix of which one column was flipped |
| `rbm_sym_last_step_only` | results of a scan of which only the last step is read |
| `rbm_sym_panels_for_scan` | a matrix that a scan multiplies with |
| `rbm_sym_panels_at_hand` | other products with the same matrix |
| `rbm_sym_number` | arithmetic with arrays of one element |
| `rbm_sym_matrix_sum` | sums over the rows or columns of a matrix |
| `rbm_sym_sparse_product` | products of matrices, one of them mostly zeros |
| `rbm_sym_sum_of_product_and_bias` | such a product plus a bias |
| `rbm_sym_matrix_plus_products` | a matrix plus such products, as in updates |
| `rbm_sym_vectorised_functions` | sigmoid and softplus |

To compile without one of them, or without all:

    with without("rbm_sym_matrix_sum"):
        function = pytensor.function(inputs, outputs)
    with without(ALL):
        function = pytensor.function(inputs, outputs)
"""

from collections.abc import Iterator
from contextlib import contextmanager

import pytensor
from pytensor.compile.mode import get_default_mode

from rbm_sym.rewrites.pipeline import ALL, PIPELINE

__all__ = ["ALL", "NAMES", "without"]

NAMES = tuple(stage.name for stage in PIPELINE if ALL in stage.tags)


@contextmanager
def without(name: str) -> Iterator[None]:
    """A context in which functions are compiled without a rewrite.

    It changes the default mode. A function with an argument `mode` gets the rewrites of that mode.
    On PyTensor 3.0, copies of such a function have to be made, and unpickled, inside this context
    too.

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
    # By the setting, since on PyTensor 3.0 the argument `mode` of a function does not act inside
    # its scans.
    with pytensor.config.change_flags(mode=get_default_mode().excluding(name)):
        yield
