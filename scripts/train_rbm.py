"""Train a restricted Boltzmann machine, as the deeplearning.net tutorial's program does.

A checkpoint of the run is saved regularly in its output folder. A run that was stopped or killed
can be resumed from there (--resume), and ends with the same results.
"""

import argparse
import time

import numpy as np
import pytensor
import pytensor.tensor as pt

from rbm_sym import RBM, load_data, save_picture
from rbm_sym.checkpoint import checksum
from rbm_sym.internal.arguments import check_learning_rate
from rbm_sym.internal.memory import check_memory
from rbm_sym.internal.settings import shared_setting
from rbm_sym.likelihood import standard_temperatures
from rbm_sym.likelihood.report import report_likelihood
from rbm_sym.models import save_model
from rbm_sym.recipe import cost_and_updates, initialize
from rbm_sym.runs import Samples, compile_now, count_batches, epochs, plot_training_curve
from rbm_sym.runs.filters import save_filters
from rbm_sym.runs.options import (
    add_estimate_options,
    add_run_options,
    add_training_options,
    whole_number,
)
from rbm_sym.runs.program_run import open_program_run, options_given
from rbm_sym.runs.samples import consecutive_pictures
from rbm_sym.runs.terminal import one_line_errors, progress_through
from rbm_sym.streams import make_streams

PROGRAM = "train_rbm.py"
# Gibbs steps from one row of samples to the next.
STEPS = 1000

# Defaults that differ from the tutorial's.
RECIPES = {
    "tutorial": {},
    "likelihood": dict(learning_rate=0.2, epochs=350, batch_size=100, k=1),
}


def main(arguments=None):
    with one_line_errors(OSError, FloatingPointError):
        parser = argument_parser()
        given = options_given(parser, arguments)
        with open_program_run(
            PROGRAM, parser, given, may_grow="epochs",
            may_change=("dataset", "n_runs", "n_temperatures"),
            defaults=RECIPES[given.get("recipe", "tutorial")],
        ) as (args, run):  # fmt: skip
            train(args, run)


def train(args, run):
    """Make what is left of a run: load data, build graphs, train, and write the results."""
    is_tutorial = args.recipe == "tutorial"
    with one_line_errors(ValueError, TypeError):
        pytensor.config.floatX = args.floatX
        check_learning_rate("--learning-rate", args.learning_rate)
        if run.settings_before and not is_tutorial:
            check_no_growth(args, run.settings_before)
        datasets = load_data(args.dataset)
        (train_x, _), (valid_x, _), (test_x, _) = datasets
        pictures = [x.get_value(borrow=True) for x in (train_x, valid_x, test_x)]
        if not is_tutorial:
            train_x = joined(train_x, valid_x)
        n_examples, n_visible = train_x.get_value(borrow=True).shape
        n_batches = count_batches(n_examples, args.batch_size)
        check_memory(
            memory_needed(args, n_visible, args.epochs * n_batches),
            "--n-hidden, --batch-size, --epochs, --n-samples, --n-runs: take smaller numbers",
        )

        rng = np.random.RandomState(args.seed)
        rbm = RBM(
            input=pt.matrix("x"),
            n_visible=n_visible,
            n_hidden=args.n_hidden,
            theano_rng=make_streams(args.stream, rng),
            numpy_rng=rng,
        )
        # The tutorial draws this after training, but training does not use this generator. Drawn
        # now, so that too many chains are refused before training.
        start = consecutive_pictures(test_x, args.n_chains, rng)
        make_graph = tutorial_graph if is_tutorial else likelihood_graph
        training, kept = make_graph(args, rbm, make_persistent_chain(args), train_x)
        steps = shared_setting("steps", STEPS, "int64")
        sampling, sampling_updates = rbm.sample(pytensor.shared(start, name="chains"), steps)
        samples = Samples(args.n_samples, *start.shape, variables=sampling_updates)
        data = checksum(dict(enumerate(pictures)))
        stages = epochs(args.epochs, n_batches)
        run.restore(training["updates"], stages, data, samples)
    if run.finished:
        print("... this run is finished")
        return

    if run.n_updates < len(run.costs):
        print("... compiling: PyTensor makes machine code of the graph and keeps it on disk;")
        print("    the first time, that can take a minute or more", flush=True)
        began = time.perf_counter()
        update = pytensor.function(**training, name="train_rbm")
        compile_now(update, training["updates"])
        print(f"... compiled in {time.perf_counter() - began:.0f} seconds", flush=True)
    for epoch in run.stages():
        for index in run.updates(epoch):
            run.record(update(index))
        run.say(f"Training {epoch}, cost is ", run.costs_of(epoch).mean())
        filters = args.output / f"filters_at_epoch_{epoch.epoch}.png"
        save_filters(rbm.W.get_value(borrow=True), filters)
    print(f"Training took {run.seconds / 60:f} minutes")

    with run.postponed():
        for param, value in zip(rbm.params, kept, strict=True):
            param.set_value(value.get_value())
        save_model(args.output / "rbm.npz", rbm, run.settings)
        costs = run.costs.reshape(args.epochs, n_batches)
        plot_training_curve(costs, n_visible, args.output / "training_curve.png")

    if samples.n_drawn < samples.n_rows:
        run.say("... compiling the chain, which can take half a minute the first time")
        sample = pytensor.function([], sampling, updates=sampling_updates)
        compile_now(sample, sampling_updates, arguments=(), meanwhile={steps: 1})
    for row in run.rows():
        run.say(" ... plotting sample ", row)
        mean, _ = sample()
        samples.draw(mean)
    save_picture(samples.picture, args.output / "samples.png")
    if not is_tutorial:
        for line in report_likelihood(
            rbm, datasets, args.n_runs, args.n_temperatures, args.seed, progress_through
        ):
            print(line, flush=True)
    run.finish("pictures, training curve and parameters")


