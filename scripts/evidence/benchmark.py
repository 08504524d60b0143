"""Measure the training and the same training written by hand in other libraries.

Each contestant runs in a process of its own, on as many processor cores as it may use threads. The
processes take turns: a round is a few updates of each. The results are medians over the rounds, and
ratios of these medians. Only installed libraries take part (`pip install -e ".[benchmark]"`
installs JAX, scikit-learn, rbms, and PyTorch with all its dependencies). Theano runs in a Python of
its own.
"""

import argparse
import contextlib
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytensor
import pytensor.tensor as pt

import rbm_sym
from rbm_sym.internal.files import make_folder
from rbm_sym.rewrites import ALL, NAMES
from rbm_sym.runs.curve import import_pyplot
from rbm_sym.runs.options import some_name, some_path, whole_number
from rbm_sym.runs.terminal import one_line_errors

# And Theano, if a Python that has it is given.
TRAINED = ["rbm_sym", "NumPy", "PyTorch", "JAX", "scikit-learn", "rbms"]
TUTORIAL = {"n_hidden": 500, "batch_size": 20, "k": 15}
SWEEP = {
    "batch_size": [1, 5, 20, 100, 500, 2000],
    "n_hidden": [16, 64, 256, 500, 1024, 4096],
    "k": [1, 5, 15, 50, 100],
}
# Other settings that users have, measured only with the rewrites and without.
ELSEWHERE = {
    "CD-1": {"k": 1, "persistent": False},
    "CD-15": {"persistent": False},
    "one example, PCD-1": {"batch_size": 1, "k": 1},
    "half of all pixels on": {"data": "half.npy"},
    "half of all pixels on, batches of 500": {"data": "half.npy", "batch_size": 500},
    "float64": {"dtype": "float64"},
    "float64, batches of 500": {"dtype": "float64", "batch_size": 500},
    "20 samples, 1000 steps": {"contestant": "rbm_sym samples", "k": 1000},
    "1 sample, 1000 steps": {"contestant": "rbm_sym samples", "k": 1000, "batch_size": 1},
}
# In the settings of the sweep, an update takes between 0.1 and 10,000 milliseconds.
SECONDS_A_ROUND = 0.3


def main():
    with one_line_errors(ValueError, OSError):
        benchmark(argument_parser().parse_args())


def benchmark(args):
    folder = make_folder(args.output)
    data = rbm_sym.load_data(args.dataset)[0][0].get_value(borrow=True).astype("float32")
    n_cores = len(available_cores()) or os.cpu_count()
    args.threads = [n for n in args.threads if n <= n_cores]
    results = {"cpu": processor(), "cores": n_cores, "dataset": args.dataset}
    print(f"{results['cpu']}, {n_cores} cores; {args.dataset}: {len(data)} pictures")

    with tempfile.TemporaryDirectory() as temporary:
        contest = Contest(args, Path(temporary), data)
        results["tutorial"] = {}
        for n_threads in args.threads:
            table = contest.run(TUTORIAL, n_threads)
            results["tutorial"][n_threads] = table
            print_table(f"PCD-15, batch 20, 500 hidden units, threads: {n_threads}", table)
        unmonitored = dict(TUTORIAL, k=1, monitoring=False)
        results["pcd1"] = contest.run(unmonitored, args.threads[0])
        print_table(f"PCD-1 without monitoring, threads: {args.threads[0]}", results["pcd1"])
        if args.without:
            results["without"] = contest.compare_rewrites(TUTORIAL, args.threads[0])
            print_table("One rewrite left out", results["without"])
        if not args.no_limits:
            results["limits"] = limits(data, results["tutorial"][args.threads[0]]["rbm_sym"]["ms"])
            print_limits(results["limits"])
        if args.sweep:
            results["sweep"] = contest.sweep(args.threads[0])
            draw_sweep(results["sweep"], folder / "benchmark.png")
            results["elsewhere"] = contest.elsewhere(args.threads[0])
            print_elsewhere(results["elsewhere"])
        results["versions"] = contest.versions
    for name, found in contest.versions.items():
        print(f"{name}: " + ", ".join(f"{what} {version}" for what, version in found.items()))

    (folder / "benchmark.json").write_text(json.dumps(results, indent=1) + "\n")
    print(f"... results are in {folder}")


def argument_parser():
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--dataset", default="digits", help="as for train_rbm.py")
    parser.add_argument("--rounds", type=whole_number(1), default=15)
    parser.add_argument("--updates", type=whole_number(1), default=40, help="of each, in a round")
    parser.add_argument("--threads", type=whole_number(1), nargs="+", default=[1, 2])
    parser.add_argument(
        "--theano-python", type=some_name, metavar="PATH", help="a Python that has Theano"
    )
    parser.add_argument(
        "--sweep", action="store_true", help="over batch size, hidden units, k and more"
    )
    parser.add_argument("--without", action="store_true", help="each rewrite left out")
    parser.add_argument("--no-limits", action="store_true", help="no estimate of what is possible")
    parser.add_argument("--output", type=some_path, default=Path("benchmark"), help="folder")
    return parser


