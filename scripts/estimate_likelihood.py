"""Estimate the likelihood of a data set under a trained RBM, in nats per picture.

The partition function is estimated from both sides, by annealed importance sampling from
independent units to the RBM and back. Unless all walks have missed a mode of the RBM, the true mean
log-likelihood lies between the two numbers. For a model with a small layer, the exact sum is
computed too.
"""

import argparse

import numpy as np
import pytensor

from rbm_sym.likelihood import standard_temperatures
from rbm_sym.likelihood.report import report_likelihood
from rbm_sym.models import load_rbm
from rbm_sym.runs.options import add_estimate_options, load_data_for, some_path, whole_number
from rbm_sym.runs.terminal import one_line_errors, progress_through
from rbm_sym.streams import make_streams


def main(arguments=None):
    with one_line_errors(OSError, ValueError, TypeError):
        args = parse_arguments(arguments)
        rbm, _ = load_rbm(args.model, make_streams("mrg", np.random.RandomState(args.seed)))
        pytensor.config.floatX = rbm.W.dtype
        datasets = load_data_for(args.dataset, rbm.n_visible)
        for line in report_likelihood(
            rbm, datasets, args.n_runs, args.n_temperatures, args.seed, progress_through
        ):
            print(line, flush=True)


def parse_arguments(arguments):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("model", type=some_path, help="the rbm.npz of train_rbm.py")
    parser.add_argument("--dataset", default="digits", help="as for train_rbm.py")
    add_estimate_options(parser, len(standard_temperatures()))
    parser.add_argument("--seed", type=whole_number(0, 2**32), default=123)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
