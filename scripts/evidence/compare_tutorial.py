"""Compare this package with the tutorial on Theano: names, random numbers and whole runs.

The report is printed and written as Markdown, with pictures. The results of Theano are recorded in
tests/reference. With --theano-python, Theano computes them again.
"""

import argparse
import csv
import json
import os
import platform
import subprocess
import sys
import tempfile
from concurrent.futures.process import BrokenProcessPool
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytensor
import pytensor.tensor as pt
from recordings import REFERENCE, load_runs, record, stream_calls
from replay import cost_differences
from signatures import TRAIN, compare_signatures, signatures_of
from whole_runs import compare_runs, make_runs

import rbm_sym
from rbm_sym.datasets import read_arrays
from rbm_sym.internal.files import make_folder, whole_file
from rbm_sym.runs import count_batches
from rbm_sym.runs.options import some_name, some_path, whole_number
from rbm_sym.runs.terminal import one_line_errors

RUNS = [
    "tutorial_pcd15_mrg_float64",
    "tutorial_cd1_mrg_float64",
    "tutorial_pcd15_shared_float64",
    "tutorial_cd1_shared_float64",
]
FLOAT32 = "tutorial_pcd15_mrg_float32"
STREAM_CALLS = ["uniform_symbolic_size", "normal_even", "binomial_symbolic_size"]


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


# --- Theano now --------------------------------------------------------------------------------


def record_live(args, pictures):
    """Let Theano make the runs and the draws now.

    Returns
    -------
    live : runs as from `load_runs`, each with "live"
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
