"""Compare estimates of log Z with the exact value, for RBMs with a small layer.

The RBMs have 784 × 10 and 20 × 500 units, random or trained. Each is estimated many times with
different seeds. Two things must hold. An estimate lies within three of its own standard errors of
the exact value. On average, forward estimates are not above the exact value, and reverse estimates
are not below it.
"""

import argparse

import numpy as np
import pytensor
import pytensor.tensor as pt

from rbm_sym import RBM
from rbm_sym.datasets import draw_binary, read_arrays
from rbm_sym.likelihood import exact_log_partition, standard_temperatures
from rbm_sym.likelihood.annealing import spread_temperatures
from rbm_sym.likelihood.report import ESTIMATES
from rbm_sym.runs.options import whole_number
from rbm_sym.runs.terminal import one_line_errors, progress_through


def main():
    args = parse_arguments()
    print("model            log Z       estimate  within 3 errors  mean difference  mean error")
    for name, make in MODELS.items():
        rbm, data = make()
        exact = exact_log_partition(rbm)
        for direction, estimate in ESTIMATES.items():
            progress = progress_through(f"{name}, {direction}", " estimates")
            temperatures = spread_temperatures(args.n_temperatures)
            arguments = dict(n_runs=args.n_runs, temperatures=temperatures, data=data)
            seeds = range(args.repetitions)
            found = [estimate(rbm, seed=seed, **arguments) for seed in progress(seeds)]
            differences = np.array([e.log_partition - exact for e in found])
            errors = np.array([e.standard_error for e in found])
            within = (np.abs(differences) <= 3 * errors).sum()
            print(
                f"{name:15} {exact:9.3f}     {direction}  {within:6} of {args.repetitions:<4}"
                f"  {differences.mean():10.4f} ± {differences.std() / np.sqrt(len(found)):.4f}"
                f"  {errors.mean():10.4f}",
                flush=True,
            )


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--repetitions", type=whole_number(1), default=100)
    parser.add_argument("--n-runs", type=whole_number(2), default=100)
    parser.add_argument(
        "--n-temperatures", type=whole_number(2), default=len(standard_temperatures())
    )
    return parser.parse_args()


def random_rbm(n_visible, n_hidden):
    """An RBM with normal parameters, and None: the base model gets the RBM's visible biases."""
    rng = np.random.RandomState(3)
    rbm = RBM(n_visible=n_visible, n_hidden=n_hidden, numpy_rng=rng)
    for param in rbm.params:
        values = rng.normal(scale=0.1, size=param.get_value().shape)
        param.set_value(values.astype(rbm.W.dtype))
    return rbm, None


def trained_rbm(pictures, n_hidden):
    """An RBM after four epochs of PCD-1, and its training pictures."""
    pictures = draw_binary(pictures.astype(pytensor.config.floatX), seed=1)
    index = pt.lscalar("index")
    rbm = RBM(
        input=pytensor.shared(pictures)[index * 20 : (index + 1) * 20],
        n_visible=pictures.shape[1],
        n_hidden=n_hidden,
    )
    chain = pytensor.shared(np.zeros((20, n_hidden), dtype=rbm.W.dtype), name="chain")
    _, updates = rbm.get_cost_updates(lr=0.05, persistent=chain, k=1)
    train = pytensor.function([index], updates=updates)
    for i in range(4 * (len(pictures) // 20)):
        train(i % (len(pictures) // 20))
    return rbm, pictures


def digits():
    (train_x, _), _, _ = read_arrays("digits")
    return train_x


def middle_of_digits():
    """5 × 4 pixels of each digit."""
    return digits().reshape(-1, 28, 28)[:, 11:16, 12:16].reshape(-1, 20)


MODELS = {
    "784 × 10 random": lambda: random_rbm(784, 10),
    "20 × 500 random": lambda: random_rbm(20, 500),
    "784 × 10 trained": lambda: trained_rbm(digits(), 10),
    "20 × 500 trained": lambda: trained_rbm(middle_of_digits(), 500),
}


if __name__ == "__main__":
    pytensor.config.floatX = "float32"
    with one_line_errors(OSError):
        main()
