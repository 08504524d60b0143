"""Compare this package with the tutorial on Theano: names, random numbers and whole runs.

The report is printed and written as Markdown, with pictures. The results of Theano are recorded in
tests/reference. With --theano-python, Theano computes them again.
"""

import argparse
import ast
import csv
import inspect
import json
import multiprocessing
import os
import platform
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytensor
import pytensor.tensor as pt
from replay import REFERENCE, cost_differences, first_above, load_runs, record, replay, snapshots

import rbm_sym
from rbm_sym.datasets import read_arrays
from rbm_sym.internal.files import make_folder, whole_file
from rbm_sym.runs import count_batches
from rbm_sym.runs.curve import import_pyplot
from rbm_sym.runs.options import option, some_name, some_path, whole_number
from rbm_sym.runs.terminal import one_line_errors

sys.path.insert(0, str(REFERENCE))
import stream_calls

RUNS = [
    "tutorial_pcd15_mrg_float64",
    "tutorial_cd1_mrg_float64",
    "tutorial_pcd15_shared_float64",
    "tutorial_cd1_shared_float64",
]
FLOAT32 = "tutorial_pcd15_mrg_float32"
STREAM_CALLS = ["uniform_symbolic_size", "normal_even", "binomial_symbolic_size"]
# The tutorial's program is a function with arguments; ours has options.
TRAIN = Path(__file__).resolve().parents[1] / "train_rbm.py"
OPTIONS = {"training_epochs": "epochs", "output_folder": "output"}


def main():
    args = parse_arguments()
    with one_line_errors(ValueError, TypeError):
        pictures = read_arrays(args.dataset)[0][0]
        if args.full and len(pictures) != 50_000:
            raise ValueError(
                f"--full: the recorded epochs are those of 50,000 training digits; "
                f"{args.dataset} has {len(pictures)}: add --dataset mnist.pkl.gz"
            )
        there, drawn = load_runs(), dict(np.load(REFERENCE / "streams.npz"))
        own = theano_from_itself(there)
        if not are_the_digits(pictures):
            if not args.theano_python:
                raise ValueError(
                    f"--dataset: the recorded runs saw MNIST's digits, {args.dataset} begins with "
                    "other pictures; use 'digits', mnist.pkl.gz or --theano-python"
                )
            own = {}
        for name in args.runs:
            count_batches(len(pictures), there[name]["settings"]["batch_size"])
        signatures = json.loads((REFERENCE / "signatures.json").read_text())
        if args.tutorial:
            signatures |= signatures_of(args.tutorial)
        folder = make_folder(args.output)

    # Two runs at a time with a thread each, since more threads of OpenBLAS would slow both down.
    # But one after the other if times are compared.
    at_once = 1 if args.theano_python else 2
    if at_once > 1:
        os.environ["OPENBLAS_NUM_THREADS"] = "1"
    report = Report(folder / "report.md")
    report.write("# The tutorial on Theano, and here", "", machine())
    if args.theano_python:
        print("... Theano is running, which can take some minutes", flush=True)
        with one_line_errors(ValueError):
            live, drawn = record_live(args, pictures)
        there |= live
    compare_signatures(report, signatures)
    compare_streams(report, drawn)
    made = make_runs(args, there, pictures, at_once)
    compare_runs(report, made, there, own, pictures.shape[1])
    if args.full:
        compare_epochs(report, args.dataset, folder)
    print(f"... the report is in {report.path}")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument(
        "--dataset", default="digits",
        help="'digits', for 500 updates, or the tutorial's mnist.pkl.gz, for 1000 (%(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--runs", nargs="+", choices=[*RUNS, FLOAT32], default=RUNS, metavar="RUN",
        help="which of %(choices)s to make (all in float64)",
    )  # fmt: skip
    parser.add_argument("--updates", type=whole_number(1), help="of each run, at most")
    parser.add_argument(
        "--full", action="store_true",
        help="also train here for all 15 epochs, in float64, which takes a quarter of an hour",
    )  # fmt: skip
    parser.add_argument(
        "--theano-python",
        type=some_name,
        metavar="PATH",
        help="a Python that has Theano, to run it live",
    )
    parser.add_argument(
        "--tutorial", type=some_path, metavar="FOLDER",
        help="folder of your copy of the tutorial's rbm.py; by default Theano runs a model of ours",
    )  # fmt: skip
    parser.add_argument(
        "--output", type=some_path, default=Path("comparison"), help="(%(default)s)"
    )
    args = parser.parse_args()
    if args.tutorial and not args.theano_python:
        parser.error("--tutorial: give --theano-python too, a Python that has Theano")
    return args