def processor():
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(": ")[1] for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def available_cores():
    """The cores that this process may use; an empty list where the system does not say."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


class Runner:
    """A contestant in a process of its own, which runs updates on request."""

    def __init__(self, python, settings, n_threads, compiled):
        threads = str(n_threads)
        names = ("OPENBLAS", "OMP", "MKL", "NUMEXPR", "NUMBA")
        environment = dict(os.environ) | {f"{name}_NUM_THREADS": threads for name in names}
        environment["PYTENSOR_FLAGS"] = f"base_compiledir={compiled}"
        environment["THEANO_FLAGS"] = f"device=cpu,floatX=float32,base_compiledir={compiled}"
        cores = available_cores()[:n_threads]
        # Some libraries count the cores: they must find only those that they may use.
        keep_to_cores = (lambda: os.sched_setaffinity(0, cores)) if cores else None
        self.process = subprocess.Popen(
            [python, str(Path(__file__).parent / "peers.py")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            env=environment, preexec_fn=keep_to_cores,
        )  # fmt: skip
        self.contestant = settings["contestant"]
        self.ready = self.ask(json.dumps(settings))

    def ask(self, line):
        # If the process has ended, that is not a closed pipe of this program.
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(f"{line}\n")
            self.process.stdin.flush()
        for answer in self.process.stdout:
            if answer.startswith("{"):
                return json.loads(answer)
        return {"missing": "it ended with an error", "supported": True}

    def measure(self, n_updates):
        """Milliseconds per update and MiB of memory; ChildProcessError if the process has ended."""
        answer = self.ask(n_updates)
        if "missing" in answer:
            raise ChildProcessError(f"{self.contestant} ended with an error")
        return answer

    def stop(self):
        self.process.communicate()


class Contest:
    """Runs the contestants side by side."""

    def __init__(self, args, temporary, data):
        self.args = args
        self.temporary = temporary
        self.versions = {}
        self.missing, self.started = set(), set()
        np.save(temporary / "data.npy", data)
        half = np.random.default_rng(0).random(data.shape) < 0.5
        np.save(temporary / "half.npy", half.astype("float32"))

    def run(self, settings, n_threads):
        """Medians of all contestants that support these settings: {name: milliseconds and more}."""
        entries = {name: (name, settings) for name in TRAINED}
        if self.args.theano_python:
            entries["Theano"] = ("Theano", settings)
        entries["rbm_sym without rewrites"] = ("rbm_sym", dict(settings, left_out=ALL))
        return self._side_by_side(entries, n_threads)

    def compare_rewrites(self, settings, n_threads):
        """Medians with all rewrites and with all but one."""
        entries = {"rbm_sym": ("rbm_sym", settings)}
        for name in NAMES:
            entries[f"without {name}"] = ("rbm_sym", dict(settings, left_out=name))
        return self._side_by_side(entries, n_threads)

    def sweep(self, n_threads):
        """{what is varied: {value: medians}}."""
        results = {}
        for what, values in SWEEP.items():
            results[what] = {}
            for value in values:
                table = self.run(dict(TUTORIAL, **{what: value}), n_threads)
                results[what][value] = table
                times = ", ".join(f"{name} {row['ms']:.3g}" for name, row in table.items())
                print(f"{what} {value}: ms/update: {times}", flush=True)
        return results

    def elsewhere(self, n_threads):
        """{where: medians with the rewrites and without}."""
        results = {}
        for where, settings in ELSEWHERE.items():
            settings = dict(TUTORIAL, **settings)
            contestant = settings.pop("contestant", "rbm_sym")
            entries = {
                "rbm_sym": (contestant, settings),
                "without": (contestant, dict(settings, left_out=ALL)),
            }
            results[where] = self._side_by_side(entries, n_threads)
        return results

    def _side_by_side(self, entries, n_threads):
        runners, rows = {}, {}
        for name, (contestant, settings) in entries.items():
            if name in self.missing:
                continue
            python = self.args.theano_python if contestant == "Theano" else sys.executable
            cache = self.temporary / f"compiled {name}".replace(" ", "_")
            data = str(self.temporary / settings.get("data", "data.npy"))
            settings = dict(settings, contestant=contestant, data=data)
            start = partial(Runner, python, settings, n_threads, cache)
            runner = start()
            if "missing" in runner.ready:
                if runner.ready["supported"]:
                    self.missing.add(name)
                    print(f"... without {name}: {runner.ready['missing']}")
                runner.stop()
                continue
            self.versions[contestant] = runner.ready["versions"]
            rows[name] = {"times": []}
            if name not in self.started:
                self.started.add(name)
                rows[name]["first"] = runner.ready["first"]
                # Again, now that the compiled code is on disk.
                runner.stop()
                runner = start()
            rows[name]["again"] = runner.ready["first"]
            runners[name] = runner
        if "rbm_sym" not in runners:
            raise ChildProcessError("rbm_sym ended with an error")
        # Enough updates for a round to be measured, but not so many that it takes minutes.
        updates = {}
        for name, runner in runners.items():
            milliseconds = runner.measure(3)["ms"]
            most = int(1000 * SECONDS_A_ROUND / milliseconds)
            updates[name] = max(1, min(self.args.updates, most))
            runner.measure(updates[name])
        for _ in range(self.args.rounds):
            for name, runner in runners.items():
                answer = runner.measure(updates[name])
                rows[name]["times"].append(answer["ms"])
                rows[name]["memory"] = answer["memory"]
        for name, runner in runners.items():
            runner.stop()
            rows[name]["ms"] = float(np.median(rows[name].pop("times")))
            rows[name]["ratio"] = rows[name]["ms"] / rows["rbm_sym"]["ms"]
        return rows


def print_table(title, table):
    print(f"\n{title}\n")
    print("| | ms an update | times ours | first result, s | compiled before, s | memory, MiB |")
    print("|---|---:|---:|---:|---:|---:|")
    for name, row in table.items():
        first = f"{row['first']:.1f}" if "first" in row else ""
        print(
            f"| {name} | {row['ms']:.2f} | {row['ratio']:.2f} | {first} | {row['again']:.1f} "
            f"| {row['memory']:.0f} |"
        )
    print(flush=True)


def print_elsewhere(tables):
    print("\n| | ms | without the rewrites | times ours |\n|---|---:|---:|---:|")
    for where, table in tables.items():
        ours, plain = table["rbm_sym"], table["without"]
        print(f"| {where} | {ours['ms']:.3g} | {plain['ms']:.3g} | {plain['ratio']:.2f} |")
    print(flush=True)


def limits(data, milliseconds):
    """The work that the chain of the tutorial's update needs, and the speed of the machine.

    The sparse products of a chain add one row of weights for each unit that is on. These additions
    are counted in a chain of a briefly trained model. Their time is computed at the speed of
    copying an array (all their bytes read once), and at the speed of a dense sgemm.
    """
    batch_size, n_hidden, k = TUTORIAL["batch_size"], TUTORIAL["n_hidden"], TUTORIAL["k"]
    pytensor.config.floatX = "float32"
    rbm = rbm_sym.RBM(n_visible=data.shape[1], n_hidden=n_hidden)
    chain = pytensor.shared(np.zeros((batch_size, n_hidden), "float32"))
    _, updates = rbm.get_cost_updates(persistent=chain, k=k)
    index = pt.lscalar("index")
    batch = pytensor.shared(data)[index * batch_size : (index + 1) * batch_size]
    update = pytensor.function([index], updates=updates, givens={rbm.input: batch})
    for i in range(min(500, len(data) // batch_size)):
        update(i)
    steps, updates = rbm_sym.gibbs_chain(rbm.gibbs_hvh, chain, k)
    visible, hidden = pytensor.function([], [steps[2], steps[5]], updates=updates)()

    n_visible = data.shape[1]
    additions = int(visible.sum()) * n_hidden + int(hidden.sum()) * n_visible
    source, target = np.ones(2**22, "float32"), np.empty(2**22, "float32")
    a, b = np.ones((1024, 1024), "float32"), np.ones((1024, 1024), "float32")
    copied = source.nbytes / best_seconds(lambda: np.copyto(target, source))
    multiplied = 1024**3 / best_seconds(lambda: a @ b)
    dense = 2 * k * batch_size * n_visible * n_hidden
    return {
        "visible units on": float(visible.mean()),
        "hidden units on": float(hidden.mean()),
        "additions an update": additions,
        "GB/s of a copy": copied / 1e9,
        "multiplications per second of sgemm, 1e9": multiplied / 1e9,
        "ms at the speed of a copy": 1000 * 4 * additions / copied,
        "ms at the speed of sgemm": 1000 * additions / multiplied,
        "ms of dense products at the speed of sgemm": 1000 * dense / multiplied,
        "ms measured, whole update": milliseconds,
    }


def best_seconds(action):
    seconds = []
    for _ in range(10):
        began = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def print_limits(values):
    print("\nWhat the chain's sparse products cannot avoid\n")
    print("| | |\n|---|---:|")
    for name, value in values.items():
        print(f"| {name} | {value:,.2f} |" if value < 1e6 else f"| {name} | {value:,.0f} |")
    print(flush=True)


def draw_sweep(sweep, path):
    plt = import_pyplot("benchmark.png")
    if plt is None:
        return
    labels = {"batch_size": "batch size", "n_hidden": "hidden units", "k": "steps of the chain"}
    figure, axes = plt.subplots(1, len(sweep), figsize=(13, 4), layout="constrained")
    for panel, (what, tables) in zip(axes, sweep.items(), strict=True):
        names = dict.fromkeys(name for table in tables.values() for name in table)
        for name in names:
            points = [(v, table[name]["ratio"]) for v, table in tables.items() if name in table]
            panel.plot(*zip(*points, strict=True), marker="o", markersize=3, label=name)
        panel.set_xscale("log")
        panel.set_yscale("log")
        panel.set_xlabel(labels[what])
        panel.grid(visible=True, which="both", alpha=0.3)
    axes[0].set_ylabel("time of an update / ours")
    axes[0].legend(fontsize=8)
    figure.savefig(path, dpi=120)
    plt.close(figure)


if __name__ == "__main__":
    main()
