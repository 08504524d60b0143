"""Output of programs on the terminal, and how they end."""

import os
import sys
from contextlib import contextmanager
from pathlib import Path

try:
    from tqdm import tqdm
except ImportError:
    tqdm = None

# 128 plus the number of SIGPIPE, which not every system has.
CLOSED_PIPE = 141


@contextmanager
def progress_bar(title, n_steps, unit=" updates", first=0):
    """A context with a progress bar.

    It gives a function that moves the bar on by one step and can show a cost, or None if there is
    no terminal.
    """
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
    """A function that goes through an iterable of known length and shows a progress bar."""

    def progress(parts):
        with progress_bar(title, len(parts), unit) as show:
            for part in parts:
                yield part
                if show is not None:
                    show()

    return progress


def flush_output():
    """Write out all printed text now: an error at Python's end could not be caught."""
    print(end="", flush=True)


def drop_lost_output():
    """Drop printed text that cannot be written; otherwise Python would try again at its end."""
    try:
        flush_output()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def one_line_errors(*errors):
    """Turn errors of these classes, and MemoryError, into one line and exit status 2.

    The line begins with the program's name.

    A pipe whose reader has ended, as in `... | head`, is not an error. If these classes include
    BrokenPipeError, the program then ends without a message, with the exit status that shells use.
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
