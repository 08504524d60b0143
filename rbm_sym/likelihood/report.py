"""A report on the likelihood of a trained RBM."""

from rbm_sym.datasets import draw_binary
from rbm_sym.likelihood.annealing import (
    ais_log_partition,
    reverse_ais_log_partition,
    spread_temperatures,
)
from rbm_sym.likelihood.exact import exact_log_partition
from rbm_sym.likelihood.examples import log_likelihood

ESTIMATES = {"forward": ais_log_partition, "reverse": reverse_ais_log_partition}
# The exact sum over a larger layer takes minutes.
LARGEST_EXACT_LAYER = 20


def report_likelihood(rbm, datasets, n_runs, n_temperatures, seed, progress_through):
    """The lines of a report: log Z, and mean log-likelihoods of the test and training pictures.

    `progress_through` is a function of a title and a unit, that of `rbm_sym.runs.terminal`. It
    gives the argument `progress` of an estimate.
    """
    (train_x, _), _, (test_x, _) = datasets
    arguments = dict(
        n_runs=n_runs, temperatures=spread_temperatures(n_temperatures), data=train_x, seed=seed
    )  # fmt: skip
    estimates = {
        name: estimate(rbm, progress=progress_through(name, " parts"), **arguments)
        for name, estimate in ESTIMATES.items()
    }
    log_Z = {}
    for name, estimate in estimates.items():
        log_Z[name] = estimate.log_partition
        yield (
            f"log Z, {name}: {estimate.log_partition:.3f} ± {estimate.standard_error:.3f} "
            f"(worth {estimate.effective_sample_size:.0f} of {n_runs} runs)"
        )
    if min(rbm.n_visible, rbm.n_hidden) <= LARGEST_EXACT_LAYER:
        log_Z["exact"] = exact_log_partition(rbm)
        yield f"log Z, exact: {log_Z['exact']:.3f}"

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
        yield f"mean log-likelihood in nats, {title}: {figures}"
