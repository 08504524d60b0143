"""The programs of this package. Each is a file that can be run by itself.

In a checkout, run `python scripts/train_rbm.py`. With the package installed, the command
`rbm-sym train` runs the same program from anywhere.
"""

import sys
from importlib import import_module
from importlib.util import find_spec

PROGRAMS = {
    "train": "train_rbm",
    "train-dbn": "train_dbn",
    "sample": "sample_rbm",
    "likelihood": "estimate_likelihood",
    "inpaint": "inpaint",
    "graph": "show_graph",
}


def main():
    """The command `rbm-sym`: run the program that its first argument names."""
    name, *arguments = sys.argv[1:] or ["--help"]
    if name not in PROGRAMS:
        is_help = name in ("-h", "--help")
        width = max(map(len, PROGRAMS))
        lines = [f"  {name:{width}}  {summary(name)}" for name in PROGRAMS]
        text = "usage: rbm-sym PROGRAM [--help] [OPTIONS]\n\n" + "\n".join(lines)
        if is_help:
            print(text)
            return
        print(f"rbm-sym: error: there is no program {name!r}\n{text}", file=sys.stderr)
        sys.exit(2)
    sys.argv = [f"rbm-sym {name}", *arguments]
    import_module(f"{__name__}.{PROGRAMS[name]}").main()


def summary(name):
    """The first line of a program's description."""
    module = find_spec(f"{__name__}.{PROGRAMS[name]}")
    return module.loader.get_source(module.name).split('"""')[1].splitlines()[0]
