"""Train a restricted Boltzmann machine, as the deeplearning.net tutorial's program does.

The state of the run is saved again and again in the folder of its output, and a run that was ended
in any way goes on from there (--resume) as if nothing had happened.
"""

import argparse
import csv
import shutil
import time

import numpy as np
import pytensor
import pytensor.tensor as pt
from command_line import (
    add_training_options,
    import_pyplot,
    one_line_errors,
    settings_of,
    whole_number,
)
from estimate_likelihood import add_estimate_options, report
from progress import Progress
from rbm_sym.arguments import check_learning_rate
from rbm_sym.files import whole_file
from rbm_sym.memory import check_memory
from rbm_sym.training import compile_now, count_batches
from recipe import cost_and_updates, initialize
from run import Run, add_run_options, load_datasets, run_program
from sample_rbm import (
    consecutive_pictures,
    empty_picture,
    make_streams,
    picture_shape,
    sampling_graph,
)

import rbm_sym
from rbm_sym.checkpoint import checksum, save_arrays

PROGRAM = "train_rbm.py"
# Gibbs steps from a row of samples to the next.
STEPS = 1000

# What differs from the tutorial's defaults.
RECIPES = {
    "tutorial": {},
    "likelihood": dict(learning_rate=0.2, epochs=350, batch_size=100, k=1),
}


def main():
    run_program(PROGRAM, argument_parser(), RBMRun)


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
    add_run_options(parser, RBMRun)
    add_estimate_options(parser.add_argument_group("the recipe for likelihood, at the end"))
    return parser