def argument_parser():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument(
        "--recipe", choices=RECIPES, default="tutorial",
        help="the tutorial's training, or one for the best likelihood, which reports it at the "
        "end. The latter has its own defaults: " + ", ".join(
            f"--{name.replace('_', '-')} {value}" for name, value in RECIPES["likelihood"].items()
        ),
    )  # fmt: skip
    add_training_options(parser, batch_size=20, output="rbm_plots")
    parser.add_argument("--learning-rate", type=float, default=0.1, help="above 0")
    parser.add_argument("--epochs", type=whole_number(1), default=15, help="passes over the data")
    parser.add_argument("--n-hidden", type=whole_number(1), default=500, help="hidden units")
    parser.add_argument(
        "--algorithm", choices=["pcd", "cd"], default="pcd",
        help="persistent contrastive divergence, or contrastive divergence from the data",
    )  # fmt: skip
    parser.add_argument("--k", type=whole_number(1), default=15, help="Gibbs steps in an update")
    parser.add_argument(
        "--n-samples", type=whole_number(1), default=10,
        help="rows of samples.png, 1000 Gibbs steps apart",
    )  # fmt: skip
    add_run_options(parser, may_grow="epochs")
    group = parser.add_argument_group("the recipe for likelihood, at the end")
    add_estimate_options(group, len(standard_temperatures()))
    return parser


def check_no_growth(args, before):
    """Raise ValueError if a run of the recipe would be made longer."""
    if args.epochs > before["epochs"]:
        raise ValueError(
            f"--epochs: at the end of the {before['epochs']} epochs of this run, the learning rate "
            f"is zero; for {args.epochs}, start another run"
        )


def memory_needed(args, n_visible, n_updates):
    """An estimate of the memory of a run without the data, in bytes."""
    weights = n_visible * args.n_hidden
    units = max(args.batch_size, args.n_runs) * (n_visible + args.n_hidden)
    # Measured in runs: W, the two halves of its gradient, the panels of W, and more.
    copies = 11 if args.recipe == "likelihood" else 6
    model = (copies * weights + 6 * units) * np.dtype(args.floatX).itemsize
    picture = args.n_samples * args.n_chains * n_visible
    # The costs and the picture, and a copy of both while they are saved.
    return model + 2 * (8 * n_updates + picture) + 100 * args.n_temperatures


def make_persistent_chain(args):
    """As many chains as examples in a minibatch, with all hidden units 0; None for CD."""
    if args.algorithm == "cd":
        return None
    zeros = np.zeros((args.batch_size, args.n_hidden), dtype=args.floatX)
    return pytensor.shared(zeros, name="persistent_chain", borrow=True)


def tutorial_graph(args, rbm, persistent_chain, train_x):
    """The tutorial's training function, from the index of a minibatch to the cost.

    Returns
    -------
    training : dict, the arguments of `pytensor.function`
    kept : list of shared variables, the parameters of the final model
    """
    lr = shared_setting("lr", args.learning_rate, args.floatX)
    k = shared_setting("k", args.k, "int64")
    cost, updates = rbm.get_cost_updates(lr=lr, persistent=persistent_chain, k=k)
    index, batch = minibatch(args, train_x)
    training = dict(inputs=[index], outputs=cost, updates=updates, givens={rbm.input: batch})
    return training, rbm.params


def likelihood_graph(args, rbm, persistent_chain, train_x):
    """As `tutorial_graph`, for the recipe; its final model is the average of the parameters."""
    index, batch = minibatch(args, train_x)
    rbm.input = rbm.theano_rng.binomial(size=batch.shape, p=batch, dtype=args.floatX)
    pictures = train_x.get_value(borrow=True)
    initialize(rbm, pictures, np.random.RandomState(args.seed))
    lr = shared_setting("lr", args.learning_rate, args.floatX)
    n_updates = args.epochs * count_batches(len(pictures), args.batch_size)
    n_updates = shared_setting("n_updates", n_updates, "int64")
    # k is a number, not a shared variable, so that the recipe's single step needs no scan.
    cost, updates, averages = cost_and_updates(rbm, persistent_chain, args.k, lr, n_updates)
    return dict(inputs=[index], outputs=cost, updates=updates), averages


def joined(train_x, valid_x):
    """The training and validation pictures together, since the recipe needs no validation."""
    pictures = np.concatenate([x.get_value(borrow=True) for x in (train_x, valid_x)])
    return pytensor.shared(pictures, name="train_x", borrow=True)


def minibatch(args, train_x):
    """A symbolic index, and the pictures of the minibatch with this index."""
    index = pt.lscalar("index")
    batch_size = shared_setting("batch_size", args.batch_size, "int64")
    return index, train_x[index * batch_size : (index + 1) * batch_size]


if __name__ == "__main__":
    main()
