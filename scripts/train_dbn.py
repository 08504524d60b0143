"""Train a deep belief network, as the deeplearning.net tutorial's program does.

The tutorial's own settings are --dataset mnist --hidden-layers 1000 1000 1000 --k 1
--pretraining-epochs 100 --pretraining-rate 0.01 --finetuning-epochs 1000.

As with train_rbm.py, the state of the run is saved again and again in the folder of its output, and
a run that was ended in any way goes on from there (--resume) as if nothing had happened.
"""

import argparse
import csv
import time
from functools import partial
from itertools import pairwise, product
from typing import NamedTuple

import numpy as np
import pytensor
from command_line import add_training_options, one_line_errors, settings_of, whole_number
from progress import Progress
from rbm_sym.arguments import check_learning_rate
from rbm_sym.files import whole_file
from rbm_sym.memory import check_memory
from rbm_sym.training import EarlyStopping, compile_now, count_batches
from run import Run, add_run_options, load_datasets, run_program
from sample_rbm import consecutive_pictures, empty_picture, make_streams
from train_rbm import save_filters

import rbm_sym
from rbm_sym.checkpoint import checksum, save_arrays

PROGRAM = "train_dbn.py"


def main():
    run_program(PROGRAM, argument_parser(), DBNRun)


def argument_parser():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    add_training_options(parser, batch_size=10, output="dbn_plots")
    parser.add_argument(
        "--hidden-layers", type=whole_number(1), nargs="+", default=[500, 500, 1000],
        metavar="UNITS", help="units of each hidden layer, from the pictures up",
    )  # fmt: skip
    parser.add_argument(
        "--pretraining-epochs", type=whole_number(0), default=20,
        help="for each layer; 0 trains with labels alone",
    )  # fmt: skip
    parser.add_argument("--pretraining-rate", type=float, default=0.05, help="learning rate")
    parser.add_argument("--k", type=whole_number(1), default=5, help="Gibbs steps an update")
    parser.add_argument(
        "--finetuning-epochs", type=whole_number(1), default=50,
        help="at most: training stops once the validation error no longer falls",
    )  # fmt: skip
    parser.add_argument("--finetuning-rate", type=float, default=0.1, help="learning rate")
    parser.add_argument(
        "--patience", type=whole_number(1), default=4,
        help="fine-tune for at least so many epochs, and twice as long as the best error took",
    )  # fmt: skip
    parser.add_argument(
        "--labelled", type=whole_number(1), metavar="N",
        help="fine-tune on the first N training pictures only (%(default)s: on all)",
    )  # fmt: skip
    parser.add_argument(
        "--n-samples", type=whole_number(1), default=10,
        help="rows of samples.png, drawn from the pretrained network",
    )  # fmt: skip
    parser.add_argument(
        "--steps", type=whole_number(1), default=20, help="Gibbs steps from row to row"
    )
    add_run_options(parser, DBNRun)
    return parser


# What a `Round` and its records take.
ROUND_BYTES = 300


class Round(NamedTuple):
    """Updates with something to be told at their end."""

    phase: str
    epoch: int
    begin: int  # updates of the run before it
    n_updates: int

    def __str__(self):
        return f"{self.phase}, epoch {self.epoch}"


