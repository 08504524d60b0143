"""Runs a training program and kills its process at a chosen place.

The arguments are the program's name and the place: the name of a function and how many calls of it
are let through. The process dies at the end of the next one, or, if the name ends in "!", at its
beginning; with "?" it says so and hangs there, as on a disk that does not answer. All other
arguments are the program's.
"""

import functools
import os
import runpy
import signal
import sys
import time
from pathlib import Path

SCRIPTS = Path(__file__).parents[2] / "scripts"
sys.path.insert(0, str(SCRIPTS))


def die_in(owner, name, how, let_through):
    function = getattr(owner, name)

    def die():
        if how == "?":
            print("hanging", flush=True)
            time.sleep(600)
        os.kill(os.getpid(), signal.SIGKILL)

    @functools.wraps(function)
    def dying(*arguments, **options):
        nonlocal let_through
        let_through -= 1
        if let_through < 0 and how:
            die()
        result = function(*arguments, **options)
        if let_through < 0:
            die()
        return result

    setattr(owner, name, dying)


def main():
    program, place, calls, *arguments = sys.argv[1:]
    name = place.rstrip("!?")
    how = place.removeprefix(name)
    if name == "save":
        from rbm_sym.runs import Run

        owner = Run
        name = "save_checkpoint"
    else:
        owner = os
    die_in(owner, name, how, int(calls))
    sys.argv = [str(SCRIPTS / program), *arguments]
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
