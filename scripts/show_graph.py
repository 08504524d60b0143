"""Print and draw the graph of a training function, before and after compilation.

The text comes from PyTensor's dprint. The picture comes from PyTensor's d3viz: a file to be opened
in a browser.
"""

import argparse
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytensor
import pytensor.tensor as pt

from rbm_sym import RBM
from rbm_sym.internal.files import check_file
from rbm_sym.pages.dot import dot_source
from rbm_sym.pages.graph import write_graphs
from rbm_sym.rewrites import ALL, without
from rbm_sym.runs.options import some_path, whole_number
from rbm_sym.runs.terminal import one_line_errors


def main(arguments=None):
    with one_line_errors(OSError):
        show_graph(argument_parser().parse_args(arguments))


def show_graph(args):
    check_file(args.output)
    pytensor.config.floatX = args.floatX
    rbm = RBMOfNamedGradients(pt.matrix("x"), args.n_visible, args.n_hidden)
    chain = None
    if args.algorithm == "pcd":
        zeros = np.zeros((20, args.n_hidden), dtype=args.floatX)
        chain = pytensor.shared(zeros, name="persistent_chain")
    cost, updates = rbm.get_cost_updates(persistent=chain, k=args.k)
    name_results(cost, updates)
    results = [cost, *updates.values()]
    with without(ALL) if args.rewrites == "none" else nullcontext():
        train = pytensor.function([rbm.input], cost, updates=updates)

    depth = -1 if args.depth is None else args.depth
    print("=== Before compilation\n")
    pytensor.dprint(results, depth=depth)
    print("\n=== After compilation\n")
    pytensor.dprint(train, depth=depth)
    write_graphs(
        args.output,
        {
            "Before compilation": dot_source(results),
            "After compilation": dot_source(train.maker.fgraph.outputs),
        },
    )
    print(f"\n... drawn in {args.output}: open it in a browser, and a scan by a double click")


def argument_parser():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument(
        "--algorithm", choices=["pcd", "cd"], default="pcd",
        help="persistent contrastive divergence, or contrastive divergence from the data",
    )  # fmt: skip
    parser.add_argument(
        "--k", type=whole_number(1, 2**31), default=15,
        help="Gibbs steps in an update; a single step becomes no scan",
    )  # fmt: skip
    parser.add_argument("--n-visible", type=whole_number(1, 10_000), default=12)
    parser.add_argument("--n-hidden", type=whole_number(1, 10_000), default=8)
    parser.add_argument("--floatX", choices=["float32", "float64"], default="float32")
    parser.add_argument(
        "--rewrites", choices=["all", "none"], default="all",
        help="compile with the rewrites of rbm_sym, or with PyTensor's own alone",
    )  # fmt: skip
    parser.add_argument("--depth", type=whole_number(1), help="print no deeper than this")
    parser.add_argument("--output", type=some_path, default=Path("graph.html"), help="the picture")
    return parser


class RBMOfNamedGradients(RBM):
    """An RBM whose gradients can be found in the graph."""

    def gradients(self, particles):
        gradients = super().gradients(particles)
        for param, gradient in zip(self.params, gradients, strict=True):
            gradient.name = f"gradient of {param.name}"
        return gradients


def name_results(cost, updates):
    """Name the results of the graph by their use; the names stay after compilation."""
    cost.name = "monitoring cost"
    for shared, new_value in updates.items():
        new_value.name = f"updated {shared.name}"


if __name__ == "__main__":
    main()
