"""Train a restricted Boltzmann machine, as the deeplearning.net tutorial's program does."""

import argparse
import csv
import time

import numpy as np
import pytensor
import pytensor.tensor as pt
from command_line import (
    add_training_options,
    import_pyplot,
    make_folder,
    one_line_errors,
    progress_bar,
    settings_of,
    whole_number,
)
from estimate_likelihood import add_estimate_options, report
from recipe import cost_and_updates, initialize
from sample_rbm import consecutive_pictures, draw_samples, make_streams, picture_shape

import rbm_sym
from rbm_sym.arguments import check_learning_rate
from rbm_sym.checkpoint import save_arrays
from rbm_sym.training import compile_now, count_batches, run_epoch

PROGRAM = "train_rbm.py"


# What differs from the tutorial's defaults.
RECIPES = {
    "tutorial": {},
    "likelihood": dict(learning_rate=0.2, epochs=350, batch_size=100, k=1),
}


def main():
    args = parse_arguments()
    with one_line_errors(PROGRAM, ValueError, TypeError):
        pytensor.config.floatX = args.floatX
        check_learning_rate("--learning-rate", args.learning_rate)
        datasets = rbm_sym.load_data(args.dataset)
        train_x, test_x = datasets[0][0], datasets[2][0]
        if args.recipe == "likelihood":
            train_x = joined(train_x, datasets[1][0])
        n_examples, n_visible = train_x.get_value(borrow=True).shape
        n_batches = count_batches(n_examples, args.batch_size)

        rbm, rng = make_rbm(args, n_visible)
        # Drawn after training in the tutorial, but from a generator that training leaves alone:
        # too many chains are better found out now.
        start = consecutive_pictures(test_x, args.n_chains, rng)
        folder = make_folder(args.output)

    persistent_chain, kept = make_persistent_chain(args), rbm.params
    if args.recipe == "likelihood":
        update, updates, kept = likelihood_training_function(args, rbm, persistent_chain, train_x)
    else:
        update, updates = training_function(args, rbm, persistent_chain, train_x)
    print("... compiling: PyTensor makes machine code of the graph and keeps it on disk;")
    print("    the first time, that can take a minute or more", flush=True)
    began = time.perf_counter()
    compile_now(update, updates)
    print(f"... compiled in {time.perf_counter() - began:.0f} seconds")

    costs = train(args, rbm, update, n_batches, folder)
    for param, value in zip(rbm.params, kept, strict=True):
        param.set_value(value.get_value())
    parameters = {param.name: param.get_value() for param in rbm.params}
    save_arrays(folder / "rbm.npz", parameters, settings_of(args))
    plot_training_curve(costs, n_visible, folder / "training_curve.png")
    samples = draw_samples(rbm, start, args.n_samples, steps=1000)
    rbm_sym.save_picture(samples, folder / "samples.png")
    if args.recipe == "likelihood":
        report(rbm, datasets, args.n_runs, args.n_temperatures, args.seed)
    print(f"... pictures, training curve and parameters are in {folder}")


def parse_arguments():
    """The options, with the defaults of the recipe that is chosen."""
    parser = argument_parser()
    recipe = parser.parse_args().recipe
    parser.set_defaults(**RECIPES[recipe])
    return parser.parse_args()


def argument_parser():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument(
        "--recipe", choices=RECIPES, default="tutorial",
        help="the tutorial's training, or one for the best likelihood, which reports it at the "
        "end. It has defaults of its own: " + ", ".join(
            f"--{name.replace('_', '-')} {value}" for name, value in RECIPES["likelihood"].items()
        ),
    )  # fmt: skip
    add_training_options(parser, batch_size=20, output="rbm_plots")
    parser.add_argument("--learning-rate", type=float, default=0.1)
    parser.add_argument("--epochs", type=whole_number(1), default=15)
    parser.add_argument("--n-hidden", type=whole_number(1), default=500)
    parser.add_argument(
        "--algorithm", choices=["pcd", "cd"], default="pcd",
        help="persistent contrastive divergence, or contrastive divergence from the data",
    )  # fmt: skip
    parser.add_argument("--k", type=whole_number(1), default=15, help="Gibbs steps an update")
    parser.add_argument(
        "--n-samples", type=whole_number(1), default=10,
        help="rows of samples.png, 1000 Gibbs steps apart",
    )  # fmt: skip
    add_estimate_options(parser.add_argument_group("the recipe for likelihood, at the end"))
    return parser


def make_rbm(args, n_visible):
    """The RBM, and the generator that seeded its streams and then drew its weights."""
    rng = np.random.RandomState(args.seed)
    rbm = rbm_sym.RBM(
        input=pt.matrix("x"),
        n_visible=n_visible,
        n_hidden=args.n_hidden,
        theano_rng=make_streams(args.stream, rng),
        numpy_rng=rng,
    )
    return rbm, rng


def make_persistent_chain(args):
    """A chain for each example of a minibatch, all hidden units 0; None for CD."""
    if args.algorithm == "cd":
        return None
    zeros = np.zeros((args.batch_size, args.n_hidden), dtype=args.floatX)
    return pytensor.shared(zeros, name="persistent_chain", borrow=True)


