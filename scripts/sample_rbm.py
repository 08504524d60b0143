"""Draw samples from a trained RBM, or write the hidden features of a data set."""

import argparse
from pathlib import Path

import numpy as np
import pytensor
import pytensor.tensor as pt

from rbm_sym import save_picture
from rbm_sym.checkpoint import save_arrays
from rbm_sym.images import check_picture_path
from rbm_sym.internal.files import check_file
from rbm_sym.models import load_rbm
from rbm_sym.runs import Samples
from rbm_sym.runs.options import load_data_for, some_path, whole_number
from rbm_sym.runs.samples import consecutive_pictures
from rbm_sym.runs.terminal import one_line_errors
from rbm_sym.streams import make_streams


def main(arguments=None):
    with one_line_errors(OSError):
        sample(parse_arguments(arguments))


def sample(args):
    with one_line_errors(ValueError, TypeError):
        numpy_rng = np.random.RandomState(args.seed)
        rbm, settings = load_rbm(args.model, make_streams(args.stream, numpy_rng))
        pytensor.config.floatX = rbm.W.dtype
        needed = args.start == "data" or args.features
        sets = load_data_for(args.dataset, rbm.n_visible) if needed else None
        start = choose_start(args, rbm, sets, numpy_rng)
        if args.n_samples:
            check_picture_path(args.output)
            check_file(args.output)
        if args.features:
            check_file(args.features)

    if args.features:
        write_features(args.features, rbm, sets, settings)
        print(f"... features written to {args.features}")
    if args.n_samples:
        picture = draw_samples(rbm, start, args.n_samples, args.steps)
        save_picture(picture, args.output)
        print(f"... samples written to {args.output}")


def parse_arguments(arguments):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("model", type=some_path, help="the rbm.npz of train_rbm.py")
    parser.add_argument(
        "--start", choices=["data", "random"], default="data",
        help="whether chains start at test pictures of the data set or at random pictures",
    )  # fmt: skip
    parser.add_argument("--dataset", default="digits", help="as for train_rbm.py")
    parser.add_argument("--n-chains", type=whole_number(1), default=20, help="columns")
    parser.add_argument("--n-samples", type=whole_number(0), default=10, help="rows")
    parser.add_argument(
        "--steps", type=whole_number(1), default=1000, help="Gibbs steps from row to row"
    )
    parser.add_argument("--stream", choices=["mrg", "shared"], default="mrg")
    parser.add_argument("--seed", type=whole_number(0, 2**32), default=123)
    parser.add_argument("--output", type=some_path, default=Path("samples.png"), help="the picture")
    parser.add_argument(
        "--features", type=some_path, metavar="FILE",
        help="write P(h = 1 | v) for the whole data set to this .npz: train_x, train_y, ...",
    )  # fmt: skip
    args = parser.parse_args(arguments)
    if not args.n_samples and not args.features:
        parser.error("--n-samples 0 without --features leaves nothing to do")
    for option, path in [("--output", args.output), ("--features", args.features)]:
        if path is not None and path.resolve() == args.model.resolve():
            parser.error(f"{option}: {path} is the model; take another name")
    return args


def choose_start(args, rbm, sets, numpy_rng):
    """Visible vectors (n_chains, n_visible) to start from."""
    if args.start == "data":
        return consecutive_pictures(sets[2][0], args.n_chains, numpy_rng)
    random = numpy_rng.randint(2, size=(args.n_chains, rbm.n_visible))
    return random.astype(pytensor.config.floatX)


def draw_samples(rbm, start, n_rows, steps):
    """Run a chain from each row of `start`, and draw its mean after every `steps` steps.

    Returns
    -------
    uint8 array (height, width): a picture with a row for each sample and a column for each chain
    """
    print("... compiling the chain, which can take half a minute the first time")
    outputs, updates = rbm.sample(pytensor.shared(start, name="chains"), steps)
    sample = pytensor.function([], outputs, updates=updates)
    samples = Samples(n_rows, *start.shape)
    for row in range(n_rows):
        print(" ... plotting sample ", row)
        mean, _ = sample()
        samples.draw(mean)
    return samples.picture


def write_features(path, rbm, sets, settings):
    """Write P(h = 1 | v) of every picture, and its label."""
    x = pt.matrix("x")
    features = pytensor.function([x], rbm.propup(x)[1])
    arrays = {}
    for name, (set_x, set_y) in zip(["train", "valid", "test"], sets, strict=True):
        pictures = set_x.get_value(borrow=True)
        blocks = [features(pictures[i : i + 1000]) for i in range(0, len(pictures), 1000)]
        arrays[f"{name}_x"] = np.concatenate(blocks)
        arrays[f"{name}_y"] = set_y.eval()
    save_arrays(path, arrays, settings)


if __name__ == "__main__":
    main()
