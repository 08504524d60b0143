"""What makes compiled graphs fast.

Importing this package adds rewrites to PyTensor's own (`pytensor.compile.optdb`). They apply
wherever a graph is compiled by numba, PyTensor's default. They change no random draw, and results
only by rounding (the modules say what else, where numbers are infinite or not numbers). One idea a
module, each saying what it recognises, what it puts in its place and why that is faster:

| module | rewrite | instead of |
|---|---|---|
| `columns` | `rbm_sym_one_column_replaced` | a product with a matrix of which one column was set |
| `traces` | `rbm_sym_last_step_only` | a scan's results over time of which the last is read |
| `panels` | `rbm_sym_panels_for_scan` | a matrix that a scan multiplies with |
| `panels` | `rbm_sym_panels_at_hand` | the same matrix, where it is multiplied with elsewhere |
| `numbers` | `rbm_sym_number` | arithmetic among arrays of one element |
| `sums` | `rbm_sym_matrix_sum` | sums over the rows or columns of a matrix |
| `products` | `rbm_sym_sparse_product` | products of matrices, one of them mostly zeros |
| `products` | `rbm_sym_sum_of_product_and_bias` | a bias added to such a product |
| `products` | `rbm_sym_matrix_plus_products` | such products added to a matrix, as in updates |
| `elementary` | `rbm_sym_vectorised_functions` | sigmoid and softplus |

To do without one of them, or without all:

    mode = pytensor.compile.mode.get_default_mode().excluding("rbm_sym_matrix_sum")
    mode = pytensor.compile.mode.get_default_mode().excluding("rbm_sym")
    pytensor.function(inputs, outputs, mode=mode)
"""

from rbm_sym.rewrites import columns, elementary, numbers, panels, products, sums, traces  # noqa: F401

NAMES = (
    "rbm_sym_one_column_replaced",
    "rbm_sym_last_step_only",
    "rbm_sym_panels_for_scan",
    "rbm_sym_panels_at_hand",
    "rbm_sym_matrix_sum",
    "rbm_sym_number",
    "rbm_sym_sparse_product",
    "rbm_sym_sum_of_product_and_bias",
    "rbm_sym_matrix_plus_products",
    "rbm_sym_vectorised_functions",
)
