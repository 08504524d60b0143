"""Complete test pictures of which a trained RBM sees one half.

The units of the seen half are held at the picture's values, and a Gibbs chain samples the other
half. The completion is the mean of P(v = 1 | h) over many samples. Its error is compared with that
of the mean training picture, which does not depend on the seen half.
"""

import argparse
from pathlib import Path

import numpy as np
import pytensor

from rbm_sym import gibbs_chain, save_picture, tile_raster_images
from rbm_sym.datasets import draw_binary
from rbm_sym.images import check_picture_path, picture_shape
from rbm_sym.internal.files import check_file
from rbm_sym.models import load_rbm
from rbm_sym.runs.options import load_data_for, some_path, whole_number
from rbm_sym.runs.terminal import one_line_errors
from rbm_sym.samplers import clamped
from rbm_sym.streams import make_streams

HALVES = ["left", "right", "top", "bottom"]
STEPS_BETWEEN_SAMPLES = 10


def main(arguments=None):
    with one_line_errors(OSError):
        inpaint(parse_arguments(arguments))


def inpaint(args):
    with one_line_errors(ValueError, TypeError):
        rbm, _ = load_rbm(args.model, make_streams("mrg", np.random.RandomState(args.seed)))
        pytensor.config.floatX = rbm.W.dtype
        check_picture_path(args.output)
        check_file(args.output)
        sets = load_data_for(args.dataset, rbm.n_visible)
        pictures = sets[2][0].get_value(borrow=True)[: args.n_pictures]
        mean_picture = sets[0][0].get_value(borrow=True).mean(axis=0)
        hidden = hidden_half(args.hide, rbm.n_visible)
        if not hidden.any():
            raise ValueError(f"--hide: the pictures have no {args.hide} half; hide another one")

    completed = complete(rbm, pictures, hidden, mean_picture, args.n_samples, args.seed)
    save_picture(show(pictures[:20], completed[:20], hidden), args.output)
    print(f"mean squared error of the hidden pixels of {len(pictures)} test pictures:")
    print(f"    completed by the RBM {error(completed, pictures, hidden):.4f}")
    print(f"    the mean picture     {error(mean_picture, pictures, hidden):.4f}")
    print(f"... {args.output}: pictures above, what the RBM saw in the middle, completed below")


def parse_arguments(arguments):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("model", type=some_path, help="the rbm.npz of train_rbm.py")
    parser.add_argument("--dataset", default="digits", help="as for train_rbm.py")
    parser.add_argument("--hide", choices=HALVES, default="right", help="the half to complete")
    parser.add_argument("--n-pictures", type=whole_number(1), default=1000, help="test pictures")
    parser.add_argument(
        "--n-samples", type=whole_number(1), default=50,
        help=f"samples in the mean of a completion, {STEPS_BETWEEN_SAMPLES} Gibbs steps apart",
    )  # fmt: skip
    parser.add_argument("--seed", type=whole_number(0, 2**32), default=123)
    parser.add_argument(
        "--output", type=some_path, default=Path("inpainted.png"), help="the picture"
    )
    return parser.parse_args(arguments)


def hidden_half(name, n_pixels):
    """A boolean vector (n_pixels,): the pixels that are not seen."""
    height, width = picture_shape(n_pixels)
    row, column = np.indices((height, width))
    halves = dict(zip(HALVES, [
        column < width // 2, column >= width // 2, row < height // 2, row >= height // 2
    ], strict=True))  # fmt: skip
    return halves[name].ravel()


def complete(rbm, pictures, hidden, mean_picture, n_samples, seed):
    """The pictures with their hidden pixels replaced by means of P(v = 1 | h), (n, n_visible)."""
    seen = draw_binary(pictures, seed)
    noise = draw_binary(np.broadcast_to(mean_picture, pictures.shape), seed)
    chain = pytensor.shared(np.where(hidden, noise, seen), name="chain")
    outputs, updates = gibbs_chain(
        clamped(rbm.gibbs_vhv, ~hidden, pytensor.shared(seen, name="seen")),
        chain,
        n_steps=STEPS_BETWEEN_SAMPLES,
    )
    _, _, _, _, visible_mean, visible_sample = outputs
    updates[chain] = visible_sample[-1]
    sample = pytensor.function([], visible_mean[-1], updates=updates)
    # The first samples still depend on the start of the chains.
    for _ in range(10):
        sample()
    total = sum(sample() for _ in range(n_samples))
    return np.where(hidden, total / n_samples, pictures)


def show(pictures, completed, hidden):
    """Three rows: the pictures, their seen halves, and the completed pictures."""
    rows = [pictures, np.where(hidden, 0.5, pictures), completed]
    return tile_raster_images(
        X=np.concatenate(rows),
        img_shape=picture_shape(pictures.shape[1]),
        tile_shape=(3, len(pictures)),
        tile_spacing=(1, 1),
        scale_rows_to_unit_interval=False,
    )


def error(completed, pictures, hidden):
    return np.square(completed - pictures)[:, hidden].mean()


if __name__ == "__main__":
    main()
