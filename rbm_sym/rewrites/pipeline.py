"""All rewrites of this package, in the order in which they act on a graph.

PyTensor rewrites a graph in stages, each at a position of its own (`pytensor.compile.optdb`). Ours
stand among them: equal nodes are merged at 0, the canonical form is made at 1, scans get their
final form from 1.6 on, what is fast is chosen at 2, elementwise operations are fused from 48 on,
and from 49.5 on inputs may be overwritten. The modules say what a rewrite recognises; here it is
said where it acts and why there.
"""

from typing import NamedTuple

from pytensor.compile import optdb
from pytensor.graph.rewriting.basic import dfs_rewriter

from rbm_sym.link.numba.elementary import vectorised_functions
from rbm_sym.link.numba.numbers import number
from rbm_sym.link.numba.panels import panels_at_hand, panels_for_scan
from rbm_sym.link.numba.products import (
    matrix_plus_products,
    sparse_product,
    sum_of_product_and_bias,
)
from rbm_sym.link.numba.sums import matrix_sum, product_with_equal_numbers
from rbm_sym.rewrites.in_place import in_place
from rbm_sym.rewrites.last_step import last_step_only
from rbm_sym.rewrites.one_column import one_column_replaced
from rbm_sym.rewrites.rounded_sample import rounded_sample

# The tag that all of them have but the last, which changes no operation.
ALL = "rbm_sym"


class Stage(NamedTuple):
    """Rewrites of nodes that act together, at one position of PyTensor's.

    again : whether they look at nodes, too, that they have made themselves
    """

    position: float
    name: str
    rewrites: list
    again: bool = False
    tags: tuple = ("numba", ALL)


PIPELINE = [
    # Before equal products are merged, and before a column of the rounded pictures is looked for.
    Stage(-0.5, "rbm_sym_rounded_sample", [rounded_sample], again=True),
    # Before the canonical form, in which the index may be replaced by its bounds-checked double.
    Stage(0.5, "rbm_sym_one_column_replaced", [one_column_replaced], again=True),
    # Before PyTensor decides how much of each result over time it keeps.
    Stage(1.61, "rbm_sym_last_step_only", [last_step_only]),
    # After the scan has got its final form.
    Stage(1.65, "rbm_sym_panels_for_scan", [panels_for_scan]),
    Stage(1.66, "rbm_sym_panels_at_hand", [panels_at_hand]),
    # Before Dot is replaced, and before the multiplication can be fused with others.
    Stage(46, "rbm_sym_matrix_sum", [matrix_sum, product_with_equal_numbers], again=True),
    # After the last rewrites that make arrays of one element.
    Stage(46.5, "rbm_sym_number", [number]),
    # Late: the rewrites before these know Dot.
    Stage(47, "rbm_sym_sparse_product", [sparse_product], again=True),
    Stage(47.1, "rbm_sym_sum_of_product_and_bias", [sum_of_product_and_bias], again=True),
    Stage(47.2, "rbm_sym_matrix_plus_products", [matrix_plus_products], again=True),
    # Just before elementwise operations are fused into one loop.
    Stage(47.5, "rbm_sym_vectorised_functions", [vectorised_functions], again=True),
    # After all that build graphs, beside PyTensor's own of the kind; for every backend.
    Stage(50.9, "rbm_sym_in_place", [in_place], tags=("fast_run", "inplace")),
]

for stage in PIPELINE:
    rewriter = dfs_rewriter(*stage.rewrites, ignore_newtrees=not stage.again)
    optdb.register(stage.name, rewriter, *stage.tags, position=stage.position)
