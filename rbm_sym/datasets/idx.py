"""IDX files, the format of MNIST and of data sets made like it."""

import math
import re
import struct

import numpy as np

from rbm_sym.datasets.reading import read_bytes

IDX_NAME = re.compile(
    r"(?P<prefix>.*)(?P<part>train|t10k|test)-(?P<kind>images|labels)[-.]idx[13]-ubyte(\.gz)?"
)
IDX_DIMENSIONS = {"images": 3, "labels": 1}


def read_idx_files(path):
    """The three sets of the four IDX files in a folder; `path` is the folder or one of them."""
    files = idx_files(path) if path.is_dir() else idx_files(path.parent, path)
    wanted = [(part, kind) for part in ("train", "t10k") for kind in IDX_DIMENSIONS]
    for part, kind in wanted:
        if (part, kind) not in files:
            raise FileNotFoundError(
                f"{path}: {part}-{kind}-idx{IDX_DIMENSIONS[kind]}-ubyte (or .gz) is missing; "
                "all four files must lie in one folder"
            )
    return sets_from_idx(*((files[key], read_bytes(files[key])) for key in wanted))


def idx_files(folder, named=None):
    """The IDX files of a data set: {(part, kind): path}.

    If the folder has several data sets, it is that of the file `named`.
    """
    candidates = ([named] if named else []) + sorted(folder.iterdir())
    matches = [(file, IDX_NAME.fullmatch(file.name)) for file in candidates if file.is_file()]
    matches = [(file, match) for file, match in matches if match]
    prefixes = list(dict.fromkeys(match["prefix"] for _, match in matches))
    if len(prefixes) > 1 and not named:
        raise ValueError(f"{folder}: several data sets, {prefixes}; name one file of the right one")
    files = {}
    for file, match in matches:
        if match["prefix"] == prefixes[0]:
            part = "train" if match["part"] == "train" else "t10k"
            files.setdefault((part, match["kind"]), file)
    return files


def sets_from_idx(train_images, train_labels, test_images, test_labels):
    """The three sets of four IDX files; each is a pair (source, bytes)."""
    x, y = read_idx_pair(train_images, train_labels)
    n_train = len(x) - len(x) // 6
    if n_train == len(x):
        raise ValueError(
            f"{train_images[0]}: {len(x)} pictures are too few; one of every six becomes the "
            "validation set"
        )
    test = read_idx_pair(test_images, test_labels)
    return [(x[:n_train], y[:n_train]), (x[n_train:], y[n_train:]), test]


def read_idx_pair(images, labels):
    x, y = read_idx(*images, "images"), read_idx(*labels, "labels")
    if len(x) != len(y):
        raise ValueError(
            f"{labels[0]}: {len(y)} labels for the {len(x)} pictures in {images[0]}; "
            "the two files are not of one data set"
        )
    return x, y


def read_idx(source, data, kind):
    """The uint8 array in a file; raises if its magic number or its length is wrong."""
    dimensions = IDX_DIMENSIONS[kind]
    expected = 0x800 + dimensions
    if data[:4] != struct.pack(">I", expected):
        raise ValueError(
            f"{source}: wrong magic number 0x{data[:4].hex()}; "
            f"an IDX file of {kind} begins with 0x{expected:08x}"
        )
    header = struct.Struct(f">{1 + dimensions}I")
    if len(data) < header.size:
        raise ValueError(f"{source}: truncated within its header; get the file again")
    _, *shape = header.unpack_from(data)
    promised, found = math.prod(shape), len(data) - header.size
    if found != promised:
        fault = "truncated" if found < promised else "followed by other bytes"
        raise ValueError(
            f"{source}: {fault}: its header promises {promised:,} bytes of data, and "
            f"there are {found:,}; get the file again"
        )
    return np.frombuffer(data, np.uint8, offset=header.size).reshape(shape)
