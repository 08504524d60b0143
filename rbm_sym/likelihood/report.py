"""A report on the likelihood of a trained RBM, printed by programs."""

import numpy as np

from rbm_sym.datasets import draw_binary
from rbm_sym.likelihood.annealing import (
    ais_log_partition,
    reverse_ais_log_partition,
    standard_temperatures,
)
from rbm_sym.likelihood.exact import exact_log_partition
from rbm_sym.likelihood.examples import log_likelihood
from rbm_sym.runs.options import whole_number
from rbm_sym.runs.terminal import progress_through

ESTIMATES = {"forward": ais_log_partition, "reverse": reverse_ais_log_partition}
# The exact sum over a larger layer takes minutes.
LARGEST_EXACT_LAYER = 20


def add_estimate_options(parser):
    """Options for the work that goes into an estimate."""
    parser.add_argument(
        "--n-runs", type=whole_number(2), default=100, help="runs of annealed importance sampling"
    )
    parser.add_argument(
        "--n-temperatures", type=whole_number(2), default=len(standard_temperatures()),
        help="temperatures between independent units and the RBM; the more, the smaller the error",
    )  # fmt: skip


def report_likelihood(rbm, datasets, n_runs, n_temperatures, seed):
    """Print log Z, and the mean log-likelihoods of the training and test pictures."""
    (train_x, _), _, (test_x, _) = datasets
    arguments = dict(
        n_runs=n_runs, temperatures=spread(n_temperatures), data=train_x, seed=seed
    )  # fmt: skip
    estimates = {
        name: estimate(rbm, progress=progress_through(name, " parts"), **arguments)
        for name, estimate in ESTIMATES.items()
    }
    log_Z = {}
    for name, estimate in estimates.items():
        log_Z[name] = estimate.log_partition
        print(
            f"log Z, {name}: {estimate.log_partition:.3f} ± {estimate.standard_error:.3f} "
            f"(worth {estimate.effective_sample_size:.0f} of {n_runs} runs)"
        )
    if min(rbm.n_visible, rbm.n_hidden) <= LARGEST_EXACT_LAYER:
        log_Z["exact"] = exact_log_partition(rbm)
        print(f"log Z, exact: {log_Z['exact']:.3f}")

    train, test = (x.get_value(borrow=True) for x in (train_x, test_x))
    for title, pictures in [
        ("test pictures, drawn from their grey levels (seed 0)", draw_binary(test, seed=0)),
        ("test pictures, grey levels of at least 0.5 set to 1", test >= 0.5),
        ("training pictures, drawn from their grey levels (seed 0)", draw_binary(train, seed=0)),
    ]:
        of_set = {
            name: log_likelihood(rbm, pictures, value).mean() for name, value in log_Z.items()
        }
        figures = ", ".join(f"{mean:.2f} ({name})" for name, mean in of_set.items())
        print(f"mean log-likelihood in nats, {title}: {figures}", flush=True)


def spread(n_temperatures):
    """`n_temperatures` inverse temperatures, as densely spread as the standard ones."""
    standard = standard_temperatures()
    places = np.linspace(0, len(standard) - 1, n_temperatures)
    return np.interp(places, np.arange(len(standard)), standard)
