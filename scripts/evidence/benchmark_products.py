"""Time products of matrices with the rewrites and without, over sizes and densities.

Both functions take turns, and the results are medians over these pairs. The first is microseconds
per call with the rewrites, the second how many times as long the call takes without them. A cell is
marked if the rewritten product takes more than 1.1 times as long as the plain one. If the plain one
takes less than 50 microseconds, it is marked if the other takes 5 microseconds more. The exit
status is 1 if a cell is marked.
"""

import argparse
import os
import sys
import time

# Before anything loads OpenBLAS.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import pytensor
import pytensor.tensor as pt

from rbm_sym.internal.arguments import FLOATS
from rbm_sym.rewrites import ALL, without
from rbm_sym.runs.options import whole_number
from rbm_sym.runs.terminal import one_line_errors

ROWS, ONES, COLUMNS = [1, 4, 20, 200], [1, 10, 50, 100], [64, 784, 2000]
# "x W'" is the same product with a matrix that lies in memory column by column.
FORMS = {
    "x W": lambda z, c, x, W: pt.dot(x, W),
    "x W'": lambda z, c, x, W: pt.dot(x, W),
    "x W + b": lambda z, c, x, W: pt.dot(x, W) + z[0],
    "z + c x W": lambda z, c, x, W: z + c * pt.dot(x, W),
}
SLOWER, SMALL, SLOWER_IF_SMALL = 1.1, 50e-6, 5e-6
SECONDS_A_TURN = 1e-3


def main():
    with one_line_errors(ValueError, OSError):
        sys.exit(print_tables(argument_parser().parse_args()))


def argument_parser():
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--pairs", type=whole_number(1), default=20)
    parser.add_argument("--inner", type=whole_number(1), default=1000, help="rows of W")
    parser.add_argument("--forms", nargs="+", choices=FORMS, default=[*FORMS])
    parser.add_argument("--dtypes", nargs="+", choices=FLOATS, default=[*FLOATS])
    parser.add_argument("--rows", type=whole_number(1), nargs="+", default=ROWS, help="of x")
    return parser


def print_tables(args):
    """Print the tables; returns 1 if the rewritten product is slower in any cell, else 0."""
    n_slower = 0
    for form in args.forms:
        for dtype in args.dtypes:
            functions = both(FORMS[form], dtype)
            print(f"\n{form}, {dtype}, {args.inner} rows of W")
            print("rows    ones " + "".join(f"{n:>13} columns" for n in COLUMNS))
            for rows in args.rows:
                for ones in ONES:
                    cells = []
                    for columns in COLUMNS:
                        arguments = matrices(dtype, form, rows, ones / 100, args.inner, columns)
                        fast, plain = take_turns(functions, arguments, args.pairs)
                        slower = is_slower(fast, plain)
                        n_slower += slower
                        mark = "!" if slower else " "
                        cells.append(f"{fast * 1e6:12.1f} {plain / fast:6.2f} {mark}")
                    print(f"{rows:4} {ones:5} % " + "".join(cells), flush=True)
    print(f"\n... {n_slower} cells in which the rewritten product is the slower one")
    return int(n_slower > 0)


def both(form, dtype):
    z, x, W = (pt.matrix(name, dtype=dtype) for name in ("z", "x", "W"))
    c = pt.scalar("c", dtype=dtype)
    arguments = {"inputs": [z, c, x, W], "outputs": form(z, c, x, W), "on_unused_input": "ignore"}
    fast = pytensor.function(**arguments)
    with without(ALL):
        return fast, pytensor.function(**arguments)


def matrices(dtype, form, rows, density, inner, columns):
    rng = np.random.default_rng(0)
    x = (rng.random((rows, inner)) < density).astype(dtype)
    W = rng.standard_normal((columns, inner) if form == "x W'" else (inner, columns)).astype(dtype)
    z = rng.standard_normal((rows, columns)).astype(dtype)
    return z, np.asarray(0.1, dtype), x, W.T if form == "x W'" else W


def take_turns(functions, arguments, n_pairs):
    """The median seconds per call of each function; a turn takes a millisecond or one call."""
    n_calls = [max(1, int(SECONDS_A_TURN / seconds(f, arguments, 3))) for f in functions]
    found = [
        [seconds(f, arguments, n) for f, n in zip(functions, n_calls, strict=True)]
        for _ in range(n_pairs)
    ]
    return np.median(found, axis=0)


def seconds(function, arguments, n_calls):
    begin = time.perf_counter()
    for _ in range(n_calls):
        function(*arguments)
    return (time.perf_counter() - begin) / n_calls


def is_slower(fast, plain):
    return fast - plain > SLOWER_IF_SMALL if plain < SMALL else fast > SLOWER * plain


if __name__ == "__main__":
    main()
