"""Train a deep belief network, as the deeplearning.net tutorial's program does.

The tutorial's own settings are --dataset mnist --hidden-layers 1000 1000 1000 --k 1
--pretraining-epochs 100 --pretraining-rate 0.01 --finetuning-epochs 1000.
"""

import argparse
import csv
import time
from functools import partial
from itertools import pairwise

import numpy as np
import pytensor
from command_line import (
    add_training_options,
    make_folder,
    one_line_errors,
    progress_bar,
    settings_of,
    whole_number,
)
from sample_rbm import consecutive_pictures, make_streams, plot_samples
from train_rbm import save_filters

import rbm_sym
from rbm_sym.arguments import check_learning_rate
from rbm_sym.checkpoint import save_arrays
from rbm_sym.files import only_writer
from rbm_sym.memory import check_memory
from rbm_sym.training import EarlyStopping, count_batches, run_epoch

PROGRAM = "train_dbn.py"


def main():
    args = argument_parser().parse_args()
    with one_line_errors(PROGRAM, ValueError, TypeError):
        pytensor.config.floatX = args.floatX
        check_learning_rate("--pretraining-rate", args.pretraining_rate)
        check_learning_rate("--finetuning-rate", args.finetuning_rate)
        datasets = rbm_sym.load_data(args.dataset)
        train_x, test_x = datasets[0][0], datasets[2][0]
        labelled = [first_examples(datasets[0], args.labelled), *datasets[1:]]
        print("... building the model")
        check_memory(memory_needed(args, datasets), "--hidden-layers: take smaller ones")
        dbn, rng = make_dbn(args, datasets)
        dbn.check_datasets(labelled, args.batch_size)
        start = consecutive_pictures(test_x, args.n_chains, rng)
        folder = make_folder(args.output)

    with only_writer(folder), open(folder / "training_curve.csv", "w", newline="") as file:
        curve = csv.writer(file)
        curve.writerow(["phase", "epoch", "mean cost", "validation error", "seconds"])
        if args.pretraining_epochs:
            pretrain(args, dbn, train_x, curve)
            save_parameters(args, dbn, folder / "pretrained.npz")
            save_filters(dbn.rbm_layers[0], folder / "filters.png")
            # Not later: fine-tuning is for the classes, and undoes the model of the pictures.
            save_samples(args, dbn, start, folder / "samples.png")
        finetune(args, dbn, labelled, curve, folder / "dbn.npz")
    print(f"... pictures, training curve and parameters are in {folder}")


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
    return parser


def first_examples(dataset, n_examples):
    """The first of the examples and their classes; all of them for None."""
    x, y = dataset
    found = len(x.get_value(borrow=True))
    if n_examples is None:
        return dataset
    if n_examples > found:
        raise ValueError(f"--labelled: at most the {found} training pictures, not {n_examples}")
    return pytensor.shared(x.get_value(borrow=True)[:n_examples], borrow=True), y[:n_examples]


def memory_needed(args, datasets):
    """An estimate, in bytes, of what the largest layer's training takes beside the network."""
    sizes = [datasets[0][0].get_value(borrow=True).shape[1], *args.hidden_layers]
    weights = [below * above for below, above in pairwise(sizes)]
    return (sum(weights) + 5 * max(weights)) * np.dtype(args.floatX).itemsize


def make_dbn(args, datasets):
    """The network, and the generator that seeded its streams and then drew its weights."""
    rng = np.random.RandomState(args.seed)
    dbn = rbm_sym.DBN(
        numpy_rng=rng,
        theano_rng=make_streams(args.stream, rng),
        n_ins=datasets[0][0].get_value(borrow=True).shape[1],
        hidden_layers_sizes=args.hidden_layers,
        n_outs=1 + max(y.eval(mode="FAST_COMPILE").max() for _, y in datasets),
    )
    return dbn, rng


