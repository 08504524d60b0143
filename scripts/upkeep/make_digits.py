"""Make the digits that come with the package from the tutorial's mnist.pkl.gz.

    python scripts/upkeep/make_digits.py path/to/mnist.pkl.gz

The same pictures give the same bytes.
"""

import argparse
import io
import zipfile
from pathlib import Path

import numpy as np

from rbm_sym.datasets import PARTS, read_arrays
from rbm_sym.runs.options import some_path

SIZES = {"train": 10_000, "valid": 1_000, "test": 1_000}
DIGITS = Path(__file__).parents[2] / "rbm_sym" / "data" / "digits.npz"


def pack(sets):
    """The bytes of an .npz file of the first pictures and labels of each set, as uint8."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for part, (x, y) in zip(PARTS, sets, strict=True):
            first = slice(SIZES[part])
            add_array(archive, f"{part}_x", np.round(x[first] * 256).astype(np.uint8))
            add_array(archive, f"{part}_y", y[first].astype(np.uint8))
    return packed.getvalue()


def add_array(archive, name, array):
    content = io.BytesIO()
    np.lib.format.write_array(content, array)
    # With a fixed date and system. By default, they would be the present ones.
    member = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
    member.create_system = 3
    archive.writestr(member, content.getvalue(), zipfile.ZIP_LZMA)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("mnist", help="path of mnist.pkl.gz")
    parser.add_argument("--output", type=some_path, default=DIGITS, help="default: %(default)s")
    options = parser.parse_args()
    options.output.write_bytes(pack(read_arrays(options.mnist)))


if __name__ == "__main__":
    main()
