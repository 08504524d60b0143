"""Runs a training program and kills or stops its process at a chosen place.

The arguments are the program's name and the place: the name of a function, one of `main`'s or of
os's, and how many calls of it are let through. The process dies at the end of the next one, or, if
the name ends in "!", at its beginning; with "?" it says so and hangs there, as on a disk that does
not answer; with ":SIGINT" or another signal it gets that one at the end, and goes on. All other
arguments are the program's.
"""

import functools
import os
import re
import runpy
import signal
import sys
import time
from pathlib import Path

SCRIPTS = Path(__file__).parents[2] / "scripts"
sys.path.insert(0, str(SCRIPTS))


def die_in(owner, name, how, let_through):
    function = getattr(owner, name)
    number = getattr(signal, how[1:]) if how.startswith(":") else signal.SIGKILL

    def die():
        if how == "?":
            print("hanging", flush=True)
            time.sleep(600)
        os.kill(os.getpid(), number)

    @functools.wraps(function)
    def dying(*arguments, **options):
        nonlocal let_through
        let_through -= 1
        if let_through == -1 and how in ("!", "?"):
            die()
        result = function(*arguments, **options)
        if let_through == -1:
            die()
        return result

    setattr(owner, name, dying)


def main():
    from rbm_sym.runs import Run, Samples

    program, place, calls, *arguments = sys.argv[1:]
    name, how = re.fullmatch(r"(\w+)(|[!?]|:\w+)", place).groups()
    owner, function = {
        "save": (Run, "save_checkpoint"),
        "restore": (Run, "restore"),
        "record": (Run, "record"),
        "samples": (Samples, "__init__"),
        "draw": (Samples, "draw"),
    }.get(name, (os, name))
    die_in(owner, function, how, int(calls))
    sys.argv = [str(SCRIPTS / program), *arguments]
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
