"""Compare training algorithms by the exact log-likelihood of the models that they reach.

The data are all pictures of 3 × 4 pixels that consist of whole rows or of whole columns (bars and
stripes: Fischer and Igel 2010). The model is an RBM of 12 visible and 8 hidden units. All
algorithms start from the same weights and use the same learning rates, which fall to zero. They
differ only in the negative phase.
"""

import argparse
import itertools
from pathlib import Path

import numpy as np
import pytensor
import pytensor.tensor as pt

import rbm_sym
from rbm_sym.images import check_picture_path
from rbm_sym.internal.arguments import check_learning_rate
from rbm_sym.internal.files import check_file
from rbm_sym.likelihood import exact_log_partition, log_likelihood
from rbm_sym.runs.curve import import_pyplot
from rbm_sym.runs.options import some_path, whole_number
from rbm_sym.runs.terminal import one_line_errors
from rbm_sym.samplers import ParallelTempering
from rbm_sym.update_rules import falling_to_zero, gradient_descent

HEIGHT, WIDTH, N_HIDDEN = 3, 4, 8
N_CHAINS = 50
TEMPERATURES = 5
ALGORITHMS = ["exact gradient", "PT", "PCD-1", "CD-10", "CD-1"]
N_MEASUREMENTS = 50


def main():
    args = parse_arguments()
    with one_line_errors(ValueError, TypeError):
        check_learning_rate("--learning-rate", args.learning_rate)
        check_picture_path(args.output)
        check_file(args.output)
    data = bars_and_stripes(HEIGHT, WIDTH).astype(pytensor.config.floatX)
    best = -np.log(len(data))
    print(f"{len(data)} pictures; best possible mean log-likelihood {best:.3f}")
    curves = {}
    for algorithm in ALGORITHMS:
        curves[algorithm] = train(algorithm, data, args.updates, args.runs, args.learning_rate)
        last = curves[algorithm][:, -1]
        print(
            f"{algorithm:>15}: {last.mean():.3f} ± {last.std():.3f} in {args.runs} runs", flush=True
        )
    plot(curves, args.updates, best, args.output)


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--updates", type=whole_number(N_MEASUREMENTS), default=100_000)
    parser.add_argument("--runs", type=whole_number(1), default=5, help="each from its own weights")
    parser.add_argument("--learning-rate", type=float, default=0.02)
    parser.add_argument(
        "--output", type=some_path, default=Path("algorithms.png"), help="the picture"
    )
    return parser.parse_args()


def bars_and_stripes(height, width):
    """All binary pictures with equal rows or with equal columns, (n, height * width)."""
    rows = [np.tile(row, (height, 1)) for row in itertools.product([0, 1], repeat=width)]
    columns = [np.tile(c, (width, 1)).T for c in itertools.product([0, 1], repeat=height)]
    return np.unique([picture.ravel() for picture in rows + columns], axis=0)


def train(algorithm, data, n_updates, n_runs, learning_rate):
    """The exact mean log-likelihood during each run, (n_runs, N_MEASUREMENTS + 1)."""
    rbm = rbm_sym.RBM(
        input=pytensor.shared(data, name="data"), n_visible=data.shape[1], n_hidden=N_HIDDEN
    )
    update, updates = training_function(algorithm, rbm, learning_rate, n_updates)
    start = {variable: variable.get_value() for variable in updates}
    curves = np.empty((n_runs, N_MEASUREMENTS + 1))
    for run in range(n_runs):
        for variable, value in start.items():
            variable.set_value(value)
        rng = np.random.RandomState(run)
        rbm.W.set_value(rng.normal(scale=0.1, size=rbm.W.get_value().shape).astype(rbm.W.dtype))
        rbm.theano_rng.seed(run + 1)
        done = 0
        for i in range(N_MEASUREMENTS + 1):
            while done < n_updates * i // N_MEASUREMENTS:
                update()
                done += 1
            curves[run, i] = log_likelihood(rbm, data, exact_log_partition(rbm)).mean()
    return curves


def training_function(algorithm, rbm, learning_rate, n_updates):
    """A compiled update of this algorithm, and its dictionary of updates."""
    counts = {}
    lr = falling_to_zero(learning_rate, n_updates, counts)
    if algorithm == "exact gradient":
        states = np.array(list(itertools.product([0, 1], repeat=rbm.n_visible)))
        log_Z = pt.logsumexp(-rbm.free_energy(states.astype(rbm.W.dtype)))
        gradients = pt.grad(pt.mean(rbm.free_energy(rbm.input)) + log_Z, rbm.params)
        updates = gradient_descent(rbm.params, gradients, lr)
    elif algorithm == "PT":
        model = ParallelTempering(rbm, np.linspace(0, 1, TEMPERATURES))
        chain = model.new_chain(N_CHAINS)
        _, updates = model.get_cost_updates(lr, persistent=chain, k=1)
    else:
        name, k = algorithm.split("-")
        chain = None
        if name == "PCD":
            zeros = np.zeros((N_CHAINS, N_HIDDEN), dtype=rbm.W.dtype)
            chain = pytensor.shared(zeros, name="persistent_chain")
        _, updates = rbm.get_cost_updates(lr, persistent=chain, k=int(k))
    updates |= counts
    return pytensor.function([], updates=updates), updates


def plot(curves, n_updates, best, path):
    """Draw the mean over the runs of each algorithm, and their range."""
    plt = import_pyplot(path)
    if plt is None:
        return
    figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
    updates = np.linspace(0, n_updates, N_MEASUREMENTS + 1)
    for algorithm, of_runs in curves.items():
        (line,) = axes.plot(updates, of_runs.mean(axis=0), label=algorithm)
        low, high = of_runs.min(axis=0), of_runs.max(axis=0)
        axes.fill_between(updates, low, high, color=line.get_color(), alpha=0.15, linewidth=0)
    axes.axhline(best, color="grey", linestyle=":", label="best possible")
    axes.set_xlabel("updates")
    axes.set_ylabel("exact mean log-likelihood, nats")
    axes.legend(loc="lower right")
    figure.savefig(path, dpi=120)
    plt.close(figure)
    print(f"... curves are in {path}")


if __name__ == "__main__":
    pytensor.config.floatX = "float32"
    with one_line_errors(OSError):
        main()