def theano_from_itself(runs):
    """{run: list}, the differences of cost between recordings that differ only in rounding."""
    others = [load_runs(path) for path in sorted(REFERENCE.glob("rounding_*.npz"))]
    return {
        name: [cost_differences(other[name]["costs"], runs[name]["costs"]) for other in others]
        for name in [*RUNS, FLOAT32]
    }


def are_the_digits(pictures):
    """Whether the first pictures are those of the recorded runs."""
    return np.array_equal(pictures[:100], read_arrays("digits")[0][0][:100])


class Report:
    """Lines that are printed at once, and written to a file that is complete at any time."""

    def __init__(self, path):
        self.path = path
        self.lines = []

    def write(self, *lines):
        print(*lines, sep="\n", flush=True)
        self.lines += lines
        with whole_file(self.path) as unfinished:
            unfinished.write_text("\n".join(self.lines) + "\n", encoding="utf-8")

    def table(self, header, rows):
        rows = [[str(cell) for cell in row] for row in rows]
        lines = [header, ["---"] * len(header), *rows]
        self.write("", *("| " + " | ".join(line) + " |" for line in lines), "")


def machine():
    packages = ", ".join(f"{name} {version(name)}" for name in ("pytensor", "numba", "numpy"))
    threads = os.environ.get("OPENBLAS_NUM_THREADS", f"at most {os.cpu_count()}")
    return (
        f"rbm_sym {rbm_sym.__version__}, {packages}, Python {platform.python_version()}, "
        f"{platform.machine()}, BLAS threads: {threads}."
    )


# --- Names and signatures --------------------------------------------------------------------


def compare_signatures(report, signatures):
    report.write("", "## Names and signatures")
    rows = []
    for name, there in signatures.items():
        here = signature_here(name, there)
        if here is None:
            rows.append([f"`{name}{there}`", "", "not here"])
        else:
            rows.append([f"`{name}{there}`", f"`{here}`", verdict(there, here)])
    report.table(["there", "here", ""], rows)


def signature_here(name, there):
    """Our signature of a function, as text; None if it is not here.

    `there` is the tutorial's signature.
    """
    if name == "test_rbm":
        defaults = option_defaults()
        ours = {key: option(OPTIONS.get(key, key)) for key in parameters_of(there)}
        shared = {key: defaults[name] for key, name in ours.items() if name in defaults}
        return "(" + ", ".join(f"{key}={value}" for key, value in shared.items()) + ")"
    found = rbm_sym
    for part in name.split("."):
        found = getattr(found, part, None)
    if found is None:
        return None
    parameters = inspect.signature(found).parameters.values()
    # Without annotations, which the tutorial has none of.
    parameters = [p.replace(annotation=p.empty) for p in parameters if p.name != "self"]
    return str(inspect.Signature(parameters))