def pretrain(args, dbn, train_x, curve):
    """Train each layer's RBM on what the layers below make of all training pictures."""
    print("... getting the pretraining functions")
    functions = dbn.pretraining_functions(train_x, args.batch_size, args.k)
    n_batches = count_batches(len(train_x.get_value(borrow=True)), args.batch_size)
    print("... pre-training the model")
    print("    (PyTensor makes machine code of a layer's graph in its first epoch)", flush=True)
    began = time.perf_counter()
    for layer, function in enumerate(functions):
        update = partial(function, lr=args.pretraining_rate)
        for epoch in range(args.pretraining_epochs):
            epoch_began = time.perf_counter()
            with progress_bar(f"layer {layer}, epoch {epoch}", n_batches) as show:
                cost = np.mean(run_epoch(update, n_batches, after_update=show))
            seconds = time.perf_counter() - epoch_began
            print(f"Pre-training layer {layer}, epoch {epoch}, cost ", cost, flush=True)
            curve.writerow([f"layer {layer}", epoch, cost, "", f"{seconds:.3f}"])
    minutes = (time.perf_counter() - began) / 60
    print(f"The pretraining code for file {PROGRAM} ran for {minutes:.2f}m")


def finetune(args, dbn, datasets, curve, path):
    """Train the network with labels until early stopping, and save it where it is best."""
    print("... getting the finetuning functions")
    train_fn, validate_model, test_model = dbn.build_finetune_functions(
        datasets, args.batch_size, args.finetuning_rate
    )
    n_batches = count_batches(len(datasets[0][0].get_value(borrow=True)), args.batch_size)
    stopping = EarlyStopping(args.patience * n_batches)
    validation_frequency = max(1, min(n_batches, stopping.patience // 2))

    print("... finetuning the model", flush=True)
    began = time.perf_counter()
    best, test_error, n_updates = 0, np.nan, 0
    while True:
        round_began = time.perf_counter()
        left = min(args.finetuning_epochs * n_batches - n_updates, stopping.updates_left(n_updates))
        if left < validation_frequency:
            # What no validation follows changes no result.
            break
        cost = finetune_round(train_fn, n_updates, validation_frequency, n_batches)
        n_updates += validation_frequency
        epoch, minibatch = divmod(n_updates - 1, n_batches)
        place = f"epoch {epoch + 1}, minibatch {minibatch + 1}/{n_batches}"
        error = np.mean(validate_model())
        print(f"{place}, validation error {100 * error:f} %", flush=True)
        if stopping.is_best(n_updates, error):
            best, test_error = n_updates, np.mean(test_model())
            print(f"     {place}, test error of best model {100 * test_error:f} %", flush=True)
            save_parameters(args, dbn, path)
        seconds = time.perf_counter() - round_began
        curve.writerow(["fine-tuning", epoch + 1, cost, error, f"{seconds:.3f}"])
    print(
        f"Optimization complete with best validation score of {100 * stopping.least_error:f} %, "
        f"obtained at iteration {best}, with test performance {100 * test_error:f} %"
    )
    minutes = (time.perf_counter() - began) / 60
    print(f"The fine tuning code for file {PROGRAM} ran for {minutes:.2f}m")


def finetune_round(train_fn, n_before, n_updates, n_batches):
    """Make `n_updates` updates after the first `n_before`: their mean cost."""

    def update(i):
        return train_fn((n_before + i) % n_batches)

    with progress_bar(f"epoch {n_before // n_batches + 1}", n_updates) as show:
        return np.mean(run_epoch(update, n_updates, after_update=show))


def save_parameters(args, dbn, path):
    """Write the parameters of all layers, numbered from the pictures up, and the settings."""
    arrays = {f"logistic_{param.name}": param.get_value() for param in dbn.logLayer.params}
    for i, rbm in enumerate(dbn.rbm_layers):
        values = [param.get_value() for param in rbm.params]
        arrays |= {f"W_{i}": values[0], f"hbias_{i}": values[1], f"vbias_{i}": values[2]}
    save_arrays(path, arrays, settings_of(args))


def save_samples(args, dbn, start, path):
    """A picture of what the model dreams of, in chains that start at the pictures `start`."""
    chains = pytensor.shared(dbn.rbm_layers[-1].input.eval({dbn.x: start}, mode="FAST_COMPILE"))
    # As a shared variable, the number is no part of the compiled code.
    outputs, updates = dbn.sample(chains, n_steps=pytensor.shared(np.int64(args.steps)))
    graph = dict(inputs=[], outputs=outputs, updates=updates)
    rbm_sym.save_picture(plot_samples(graph, args.n_samples, *start.shape), path)


if __name__ == "__main__":
    with one_line_errors(PROGRAM, OSError, FloatingPointError):
        main()