def training_function(args, rbm, persistent_chain, train_x):
    """The tutorial's training: a function of a minibatch's index to its cost, and its updates."""
    lr = shared_setting("lr", args.learning_rate, args.floatX)
    k = shared_setting("k", args.k, "int64")
    cost, updates = rbm.get_cost_updates(lr=lr, persistent=persistent_chain, k=k)
    index, batch = minibatch(args, train_x)
    update = pytensor.function(
        [index], cost, updates=updates, givens={rbm.input: batch}, name="train_rbm"
    )
    return update, updates


def likelihood_training_function(args, rbm, persistent_chain, train_x):
    """The same for the recipe; the third result is a list of the averages of the parameters."""
    index, batch = minibatch(args, train_x)
    rbm.input = rbm.theano_rng.binomial(size=batch.shape, p=batch, dtype=args.floatX)
    pictures = train_x.get_value(borrow=True)
    initialize(rbm, pictures, np.random.RandomState(args.seed))
    lr = shared_setting("lr", args.learning_rate, args.floatX)
    n_updates = args.epochs * count_batches(len(pictures), args.batch_size)
    n_updates = shared_setting("n_updates", n_updates, "int64")
    # k is a number: another one is compiled anew, so that the recipe's single step needs no scan.
    cost, updates, averages = cost_and_updates(rbm, persistent_chain, args.k, lr, n_updates)
    update = pytensor.function([index], cost, updates=updates, name="train_rbm")
    return update, updates, averages


def joined(train_x, valid_x):
    """Training and validation pictures: the recipe chooses nothing by the latter."""
    pictures = np.concatenate([x.get_value(borrow=True) for x in (train_x, valid_x)])
    return pytensor.shared(pictures, name="train_x", borrow=True)


def minibatch(args, train_x):
    """A symbolic index, and the pictures of the minibatch that it names."""
    index = pt.lscalar("index")
    batch_size = shared_setting("batch_size", args.batch_size, "int64")
    return index, train_x[index * batch_size : (index + 1) * batch_size]


def shared_setting(name, value, dtype):
    """A number as a shared variable.

    Unlike a number, it is no part of the compiled code: another value needs no new compilation.
    """
    return pytensor.shared(np.asarray(value, dtype=dtype), name=name)


def train(args, rbm, update, n_batches, folder):
    """Train for all epochs; after each one, print its cost and leave a picture of the filters.

    Returns
    -------
    (epochs, updates an epoch): the cost of each update
    """
    costs = np.empty((args.epochs, n_batches))
    training_seconds = 0.0
    with open(folder / "training_curve.csv", "w", newline="") as file:
        curve = csv.writer(file)
        curve.writerow(["update", "epoch", "cost"])
        for epoch in range(args.epochs):
            began = time.perf_counter()
            with progress_bar(f"epoch {epoch}", n_batches) as show:
                costs[epoch] = run_epoch(update, n_batches, after_update=show)
            training_seconds += time.perf_counter() - began

            print(f"Training epoch {epoch}, cost is ", np.mean(costs[epoch]), flush=True)
            first = epoch * n_batches + 1
            curve.writerows((first + i, epoch, float(c)) for i, c in enumerate(costs[epoch]))
            file.flush()
            save_filters(rbm, folder / f"filters_at_epoch_{epoch}.png")
    print(f"Training took {training_seconds / 60:f} minutes")
    return costs


def save_filters(rbm, path):
    """A picture of the first hundred hidden units' weights."""
    picture = rbm_sym.tile_raster_images(
        X=rbm.W.get_value(borrow=True).T,
        img_shape=picture_shape(rbm.n_visible),
        tile_shape=(10, 10),
        tile_spacing=(1, 1),
    )
    rbm_sym.save_picture(picture, path)


def plot_training_curve(costs, n_visible, path):
    """Draw the costs (epochs, updates an epoch)."""
    plt = import_pyplot("training_curve.png")
    if plt is None:
        return

    n_batches = costs.shape[1]
    costs = costs.ravel()
    figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
    updates = np.arange(1, costs.size + 1)
    axes.plot(updates, costs, linewidth=0.4, alpha=0.4, label="each update")
    # PCD's cost looks at one pixel an update, and pixels at the rim are easy: only the mean over
    # a round of all pixels can be compared with that of another time.
    window = min(n_visible, costs.size)
    mean = np.convolve(costs, np.full(window, 1 / window), mode="valid")
    axes.plot(updates[window - 1 :], mean, label=f"mean of {window} updates")
    # The first updates are far off the scale of all the others.
    low, high = np.percentile(costs, [1, 99.9])
    axes.set_ylim(low - 0.1 * (high - low), high + 0.1 * (high - low))
    axes.set_xlabel("updates")
    axes.set_ylabel("monitoring cost")
    axes.secondary_xaxis(
        "top", functions=(lambda u: u / n_batches, lambda e: e * n_batches)
    ).set_xlabel("epochs")
    axes.legend(loc="lower right")
    figure.savefig(path, dpi=120)
    plt.close(figure)


if __name__ == "__main__":
    with one_line_errors(PROGRAM, OSError, FloatingPointError):
        main()
