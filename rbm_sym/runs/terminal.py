"""What a program says on the terminal, and how it ends."""

import os
import sys
from contextlib import contextmanager
from pathlib import Path

try:
    from tqdm import tqdm
except ImportError:
    tqdm = None

# 128 and the number of SIGPIPE, which not every system has.
CLOSED_PIPE = 141


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
def one_line_errors(*errors):
    """Turn errors of these classes, and want of memory, into one line and exit status 2.

    The line begins with the program's name.

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
        print(f"{Path(sys.argv[0]).name}: error: {line}", file=sys.stderr)
        sys.exit(2)