class RBMRun(Run):
    """A training run of an RBM."""

    may_change = ("dataset", "n_runs", "n_temperatures")

    @staticmethod
    def with_defaults(parser, given):
        parser.set_defaults(**RECIPES[given.recipe])
        return parser.parse_args()

    @staticmethod
    def check_growth(before, args):
        if args.recipe == "likelihood":
            raise ValueError(
                f"--epochs: at the end of the {before.epochs} epochs of this run, the learning "
                f"rate is zero; for {args.epochs}, start another run"
            )

    def __init__(self, args):
        """Everything up to compilation, of a run that has not begun.

        Raises
        ------
        ValueError, TypeError, OSError
            if the options and the data do not fit each other or the memory
        """
        self.args = args
        pytensor.config.floatX = args.floatX
        check_learning_rate("--learning-rate", args.learning_rate)
        self.datasets = load_datasets(args)
        (train_x, _), (valid_x, _), (test_x, _) = self.datasets
        pictures = [x.get_value(borrow=True) for x in (train_x, valid_x, test_x)]
        if args.recipe == "likelihood":
            train_x = joined(train_x, valid_x)
        n_examples, n_visible = train_x.get_value(borrow=True).shape
        self.n_batches = count_batches(n_examples, args.batch_size)
        n_updates = args.epochs * self.n_batches
        check_memory(
            memory_needed(args, n_visible, n_updates),
            "--n-hidden, --batch-size, --epochs, --n-samples, --n-runs: take smaller numbers",
        )

        self.rbm, rng = make_rbm(args, n_visible)
        self.params = self.rbm.params
        # Drawn after training in the tutorial, but from a generator that training leaves alone:
        # too many chains are better found out now.
        start = consecutive_pictures(test_x, args.n_chains, rng)
        chain, self.kept = make_persistent_chain(args), self.rbm.params
        if args.recipe == "likelihood":
            self.training, self.kept = likelihood_training_graph(args, self.rbm, chain, train_x)
        else:
            self.training = training_graph(args, self.rbm, chain, train_x)
        self.steps = shared_setting("steps", STEPS, "int64")
        self.sampling = sampling_graph(self.rbm, start, self.steps)
        self.curve = TrainingCurve(args.output / "training_curve.csv")
        self.progress = Progress(
            PROGRAM,
            args.output,
            settings_of(args),
            checksum(dict(enumerate(pictures))),
            n_updates=n_updates,
            picture=empty_picture(args.n_samples, *start.shape),
            checkpoint_every=args.checkpoint_every,
        )
        updates = {"training": self.training["updates"], "sampling": self.sampling["updates"]}
        self.progress.attach(updates)

    def work(self):
        self.train()
        with self.interruption.postponed():
            self.save_model()
        self.sample()
        if self.args.recipe == "likelihood":
            args = self.args
            report(self.rbm, self.datasets, args.n_runs, args.n_temperatures, args.seed)

    def train(self):
        """Train for all epochs that are left."""
        args, progress = self.args, self.progress
        first_epoch = progress.n_updates // self.n_batches
        self.curve.write(self.costs[:first_epoch])
        if first_epoch < args.epochs:
            print("... compiling: PyTensor makes machine code of the graph and keeps it on disk;")
            print("    the first time, that can take a minute or more", flush=True)
            began = time.perf_counter()
            update = pytensor.function(**self.training, name="train_rbm")
            compile_now(update, self.training["updates"])
            print(f"... compiled in {time.perf_counter() - began:.0f} seconds", flush=True)
            with self.interruption.postponed():
                for epoch in range(first_epoch, args.epochs):
                    begin = epoch * self.n_batches
                    self.make_updates(update, f"epoch {epoch}", begin, self.n_batches)
                    cost = self.costs[epoch].mean()
                    self.interruption.say(f"Training epoch {epoch}, cost is ", cost)
                    save_filters(self.rbm, args.output / f"filters_at_epoch_{epoch}.png")
                    progress.count_epoch()
                    self.pause()
                self.save()
        print(f"Training took {progress.seconds / 60:f} minutes")

    @property
    def costs(self):
        """The costs as they are kept: (epochs, updates an epoch)."""
        return self.progress.costs.reshape(self.args.epochs, self.n_batches)

    def write_curve(self):
        self.curve.write(self.costs[: self.progress.n_updates // self.n_batches])

    def save_model(self):
        """Write the parameters that are kept, and draw the training curve."""
        for param, value in zip(self.rbm.params, self.kept, strict=True):
            param.set_value(value.get_value())
        parameters = {param.name: param.get_value() for param in self.rbm.params}
        save_arrays(self.args.output / "rbm.npz", parameters, self.progress.settings)
        plot_training_curve(self.costs, self.rbm.n_visible, self.args.output / "training_curve.png")


def memory_needed(args, n_visible, n_updates):
    """An estimate, in bytes, of what a run takes beside the data."""
    weights = n_visible * args.n_hidden
    units = max(args.batch_size, args.n_runs) * (n_visible + args.n_hidden)
    # Counted in runs: W itself, its gradient's two halves, W laid out for products, ...
    copies = 11 if args.recipe == "likelihood" else 6
    model = (copies * weights + 6 * units) * np.dtype(args.floatX).itemsize
    picture = args.n_samples * args.n_chains * n_visible
    # The costs and the picture, and a copy of both when they are saved.
    return model + 2 * (8 * n_updates + picture) + 100 * args.n_temperatures


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


def training_graph(args, rbm, persistent_chain, train_x):
    """The tutorial's training, as arguments of `pytensor.function`: minibatch's index to cost."""
    lr = shared_setting("lr", args.learning_rate, args.floatX)
    k = shared_setting("k", args.k, "int64")
    cost, updates = rbm.get_cost_updates(lr=lr, persistent=persistent_chain, k=k)
    index, batch = minibatch(args, train_x)
    return dict(inputs=[index], outputs=cost, updates=updates, givens={rbm.input: batch})


def likelihood_training_graph(args, rbm, persistent_chain, train_x):
    """The same for the recipe, and a list of the averages of the parameters."""
    index, batch = minibatch(args, train_x)
    rbm.input = rbm.theano_rng.binomial(size=batch.shape, p=batch, dtype=args.floatX)
    pictures = train_x.get_value(borrow=True)
    initialize(rbm, pictures, np.random.RandomState(args.seed))
    lr = shared_setting("lr", args.learning_rate, args.floatX)
    n_updates = args.epochs * count_batches(len(pictures), args.batch_size)
    n_updates = shared_setting("n_updates", n_updates, "int64")
    # k is a number: another one is compiled anew, so that the recipe's single step needs no scan.
    cost, updates, averages = cost_and_updates(rbm, persistent_chain, args.k, lr, n_updates)
    return dict(inputs=[index], outputs=cost, updates=updates), averages


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


class TrainingCurve:
    """training_curve.csv, which is whole at any time and grows by whole epochs."""

    def __init__(self, path):
        self.path, self.n_epochs = path, None

    def write(self, costs):
        """Write the costs (epochs, updates an epoch); what this object has written is copied."""
        if self.n_epochs == len(costs):
            return
        goes_on = self.n_epochs is not None and self.path.exists()
        with whole_file(self.path) as unfinished:
            if goes_on:
                shutil.copyfile(self.path, unfinished)
            with open(unfinished, "a", newline="") as file:
                rows = csv.writer(file)
                if not goes_on:
                    rows.writerow(["update", "epoch", "cost"])
                for epoch in range(self.n_epochs if goes_on else 0, len(costs)):
                    first = epoch * costs.shape[1] + 1
                    of_epoch = enumerate(costs[epoch], start=first)
                    rows.writerows((update, epoch, float(cost)) for update, cost in of_epoch)
        self.n_epochs = len(costs)


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
    with whole_file(path) as unfinished:
        figure.savefig(unfinished, dpi=120)
    plt.close(figure)


if __name__ == "__main__":
    with one_line_errors(PROGRAM, OSError, FloatingPointError):
        main()
