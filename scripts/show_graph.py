"""Print and draw the graph of a training function, before and after compilation.

The text is PyTensor's dprint, the picture PyTensor's d3viz: a file to be opened in a browser.
"""

import argparse
import re
from contextlib import nullcontext
from pathlib import Path

import pytensor
import pytensor.tensor as pt
from command_line import check_file, one_line_errors, some_path, whole_number
from dot import COLORS, dot_source
from pytensor import d3viz
from pytensor.d3viz.d3viz import safe_json
from rbm_sym.files import whole_file
from train_rbm import make_persistent_chain

from rbm_sym import RBM
from rbm_sym.rewrites import ALL, without

PROGRAM = "show_graph.py"


def main():
    args = argument_parser().parse_args()
    check_file(args.output)
    pytensor.config.floatX = args.floatX
    rbm = RBMOfNamedGradients(pt.matrix("x"), args.n_visible, args.n_hidden)
    cost, updates = rbm.get_cost_updates(persistent=make_persistent_chain(args), k=args.k)
    name_results(cost, updates)
    results = [cost, *updates.values()]
    with without(ALL) if args.rewrites == "none" else nullcontext():
        train = pytensor.function([rbm.input], cost, updates=updates)

    depth = -1 if args.depth is None else args.depth
    print("=== Before compilation\n")
    pytensor.dprint(results, depth=depth)
    print("\n=== After compilation\n")
    pytensor.dprint(train, depth=depth)
    write_page(
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
        help="Gibbs steps an update; PyTensor makes no scan of a single one",
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
    parser.set_defaults(batch_size=20)
    return parser


class RBMOfNamedGradients(RBM):
    """An RBM whose gradients can be found in the graph."""

    def gradients(self, particles):
        gradients = super().gradients(particles)
        for param, gradient in zip(self.params, gradients, strict=True):
            gradient.name = f"gradient of {param.name}"
        return gradients


def name_results(cost, updates):
    """Tell what each result of the graph is for; the names outlive compilation."""
    cost.name = "monitoring cost"
    for shared, new_value in updates.items():
        new_value.name = f"updated {shared.name}"


def write_page(path, graphs):
    """Write d3viz's page with all that it refers to inside of it.

    Parameters
    ----------
    path : where to write it
    graphs : dict from title to DOT source
    """
    folder = Path(d3viz.__file__).parent

    def style(match):
        return f"<style>\n{(folder / 'css' / match[1]).read_text('utf-8')}\n</style>"

    def script(match):
        return f"<script>\n{(folder / 'js' / match[1]).read_text('utf-8')}\n</script>"

    page = (folder / "html" / "template.html").read_text("utf-8")
    page = re.sub(r'<link rel="stylesheet" href="%% CSS_DIR %%/(.*?)"/>', style, page)
    page = re.sub(r'<script .*?src="%% JS_DIR %%/(.*?)"></script>', script, page)
    page = page.replace("%% DOT_GRAPH %%", "graphs[shown]")
    ours = Path(__file__).with_suffix(".js").read_text("utf-8")
    constants = f"const graphs = {safe_json(graphs)};\nconst colors = {safe_json(COLORS)};"
    page = page.replace("</head>", f"<script>\n{constants}\n{ours}</script>\n</head>")
    page = page.replace("<head>", '<head>\n<meta charset="utf-8">')
    with whole_file(path) as unfinished:
        unfinished.write_text(page, "utf-8")


if __name__ == "__main__":
    with one_line_errors(PROGRAM, OSError):
        main()