class DBNRun(Run):
    """A training run of a deep belief network: layer after layer, samples, then fine-tuning.

    It goes round by round. A round is an epoch of a layer's pretraining, or what lies between two
    looks at the validation error. The records of the run have the seconds of each round, for each
    round of fine-tuning the validation error, and where that is the least so far, the test error.
    """

    may_grow = "finetuning_epochs"

    def __init__(self, args):
        """Everything up to its graphs, of a run that has not begun.

        Raises
        ------
        ValueError, TypeError, OSError
            if the options and the data do not fit each other or the memory
        """
        self.args = args
        pytensor.config.floatX = args.floatX
        check_learning_rate("--pretraining-rate", args.pretraining_rate)
        check_learning_rate("--finetuning-rate", args.finetuning_rate)
        datasets = load_datasets(args)
        (train_x, _), _, (test_x, _) = datasets
        pictures = [x.get_value(borrow=True) for x, _ in datasets]
        labels = [y.eval(mode="FAST_COMPILE") for _, y in datasets]
        self.labelled = [first_examples(datasets[0], args.labelled), *datasets[1:]]
        n_batches = count_batches(len(pictures[0]), args.batch_size)
        n_labelled = n_batches if args.labelled is None else args.labelled // args.batch_size
        print("... building the model")
        n_visible = pictures[0].shape[1]
        n_classes = 1 + int(max(map(np.max, labels)))
        check_memory(
            memory_needed(args, n_visible, n_classes, n_batches, n_labelled),
            "--hidden-layers, --pretraining-epochs, --finetuning-epochs, --n-samples: take smaller "
            "numbers",
        )
        self.dbn, rng = make_dbn(args, n_visible, n_classes)
        self.params = [*self.dbn.params, *(rbm.vbias for rbm in self.dbn.rbm_layers)]
        self.n_labelled, *_ = self.dbn.check_datasets(self.labelled, args.batch_size)
        self.stopping = EarlyStopping(args.patience * self.n_labelled)
        self.rounds = rounds_of_pretraining(args, n_batches)
        self.n_pretraining = n_batches * len(self.rounds)
        self.rounds += rounds_of_finetuning(args, self.n_labelled, self.n_pretraining)
        self.start = consecutive_pictures(test_x, args.n_chains, rng)
        self.train_x, self.pretraining = train_x, []
        if not args.pretraining_epochs:
            self.results = "training curve and parameters"
        self.progress = Progress(
            PROGRAM,
            args.output,
            settings_of(args),
            checksum(dict(enumerate([*pictures, *labels]))),
            n_updates=sum(round.n_updates for round in self.rounds),
            picture=empty_picture(args.n_samples, *self.start.shape),
            checkpoint_every=args.checkpoint_every,
            updates_before_samples=self.n_pretraining,
            records=dict.fromkeys(
                ["seconds", "validation errors", "test errors"], len(self.rounds)
            ),
        )

    def check_progress(self):
        records, n_updates = self.progress.records, self.progress.n_updates
        ended = np.isfinite(records["seconds"])
        finetuned = ended & [round.phase == "fine-tuning" for round in self.rounds]
        looked = np.isfinite(records["validation errors"])
        n_ended = ended.sum()
        ends = [0, *(round.begin + round.n_updates for round in self.rounds)]
        if (
            not ended[:n_ended].all()
            or (looked != finetuned).any()
            or not ends[n_ended] <= n_updates <= ends[min(n_ended + 1, len(self.rounds))]
        ):
            raise ValueError(
                f"{self.progress.path}: {n_updates} updates do not fit the records of {n_ended} "
                "rounds"
            )

    def build(self):
        args = self.args
        if args.pretraining_epochs:
            print("... getting the pretraining functions", flush=True)
            self.pretraining = self.dbn.pretraining_functions(self.train_x, args.batch_size, args.k)
        top = self.dbn.rbm_layers[-1]
        # The streams are those that there are by now.
        training = [*self.params, *top.theano_rng.states]
        self.chains = pytensor.shared(np.zeros((args.n_chains, top.n_visible), args.floatX))
        # As a shared variable, the number is no part of the compiled code.
        self.steps = pytensor.shared(np.int64(args.steps))
        outputs, updates = self.dbn.sample(self.chains, n_steps=self.steps)
        self.sampling = dict(inputs=[], outputs=outputs, updates=updates)
        self.progress.attach({"training": training, "sampling": updates})

    def work(self):
        if self.pretraining and self.progress.n_updates <= self.n_pretraining:
            self.pretrain()
            with self.interruption.postponed():
                save_parameters(self.args, self.dbn, self.args.output / "pretrained.npz")
                save_filters(self.dbn.rbm_layers[0], self.args.output / "filters.png")
            # Not later: fine-tuning is for the classes, and undoes the model of the pictures.
            self.sample()
        self.finetune()

    def pretrain(self):
        """Train each layer's RBM on what the layers below make of all training pictures."""
        print("... pre-training the model")
        print("    (PyTensor makes machine code of a layer's graph before its first epoch)")
        for layer, function in enumerate(self.pretraining):
            left = self.rounds_left(f"layer {layer}")
            if not left:
                continue
            update = partial(function, lr=self.args.pretraining_rate)
            compile_now(update, self.progress.stages["training"])
            with self.interruption.postponed():
                for number in left:
                    round = self.rounds[number]
                    self.make_updates(update, str(round), round.begin, round.n_updates)
                    self.interruption.say(f"Pre-training {round}, cost ", self.cost(round))
                    self.end_round(number)
                self.save()
        print(f"The pretraining code for file {PROGRAM} ran for {self.minutes('layer'):.2f}m")

    def sample(self):
        if self.progress.n_rows == 0:
            below = self.dbn.rbm_layers[-1].input
            self.chains.set_value(below.eval({self.dbn.x: self.start}, mode="FAST_COMPILE"))
        super().sample()

    def finetune(self):
        """Train the network with labels until early stopping, and save it where it is best."""
        print("... getting the finetuning functions", flush=True)
        train_fn, *score_fns = self.dbn.build_finetune_functions(
            self.labelled, self.args.batch_size, self.args.finetuning_rate
        )
        left = self.rounds_left("fine-tuning")
        errors = self.progress.records["validation errors"]
        for number in np.flatnonzero(np.isfinite(errors)):
            self.stopping.is_best(self.n_finetuned(number), errors[number])
        print("... finetuning the model", flush=True)
        if left and self.learns_on(left[0]):
            # Here, so that machine code is made while a signal still ends the program at once.
            compile_now(train_fn, self.dbn.params)
            for score in score_fns:
                score()
        with self.interruption.postponed():
            for number in left:
                if not self.learns_on(number):
                    break
                self.finetune_round(number, train_fn, *score_fns)
            self.save()
        best = np.nanargmin(errors)
        test_error = self.progress.records["test errors"][best]
        print(
            f"Optimization complete with best validation score of {100 * errors[best]:f} %, "
            f"obtained at iteration {self.n_finetuned(best)}, "
            f"with test performance {100 * test_error:f} %"
        )
        print(f"The fine tuning code for file {PROGRAM} ran for {self.minutes('fine'):.2f}m")

    def learns_on(self, number):
        """Whether early stopping lets fine-tuning come to the end of a round.

        What no validation follows changes no result.
        """
        n_updates = self.rounds[number].n_updates
        return self.stopping.updates_left(self.n_finetuned(number) - n_updates) >= n_updates

    def finetune_round(self, number, train_fn, validate_model, test_model):
        """Make a round's updates and look at the errors."""
        round, records = self.rounds[number], self.progress.records
        first = round.begin - self.n_pretraining
        last_batch = (self.n_finetuned(number) - 1) % self.n_labelled
        place = f"epoch {round.epoch}, minibatch {last_batch + 1}/{self.n_labelled}"

        def update(index):
            return train_fn((first + index) % self.n_labelled)

        self.make_updates(update, str(round), round.begin, round.n_updates)
        began = time.perf_counter()
        error = records["validation errors"][number] = np.mean(validate_model())
        self.interruption.say(f"{place}, validation error {100 * error:f} %")
        if self.stopping.is_best(self.n_finetuned(number), error):
            error = records["test errors"][number] = np.mean(test_model())
            self.interruption.say(f"     {place}, test error of best model {100 * error:f} %")
            save_parameters(self.args, self.dbn, self.args.output / "dbn.npz")
        self.progress.seconds += time.perf_counter() - began
        self.end_round(number)

    def end_round(self, number):
        """Note that a round has ended, and save if it is time."""
        seconds = self.progress.records["seconds"]
        seconds[number] = self.progress.seconds - seconds[:number].sum()
        self.progress.count_epoch()
        self.pause()

    def rounds_left(self, phase):
        """The numbers of a phase's rounds that have not ended."""
        seconds = self.progress.records["seconds"]
        return [
            number
            for number, round in enumerate(self.rounds)
            if round.phase == phase and np.isnan(seconds[number])
        ]

    def n_finetuned(self, number):
        """The updates of fine-tuning up to the end of a round."""
        round = self.rounds[number]
        return round.begin + round.n_updates - self.n_pretraining

    def cost(self, round):
        """The mean cost of a round that has ended."""
        return self.progress.costs[round.begin : round.begin + round.n_updates].mean()

    def minutes(self, phase):
        """How long all rounds took whose phase begins in this way."""
        pairs = zip(self.rounds, self.progress.records["seconds"], strict=True)
        return np.nansum([s for round, s in pairs if round.phase.startswith(phase)]) / 60

    def write_curve(self):
        """Write training_curve.csv, with all rounds so far."""
        records, path = self.progress.records, self.args.output / "training_curve.csv"
        with whole_file(path) as unfinished, open(unfinished, "w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["phase", "epoch", "mean cost", "validation error", "seconds"])
            for number in np.flatnonzero(np.isfinite(records["seconds"])):
                round, error = self.rounds[number], records["validation errors"][number]
                error, seconds = "" if np.isnan(error) else error, records["seconds"][number]
                rows.writerow([round.phase, round.epoch, self.cost(round), error, f"{seconds:.3f}"])


def rounds_of_pretraining(args, n_batches):
    """All rounds of pretraining: the epochs of one layer, then those of the next."""
    phases = [f"layer {layer}" for layer in range(len(args.hidden_layers))]
    epochs = product(phases, range(args.pretraining_epochs))
    return [Round(*epoch, n_batches * i, n_batches) for i, epoch in enumerate(epochs)]


def rounds_of_finetuning(args, n_batches, n_before):
    """All rounds that fine-tuning may have, after `n_before` updates of pretraining."""
    n_updates = max(1, min(n_batches, args.patience * n_batches // 2))
    begins = range(0, args.finetuning_epochs * n_batches - n_updates + 1, n_updates)
    return [
        Round("fine-tuning", (begin + n_updates - 1) // n_batches + 1, n_before + begin, n_updates)
        for begin in begins
    ]


def first_examples(dataset, n_examples):
    """The first of the examples and their classes; all of them for None."""
    x, y = dataset
    found = len(x.get_value(borrow=True))
    if n_examples is None:
        return dataset
    if n_examples > found:
        raise ValueError(f"--labelled: at most the {found} training pictures, not {n_examples}")
    return pytensor.shared(x.get_value(borrow=True)[:n_examples], borrow=True), y[:n_examples]


def memory_needed(args, n_visible, n_classes, n_batches, n_labelled):
    """An estimate, in bytes, of what a run takes beside the data."""
    sizes = [n_visible, *args.hidden_layers, n_classes]
    weights = [below * above for below, above in pairwise(sizes)]
    # The network, its gradient, another copy, and what the largest layer's training takes.
    model = (3 * sum(weights) + 5 * max(weights)) * np.dtype(args.floatX).itemsize
    pretraining_epochs = len(args.hidden_layers) * args.pretraining_epochs
    n_updates = pretraining_epochs * n_batches + args.finetuning_epochs * n_labelled
    # With a patience of one epoch, there are two rounds of fine-tuning in an epoch.
    n_rounds = pretraining_epochs + 2 * args.finetuning_epochs
    picture = args.n_samples * args.n_chains * n_visible
    # The costs and the picture, and a copy of both when they are saved.
    return model + 2 * (8 * n_updates + picture) + ROUND_BYTES * n_rounds


def make_dbn(args, n_visible, n_classes):
    """The network, and the generator that seeded its streams and then drew its weights."""
    rng = np.random.RandomState(args.seed)
    dbn = rbm_sym.DBN(
        numpy_rng=rng,
        theano_rng=make_streams(args.stream, rng),
        n_ins=n_visible,
        hidden_layers_sizes=args.hidden_layers,
        n_outs=n_classes,
    )
    return dbn, rng


def save_parameters(args, dbn, path):
    """Write the parameters of all layers, numbered from the pictures up, and the settings."""
    arrays = {f"logistic_{param.name}": param.get_value() for param in dbn.logLayer.params}
    for i, rbm in enumerate(dbn.rbm_layers):
        values = [param.get_value() for param in rbm.params]
        arrays |= {f"W_{i}": values[0], f"hbias_{i}": values[1], f"vbias_{i}": values[2]}
    save_arrays(path, arrays, settings_of(args))


if __name__ == "__main__":
    with one_line_errors(PROGRAM, OSError, FloatingPointError):
        main()
