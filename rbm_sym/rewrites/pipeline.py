"""All rewrites of this package, in the order in which they act on a graph.

PyTensor rewrites a graph in stages, and each stage has a position (`pytensor.compile.optdb`). It
merges equal nodes at 0, makes the canonical form at 1, and gives scans their final form from 1.6
on. It chooses fast forms at 2, fuses elementwise operations from 48 on, and lets Ops overwrite
their inputs from 49.5 on. Our rewrites stand between these. The modules say what a rewrite
recognises; this list says where it acts and why there.
"""

from typing import NamedTuple

from pytensor.compile import optdb
from pytensor.graph.rewriting.basic import dfs_rewriter

from rbm_sym.link.numba.elementary import vectorised_functions
from rbm_sym.link.numba.one_element import number
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

# The tag of all of them but the last, which only saves copies.
ALL = "rbm_sym"


class RewriteStage(NamedTuple):
    """Rewrites of nodes that act together, at one position among PyTensor's.

    again : whether they are also applied to nodes that they have made themselves
    """

    position: float
    name: str
    rewrites: list
    again: bool = False
    tags: tuple = ("numba", ALL)


PIPELINE = [
    # Before equal products are merged, and before `one_column_replaced` looks for rounded pictures.
    RewriteStage(-0.5, "rbm_sym_rounded_sample", [rounded_sample], again=True),
    # Before the canonical form, which may replace the index by a copy with a check of its bounds.
    RewriteStage(0.5, "rbm_sym_one_column_replaced", [one_column_replaced], again=True),
    # Before PyTensor decides how many steps of each result it keeps.
    RewriteStage(1.61, "rbm_sym_last_step_only", [last_step_only]),
    # After the scan has got its final form.
    RewriteStage(1.65, "rbm_sym_panels_for_scan", [panels_for_scan]),
    # Once it is known which matrices have been laid out for a scan.
    RewriteStage(1.66, "rbm_sym_panels_at_hand", [panels_at_hand]),
    # Before Dot is replaced, and before the multiplication can be fused with others.
    RewriteStage(46, "rbm_sym_matrix_sum", [matrix_sum, product_with_equal_numbers], again=True),
    # After the last rewrites that make arrays of one element.
    RewriteStage(46.5, "rbm_sym_number", [number]),
    # Late: the rewrites before these know Dot.
    RewriteStage(47, "rbm_sym_sparse_product", [sparse_product], again=True),
    RewriteStage(47.1, "rbm_sym_sum_of_product_and_bias", [sum_of_product_and_bias], again=True),
    RewriteStage(47.2, "rbm_sym_matrix_plus_products", [matrix_plus_products], again=True),
    # Just before elementwise operations are fused into one loop.
    RewriteStage(47.5, "rbm_sym_vectorised_functions", [vectorised_functions], again=True),
    # After all rewrites that build graphs, beside PyTensor's own for in-place Ops; every backend.
    RewriteStage(50.9, "rbm_sym_in_place", [in_place], tags=("fast_run", "inplace")),
]

for stage in PIPELINE:
    rewriter = dfs_rewriter(*stage.rewrites, ignore_newtrees=not stage.again)
    optdb.register(stage.name, rewriter, *stage.tags, position=stage.position)