def option_defaults():
    """The options of train_rbm.py and their defaults, as Python writes them: {option: text}."""
    command = [sys.executable, TRAIN, "--help"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = [
        (re.match(r"--[\w-]+", entry), re.search(r"\(default:\s+(\S+)\)", entry))
        for entry in re.split(r"^  (?=--)", text, flags=re.MULTILINE)
    ]
    return {name[0]: as_text(default[1]) for name, default in found if name and default}


def as_text(default):
    try:
        return repr(ast.literal_eval(default))
    except (ValueError, SyntaxError):
        return repr(default)


def verdict(there, here):
    """A text on what a caller has to change from `there` to `here`, two signatures as text."""
    there, here = parameters_of(there), parameters_of(here)
    words = []
    if missing := [name for name in there if name not in here]:
        words.append(f"without {', '.join(missing)}")
    if more := [name for name in here if name not in there]:
        words.append(f"also {', '.join(more)}")
    shared = [name for name in there if name in here]
    if shared != [name for name in here if name in there]:
        words.append("in another order")
    words += [f"{name} defaults to {here[name]}" for name in shared if here[name] != there[name]]
    return "; ".join(words) or "same"


def parameters_of(signature):
    """{parameter: its default as text, or None}, in order."""
    arguments = ast.parse(f"def f{signature}: pass").body[0].args
    names = [a.arg for a in arguments.posonlyargs + arguments.args]
    defaults = [None] * (len(names) - len(arguments.defaults))
    defaults += [ast.unparse(default) for default in arguments.defaults]
    parameters = dict(zip(names, defaults, strict=True))
    if arguments.kwarg:
        parameters["**" + arguments.kwarg.arg] = None
    return parameters


def signatures_of(folder):
    """The signatures in a user's copy of the tutorial: its RBM, and the functions that it uses."""
    found = {}
    for file, wanted in (
        ("rbm.py", ["RBM", "test_rbm"]),
        ("logistic_sgd.py", ["load_data"]),
        ("utils.py", ["scale_to_unit_interval", "tile_raster_images"]),
    ):
        path = folder / file
        if not path.is_file():
            if file == "rbm.py":
                raise ValueError(f"--tutorial: there is no rbm.py in {folder}")
            continue
        try:
            tree = ast.parse(path.read_text(encoding="utf-8"))
        except (SyntaxError, UnicodeDecodeError) as error:
            raise ValueError(
                f"--tutorial: {path} is not a program of Python 3 ({error}); take the tutorial's "
                "version of 2016"
            ) from None
        for node in tree.body:
            if getattr(node, "name", None) in wanted:
                found |= {name: as_signature(function) for name, function in functions_of(node)}
    return found


def functions_of(node):
    """Pairs (name, syntax tree) of a function, or of a class's methods."""
    if isinstance(node, ast.FunctionDef):
        yield node.name, node
        return
    for method in node.body:
        if isinstance(method, ast.FunctionDef):
            is_init = method.name == "__init__"
            yield node.name if is_init else f"{node.name}.{method.name}", method


def as_signature(function):
    function.args.args = [a for a in function.args.args if a.arg != "self"]
    return f"({ast.unparse(function.args)})"


# --- Random streams --------------------------------------------------------------------------


def compare_streams(report, drawn):
    report.write("", "## The first draws of both random streams", "")
    report.write(
        "Seed 123, floatX=float64, default mode; of many draws, the first 3 and the last 20."
    )
    rows, seed = [], stream_calls.SEEDS.index(123)
    with pytensor.config.change_flags(floatX="float64"):
        for streams in (rbm_sym.RandomStreams, rbm_sym.MRG_RandomStreams):
            p = pt.matrix("p")
            calls = stream_calls.draws(streams(123), p, "float64", streams is rbm_sym.RandomStreams)
            function = pytensor.function([p], [calls[name] for name in STREAM_CALLS])
            values = function(stream_calls.probabilities("float64"))
            for name, value in zip(STREAM_CALLS, values, strict=True):
                there = drawn[f"float64/{streams.__name__}/{name}"][seed, 0]
                here = stream_calls.excerpt(value)
                equal = int(np.sum(here == there))
                rows.append([streams.__name__, name.split("_")[0]])
                rows[-1] += [in_short(there), in_short(here), f"{equal} of {there.size}"]
    report.table(["stream", "draw", "there", "here", "equal to the last bit"], rows)


def in_short(values):
    """The first two numbers; of zeros and ones, the last sixteen."""
    if set(values) <= {0, 1}:
        return "… " + "".join(str(int(value)) for value in values[-16:])
    return " ".join(np.format_float_positional(value, unique=True) for value in values[:2]) + " …"


# --- Whole runs ------------------------------------------------------------------------------


def make_runs(args, there, pictures, at_once):
    """Repeat each run by `replay.replay`; yields (name, arrays, milliseconds)."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(at_once, mp_context=context) as pool:
        made = {
            name: pool.submit(replay, there[name]["settings"], pictures, args.updates)
            for name in args.runs
        }
        try:
            for name, run in made.items():
                print(f"... {name}: compiling and training", flush=True)
                yield name, *run.result()
        finally:
            # If the report is ended, runs that have not begun are cancelled.
            pool.shutdown(cancel_futures=True)


def compare_runs(report, made, there, own, n_visible):
    report.write("", "## Runs from the same seed", "")
    report.write(
        f"The tutorial's settings: {n_visible} visible and 500 hidden units, batches of 20 in file "
        "order, learning rate 0.1, seed 123. Parameters: the largest difference, relative to the "
        "largest entry. Chain: bits of the persistent chain that are the same. Theano's softplus "
        "is cut off above 16, where it is 1e-7 off; ours is nearer to the truth, and the costs of "
        "PCD, which do not act on training, differ by up to that."
    )
    curves, horizons, speeds = {}, [], []
    for name, here, milliseconds in made:
        facts = there[name]["settings"]
        report.write("", f"### {title(facts)}", "", origin(facts, "live" in there[name]))
        report.table(
            ["update", "cost there", "cost here", "difference", "parameters", "chain"],
            run_rows(here, there[name]),
        )
        ours = cost_differences(here["costs"], there[name]["costs"])
        theanos = own.get(name, [])
        curves[title(facts)] = ours, theanos
        horizons.append([title(facts), len(ours)])
        for tolerance in (1e-6, 0.1):
            horizons[-1] += [horizon(tolerance, runs) for runs in ([ours], theanos) if runs]
        if "live" in there[name]:
            theirs = facts["milliseconds an update"]
            times = (theirs, milliseconds, theirs / milliseconds)
            speeds.append([title(facts), *(f"{value:.1f}" for value in times)])
    report.write("", "### Where they part")
    report.write(
        "",
        "The first update whose cost differs by more than a millionth, which is rounding, and by "
        "more than a tenth, which is a sample that fell otherwise. From there on two runs are "
        "two draws of one process.",
    )
    header = ["run", "updates", "1e-6: here", "0.1: here"]
    if theanos:
        report.write(
            "Theano parts from itself in the same way, when its OpenBLAS uses the kernels for "
            f"other processors, of which {len(theanos)} are recorded."
        )
        header = ["run", "updates", "1e-6: here", "Theano itself", "0.1: here", "Theano itself"]
    report.table(header, horizons)
    if plot_differences(curves, report.path.with_name("differences.png")):
        report.write("![differences](differences.png)")
    if speeds:
        report.write(
            "", "### Speed", "", "One after the other on this machine, monitoring included."
        )
        report.table(["run", "Theano, ms an update", "here, ms an update", "ratio"], speeds)


def origin(facts, is_live):
    """A text on the versions with which Theano made a run."""
    how = "now" if is_live else "recorded"
    return (
        f"There ({how}): Theano {facts['theano']}, NumPy {facts['numpy']}, Python "
        f"{facts['python']}, BLAS: {facts['blas']}."
    )


def title(settings):
    algorithm = f"{settings['algorithm'].upper()}-{settings['k']}"
    return f"{algorithm}, {settings['stream']} streams, {settings['floatX']}"


def run_rows(here, there):
    differences = cost_differences(here["costs"], there["costs"])
    states = {update: state for update, *state in snapshots(here, there)}
    last = len(differences)
    for update in sorted({1, 10, 100, 250, 500, 750, 1000, last}):
        if update > last:
            continue
        parameters, same_bits = states.get(update, (None, None))
        yield [
            update, f"{there['costs'][update - 1]:.10f}", f"{here['costs'][update - 1]:.10f}",
            f"{differences[update - 1]:.0e}",
            "" if parameters is None else f"{parameters:.0e}",
            "" if same_bits is None else "all" if same_bits == 1 else f"{same_bits:.1%}",
        ]  # fmt: skip


def horizon(tolerance, runs):
    """A text on the first updates whose costs differ by more than `tolerance`."""
    found = {first_above(tolerance, differences) for differences in runs}
    longest = max(len(differences) for differences in runs)
    updates = sorted(found - {None}) + [f"not in {longest}"] * (None in found)
    return " or ".join(map(str, updates))


def plot_differences(curves, path):
    """Draw the differences of costs: ours from Theano's, and Theano's from one another."""
    plt = import_pyplot("picture")
    if plt is None:
        return False

    figure, axes = plt.subplots(
        len(curves), figsize=(8, 2.2 * len(curves)), sharex=True, layout="constrained"
    )
    for panel, (run, (ours, theanos)) in zip(np.atleast_1d(axes), curves.items(), strict=True):
        labels = [None if i else "Theano from itself" for i in range(len(theanos))]
        labels.append("here from Theano")
        colours = ["tab:blue"] * len(theanos) + ["tab:orange"]
        for values, label, colour in zip([*theanos, ours], labels, colours, strict=True):
            updates = np.arange(1, len(values) + 1)
            panel.semilogy(
                updates, np.maximum(values, 1e-17), linewidth=0.8, label=label, color=colour
            )
        panel.axhline(1e-6, color="grey", linewidth=0.5)
        panel.set_title(run, fontsize="medium")
        panel.set_ylabel("difference of cost")
    np.atleast_1d(axes)[0].legend(loc="lower right", fontsize="small")
    np.atleast_1d(axes)[-1].set_xlabel("update")
    figure.savefig(path, dpi=120)
    plt.close(figure)
    return True


def record_live(args, pictures):
    """Let Theano make the runs and the draws now.

    Returns
    -------
    live : runs as from `replay.load_runs`, each with "live"
    drawn : dict of arrays, the draws of record_streams.py
    """
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        np.savez(folder / "pictures.npz", train_x=pictures)
        options = ["--dataset", folder / "pictures.npz", "--runs", *args.runs]
        if args.updates:
            options += ["--updates", args.updates]
        if args.tutorial:
            options += ["--tutorial", args.tutorial.resolve()]
        try:
            record(args.theano_python, "record_runs.py", folder / "runs.npz", *options)
            record(args.theano_python, "record_streams.py", folder / "streams.npz")
        except ValueError as error:
            raise ValueError(f"--theano-python: {error}") from None
        live, drawn = load_runs(folder / "runs.npz"), dict(np.load(folder / "streams.npz"))
    for run in live.values():
        run["live"] = True
    return live, drawn


# --- All epochs ------------------------------------------------------------------------------


def compare_epochs(report, dataset, folder):
    report.write("", "## All 15 epochs")
    run_folder = folder / "full"
    command = [sys.executable, TRAIN, "--dataset", dataset, "--floatX", "float64"]
    process = subprocess.run([*command, "--output", run_folder])
    if process.returncode:
        # train_rbm.py has printed the reason.
        sys.exit(process.returncode)
    with open(run_folder / "training_curve.csv", newline="") as file:
        rows = [(int(row["epoch"]), float(row["cost"])) for row in csv.DictReader(file)]
    epochs, costs = np.array(rows).T
    recorded = json.loads((REFERENCE / "full_runs.json").read_text())
    report.write("", "The mean cost of each epoch; here with MRG streams in float64.")
    report.table(
        ["epoch", "here", *recorded],
        [
            [epoch, f"{costs[epochs == epoch].mean():.2f}"]
            + [f"{run['epoch_cost'][epoch]:.2f}" for run in recorded.values()]
            for epoch in range(15)
        ],
    )
    report.write(
        "The filters after the last epoch, and samples, 1,000 Gibbs steps from row to row:"
    )
    report.write("", "![filters](full/filters_at_epoch_14.png)", "![samples](full/samples.png)")


if __name__ == "__main__":
    with one_line_errors(OSError, BrokenProcessPool):
        main()
