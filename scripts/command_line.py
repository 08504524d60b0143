"""What the programs' command lines have in common."""

import argparse
import os
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

try:
    from tqdm import tqdm
except ImportError:
    tqdm = None

# 128 and the number of SIGPIPE, which not every system has.
CLOSED_PIPE = 141


def whole_number(least, below=None):
    """An argparse type: an integer of at least `least` and below `below`, or what int64 holds."""

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


def add_training_options(parser, batch_size, output):
    """Options that the training programs share; two have defaults of the program's own."""
    parser.add_argument(
        "--dataset", default="digits",
        help="'digits' (part of the package), 'mnist' (downloaded once), or a file or folder: "
        "mnist.pkl.gz, IDX files, .npz",
    )  # fmt: skip
    parser.add_argument("--batch-size", type=whole_number(1), default=batch_size)
    parser.add_argument(
        "--stream", choices=["mrg", "shared"], default="mrg", help="random number generator"
    )
    parser.add_argument(
        "--n-chains", type=whole_number(1), default=20, help="columns of samples.png"
    )
    parser.add_argument("--seed", type=whole_number(0, 2**32), default=123)
    parser.add_argument("--floatX", choices=["float32", "float64"], default="float32")
    parser.add_argument("--output", type=some_path, default=Path(output), help="folder")


def settings_of(args):
    """The options that decide what is made, as a dict that JSON can hold; not where and when."""
    elsewhere = ("output", "resume", "checkpoint_every")
    return {name: value for name, value in vars(args).items() if name not in elsewhere}


def make_folder(path):
    """Make the folder `path` unless it exists, and see that files can be written in it."""
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise OSError(f"{path}: cannot write into this folder ({error.strerror})") from None
    return path


def check_file(path):
    """Make the folder of the file `path`, and see that the file can be written there."""
    make_folder(path.parent)
    if path.is_dir():
        raise IsADirectoryError(f"{path}: this is a folder; give the name of a file")


def import_pyplot(picture):
    """matplotlib.pyplot, for files and not for the screen; None, with a word of it, without."""
    try:
        import matplotlib
    except ImportError:
        print(f"... no {picture} without matplotlib (it comes with the extra 'scripts')")
        return None
    matplotlib.use("Agg")
    import matplotlib.pyplot

    return matplotlib.pyplot


@contextmanager
def progress_bar(title, n_steps, unit=" updates", first=0):
    """A function that moves a bar on and may show a cost; None where there is no terminal."""
    if tqdm is None:
        yield None
        return
    with tqdm(
        total=n_steps, initial=first, desc=title, unit=unit, leave=False, disable=None
    ) as bar:

        def show(cost=None):
            if cost is not None:
                bar.set_postfix(cost=f"{cost:.2f}", refresh=False)
            bar.update()

        yield None if bar.disable else show


def progress_through(title, unit):
    """A function that goes through an iterable of known length, and shows on a bar how far."""

    def progress(parts):
        with progress_bar(title, len(parts), unit) as show:
            for part in parts:
                yield part
                if show is not None:
                    show()

    return progress


def flush_output():
    """Write out what has been printed, where an error can still be caught: not at Python's end."""
    print(end="", flush=True)


def drop_lost_output():
    """Let go of what has been printed and cannot be written, which Python would try at its end."""
    try:
        flush_output()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def one_line_errors(program, *errors):
    """Turn errors of these classes, and want of memory, into one line and exit status 2.

    A reader who has read enough, as in `... | head`, is no error: where BrokenPipeError is of these
    classes, the program ends without a word, with the status that shells give to such an end.
    """
    try:
        try:
            yield
        except SystemExit:
            flush_output()
            raise
        flush_output()
    except (MemoryError, *errors) as error:
        drop_lost_output()
        if isinstance(error, BrokenPipeError):
            sys.exit(CLOSED_PIPE)
        line = " ".join(str(error).split()) or "not enough memory"
        print(f"{program}: error: {line}", file=sys.stderr)
        sys.exit(2)
