"""Draw samples from a trained RBM, or write the features that it finds in a data set."""

import argparse
from pathlib import Path

import numpy as np
import pytensor
import pytensor.tensor as pt
from command_line import check_file, one_line_errors, some_path, whole_number

import rbm_sym
from rbm_sym.checkpoint import load_arrays, save_arrays
from rbm_sym.images import check_picture_path

PROGRAM = "sample_rbm.py"


def main():
    args = parse_arguments()
    with one_line_errors(PROGRAM, ValueError, TypeError):
        numpy_rng = np.random.RandomState(args.seed)
        rbm, settings = load_rbm(args.model, args.stream, numpy_rng)
        needed = args.start == "data" or args.features
        sets = read_sets(args.dataset, rbm) if needed else None
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
        rbm_sym.save_picture(picture, args.output)
        print(f"... samples written to {args.output}")


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("model", type=some_path, help="the rbm.npz of train_rbm.py")
    parser.add_argument(
        "--start", choices=["data", "random"], default="data",
        help="chains start at test pictures of the data set, or at random pictures",
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
    args = parser.parse_args()
    if not args.n_samples and not args.features:
        parser.error("--n-samples 0 without --features leaves nothing to do")
    return args


def load_rbm(path, stream, numpy_rng):
    """The model in a file of train_rbm.py, computing in the dtype that it was trained in."""
    arrays, settings = load_arrays(path, ["W", "hbias", "vbias"])
    W, hbias, vbias = arrays["W"], arrays["hbias"], arrays["vbias"]
    if W.ndim != 2 or W.dtype not in (np.float32, np.float64):
        raise ValueError(f"{path}: W must be a float matrix, not {W.dtype} of shape {W.shape}")
    if not all(np.isfinite(array).all() for array in arrays.values()):
        raise ValueError(f"{path}: there are infinite or undefined numbers in the parameters")
    pytensor.config.floatX = str(W.dtype)
    rbm = rbm_sym.RBM(
        n_visible=W.shape[0],
        n_hidden=W.shape[1],
        W=pytensor.shared(W, name="W"),
        hbias=pytensor.shared(hbias, name="hbias"),
        vbias=pytensor.shared(vbias, name="vbias"),
        numpy_rng=numpy_rng,
        theano_rng=make_streams(stream, numpy_rng),
    )
    return rbm, settings


def make_streams(kind, numpy_rng):
    """Random streams of either kind, seeded as in the tutorial."""
    streams = {"mrg": rbm_sym.MRG_RandomStreams, "shared": rbm_sym.RandomStreams}
    return streams[kind](numpy_rng.randint(2**30))


def read_sets(dataset, rbm):
    """The data set, whose pictures must be of the RBM's size."""
    sets = rbm_sym.load_data(dataset)
    n_pixels = sets[0][0].get_value(borrow=True).shape[1]
    if n_pixels != rbm.n_visible:
        raise ValueError(
            f"--dataset: {dataset} has {n_pixels} pixels a picture, but the model has "
            f"{rbm.n_visible} visible units"
        )
    return sets


def choose_start(args, rbm, sets, numpy_rng):
    """Visible vectors (n_chains, n_visible) to start from."""
    if args.start == "data":
        return consecutive_pictures(sets[2][0], args.n_chains, numpy_rng)
    random = numpy_rng.randint(2, size=(args.n_chains, rbm.n_visible))
    return random.astype(pytensor.config.floatX)


def consecutive_pictures(test_x, n_chains, numpy_rng):
    """`n_chains` test pictures in a row, from a random place on, as the tutorial takes them."""
    pictures = test_x.get_value(borrow=True)
    if n_chains > len(pictures):
        raise ValueError(f"--n-chains: at most the {len(pictures)} test pictures, not {n_chains}")
    # The tutorial's draw, which never takes the last place but where there is no other.
    first = numpy_rng.randint(max(1, len(pictures) - n_chains))
    return pictures[first : first + n_chains]


def draw_samples(rbm, start, n_samples, steps):
    """Run one chain from each row of `start` and show its mean after every `steps` steps.

    Returns
    -------
    uint8 picture: a row of pictures for each sample, a column for each chain
    """
    return plot_samples(sampling_graph(rbm, start, steps), n_samples, *start.shape)


def plot_samples(graph, n_samples, n_chains, n_pixels):
    """The picture of all samples, drawn by the function of this graph, one row for each call."""
    sample = compile_chain(graph)
    picture = empty_picture(n_samples, n_chains, n_pixels)
    for row in range(n_samples):
        plot_sample(sample, picture, row)
    return picture


def compile_chain(graph, say=print):
    """The function of these arguments of `pytensor.function`."""
    say("... compiling the chain, which can take half a minute the first time")
    return pytensor.function(**graph)


def empty_picture(n_samples, n_chains, n_pixels):
    """A black uint8 picture, for a row of pictures for each sample, a column for each chain."""
    height, width = picture_shape(n_pixels)
    return np.zeros(((height + 1) * n_samples + 1, (width + 1) * n_chains - 1), dtype="uint8")


def plot_sample(sample, picture, row, say=print):
    """Call the function `sample`, and put the visible means that it returns first into a row."""
    say(" ... plotting sample ", row)
    means = sample()[0]
    height, width = picture_shape(means.shape[1])
    top = (height + 1) * row
    picture[top : top + height] = rbm_sym.tile_raster_images(
        X=means, img_shape=(height, width), tile_shape=(1, len(means)), tile_spacing=(1, 1)
    )


def sampling_graph(rbm, start, steps):
    """The arguments of `pytensor.function`, for one that takes chains `steps` further.

    It returns P(v = 1 | h) and v at their end.
    """
    chains = pytensor.shared(np.array(start, dtype=pytensor.config.floatX), name="chains")
    outputs, updates = rbm_sym.gibbs_chain(rbm.gibbs_vhv, chains, n_steps=steps)
    _, _, _, _, vis_mfs, vis_samples = outputs
    updates[chains] = vis_samples[-1]
    return dict(inputs=[], outputs=[vis_mfs[-1], vis_samples[-1]], updates=updates)


def picture_shape(n_pixels):
    """(height, width) of a picture: square, or as near to it as whole numbers allow."""
    height = int(np.sqrt(n_pixels))
    while n_pixels % height:
        height -= 1
    return height, n_pixels // height


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
    with one_line_errors(PROGRAM, OSError):
        main()
