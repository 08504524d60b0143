"""Command-line options: their types, and those that programs share."""

import argparse
from pathlib import Path

from rbm_sym.datasets import load_data
from rbm_sym.runs.checkpoints import CheckpointTimes

# --- Types -----------------------------------------------------------------------------------


def whole_number(least, below=None):
    """An argparse type: an integer of at least `least` and below `below` (by default 2**63)."""

    def parse(text):
        limits = f"of at least {least}" + (f" and below {below}" if below else "")
        try:
            number = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(
                f"an integer {limits} is needed, not {text:.50}"
            ) from None
        if not least <= number < (below or 2**63):
            raise argparse.ArgumentTypeError(f"an integer {limits} is needed, not {text:.50}")
        return number

    return parse


def some_name(text):
    """An argparse type: a text that is not empty."""
    if not text:
        raise argparse.ArgumentTypeError("a name is needed, not an empty text")
    return text


def some_path(text):
    """An argparse type: a path. An empty one would be the current folder."""
    return Path(some_name(text))


def checkpoint_times(text):
    """An argparse type: CheckpointTimes."""
    try:
        return CheckpointTimes.of(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


# --- Options that programs share -------------------------------------------------------------


def add_training_options(parser, batch_size, output):
    """Add the options that training programs share; two defaults are the program's own."""
    parser.add_argument(
        "--dataset", default="digits",
        help="'digits' (part of the package), 'mnist' (downloaded once), or a file or folder: "
        "mnist.pkl.gz, IDX files, .npz",
    )  # fmt: skip
    parser.add_argument(
        "--batch-size", type=whole_number(1), default=batch_size, help="examples in a minibatch"
    )
    parser.add_argument(
        "--stream", choices=["mrg", "shared"], default="mrg", help="random number generator"
    )
    parser.add_argument(
        "--n-chains", type=whole_number(1), default=20, help="columns of samples.png"
    )
    parser.add_argument(
        "--seed", type=whole_number(0, 2**32), default=123, help="of the weights and all draws"
    )
    parser.add_argument(
        "--floatX", choices=["float32", "float64"], default="float32", help="precision"
    )
    parser.add_argument("--output", type=some_path, default=Path(output), help="folder")


def add_run_options(parser, may_grow):
    """Add the options for checkpoints; `may_grow` is the one that may be larger on resuming."""
    parser.add_argument(
        "--checkpoint-every", type=checkpoint_times, default=CheckpointTimes(), metavar="TIMES",
        help="how often the state of the run is saved, in minutes, epochs, or both",
    )  # fmt: skip
    parser.add_argument(
        "--resume", type=some_path, metavar="OUTPUT",
        help="go on with the run in this folder, with its own settings; more "
        f"{option(may_grow)} are allowed, and its data may have moved (--dataset)",
    )  # fmt: skip


def add_estimate_options(parser, n_temperatures):
    """Add the options for the work that goes into a likelihood; one default is given."""
    parser.add_argument(
        "--n-runs", type=whole_number(2), default=100, help="runs of annealed importance sampling"
    )
    parser.add_argument(
        "--n-temperatures", type=whole_number(2), default=n_temperatures,
        help="temperatures between independent units and the RBM; the more, the smaller the error",
    )  # fmt: skip


def load_data_for(dataset, n_visible):
    """The data set that the option --dataset names, as from `load_data`, for a trained model.

    Raises
    ------
    ValueError
        if its pictures do not have `n_visible` pixels
    """
    sets = load_data(dataset)
    n_pixels = sets[0][0].get_value(borrow=True).shape[1]
    if n_pixels != n_visible:
        raise ValueError(
            f"--dataset: {dataset} has {n_pixels} pixels a picture, but the model has {n_visible} "
            "visible units"
        )
    return sets


def option(name):
    """The option of this name, as written on the command line."""
    return f"--{name.replace('_', '-')}"
