"""Command-line options: their types, those that programs share, and how they resume a run."""

import argparse
import os
import shlex
import signal
import sys
from contextlib import closing, contextmanager
from pathlib import Path

from rbm_sym.datasets import load_data
from rbm_sym.internal.files import make_folder, only_writer
from rbm_sym.runs.checkpoints import FILE, CheckpointTimes, load_checkpoint
from rbm_sym.runs.interruption import Interruption
from rbm_sym.runs.run import Run
from rbm_sym.runs.terminal import one_line_errors

# Options that do not change the results of a run, only where and when they are written.
ELSEWHERE = ("output", "resume", "checkpoint_every")
# How sys.argv[0] begins if a program was started by the command and not by its file.
COMMAND = "rbm-sym "

# --- Types -----------------------------------------------------------------------------------


def whole_number(least, below=None):
    """An argparse type: an integer of at least `least` and below `below` (by default 2**63)."""

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


def checkpoint_times(text):
    """An argparse type: CheckpointTimes."""
    try:
        return CheckpointTimes.of(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


# --- Options that programs share -------------------------------------------------------------


def add_training_options(parser, batch_size, output):
    """Add the options that training programs share; two defaults are the program's own."""
    parser.add_argument(
        "--dataset", default="digits",
        help="'digits' (part of the package), 'mnist' (downloaded once), or a file or folder: "
        "mnist.pkl.gz, IDX files, .npz",
    )  # fmt: skip
    parser.add_argument(
        "--batch-size", type=whole_number(1), default=batch_size, help="examples in a minibatch"
    )
    parser.add_argument(
        "--stream", choices=["mrg", "shared"], default="mrg", help="random number generator"
    )
    parser.add_argument(
        "--n-chains", type=whole_number(1), default=20, help="columns of samples.png"
    )
    parser.add_argument(
        "--seed", type=whole_number(0, 2**32), default=123, help="of the weights and all draws"
    )
    parser.add_argument(
        "--floatX", choices=["float32", "float64"], default="float32", help="precision"
    )
    parser.add_argument("--output", type=some_path, default=Path(output), help="folder")


def add_run_options(parser, may_grow):
    """Add the options for checkpoints; `may_grow` is the one that may be larger on resuming."""
    parser.add_argument(
        "--checkpoint-every", type=checkpoint_times, default=CheckpointTimes(), metavar="TIMES",
        help="how often the state of the run is saved, in minutes, epochs, or both",
    )  # fmt: skip
    parser.add_argument(
        "--resume", type=some_path, metavar="OUTPUT",
        help="go on with the run in this folder, with its own settings; more "
        f"{option(may_grow)} are allowed, and its data may have moved (--dataset)",
    )  # fmt: skip


def load_data_for(dataset, n_visible):
    """The data set that the option --dataset names, as from `load_data`, for a trained model.

    Raises
    ------
    ValueError
        if its pictures do not have `n_visible` pixels
    """
    sets = load_data(dataset)
    n_pixels = sets[0][0].get_value(borrow=True).shape[1]
    if n_pixels != n_visible:
        raise ValueError(
            f"--dataset: {dataset} has {n_pixels} pixels a picture, but the model has {n_visible} "
            "visible units"
        )
    return sets


def option(name):
    """The option of this name, as written on the command line."""
    return f"--{name.replace('_', '-')}"


# --- From options to a run -------------------------------------------------------------------


def options_given(parser, arguments=None):
    """The options that a command line has, without defaults: {name: value}."""
    absent = object()
    # argparse sets a default only where there is no value yet.
    namespace = argparse.Namespace(**{action.dest: absent for action in parser._actions})
    parser.parse_args(arguments, namespace)
    return {name: value for name, value in vars(namespace).items() if value is not absent}


def settings_of(args):
    """The options that decide the results, as a dict that JSON can hold."""
    return {name: value for name, value in vars(args).items() if name not in ELSEWHERE}


@contextmanager
def open_program_run(
    program, parser, given, may_grow, may_change=("dataset",), defaults=None
):  # fmt: skip
    """Begin or resume the run that the options describe, as `rbm_sym.runs.open_run` does.

    Parameters
    ----------
    program : str, name of the program
    parser : ArgumentParser, with the options of `add_training_options` and `add_run_options`
    given : dict, the result of `options_given`
    may_grow : name of the option that may be larger when a run is resumed
    may_change : names of the options that may have any other value then
    defaults : dict of defaults that replace the parser's, or None

    Yields
    ------
    args : Namespace of all options
    run : Run
    """
    if sys.stdout is not None:
        # The name of a folder may contain characters that cannot be printed.
        sys.stdout.reconfigure(errors="backslashreplace")
    new = {action.dest: action.default for action in parser._actions if action.dest != "help"}
    new |= (defaults or {}) | given
    with Interruption(is_programs=True) as interruption:
        try:
            if "resume" not in given:
                make_folder(new["output"])
            # Locked before the checkpoint is read: another run may be about to write it.
            with only_writer(new["resume"] or new["output"]):
                with one_line_errors(ValueError, TypeError):
                    args, found = argparse.Namespace(**new), None
                    if args.resume is None:
                        refuse_unfinished(args.output)
                    else:
                        interruption.last_words = lambda: how_to_go_on(
                            args.output, "before it went on"
                        )
                        found = load_checkpoint(args.resume)
                        args = resumed(parser, given, found[1], program, may_grow, may_change)
                args.dataset = found_from_elsewhere(args.dataset)
                run = Run(
                    program, args.output, settings_of(args), args.checkpoint_every, interruption,
                    found,
                )  # fmt: skip
                interruption.last_words = lambda: how_to_go_on(
                    args.output, f"after update {run.n_updates}"
                )
                with closing(run):
                    yield args, run
        except BrokenPipeError:
            # Nobody reads the output any longer.
            os.kill(os.getpid(), signal.SIGTERM)


def found_from_elsewhere(dataset):
    """The name of a data set that is also right if the run is resumed from another folder."""
    if dataset in ("", "digits", "mnist") or not Path(dataset).exists():
        return dataset
    return str(Path(dataset).absolute())


def refuse_unfinished(folder):
    """Raise ValueError if the folder has an unfinished run, which a new one would overwrite."""
    if not (folder / FILE).exists():
        return
    mend = f"delete its {FILE}, or take another --output"
    try:
        _, state = load_checkpoint(folder)
    except (OSError, ValueError) as error:
        raise ValueError(f"{error}; {mend}") from None
    if not state["finished"]:
        raise ValueError(
            f"{folder}: there is an unfinished run of {state['program']} in this folder, of "
            f"{state['n_updates']} updates so far; go on with it (--resume), {mend}"
        )


def resumed(parser, given, state, program, may_grow, may_change):
    """All options of a resumed run; raises if one of those given would change its results."""
    folder, settings = given["resume"], state["settings"]
    if state["program"] != program:
        raise ValueError(f"{folder}: a run of {state['program']}; resume it with that")
    args = parser.parse_args([])
    if set(settings) != set(settings_of(args)):
        raise ValueError(f"{folder / FILE}: its settings are not those of this program")
    # Parsed again, since the parser knows the type of each setting.
    before = parser.parse_args(as_arguments(settings))
    for name, now in given.items():
        if name in ELSEWHERE or name in may_change:
            continue
        was = getattr(before, name)
        if now != was and not (name == may_grow and now > was):
            raise ValueError(
                f"{option(name)}: the run in {folder} has {was}, not {now}; resume it with its own "
                f"settings (more {option(may_grow)} are allowed), or start another run"
            )
    output = given.get("output", folder)
    if output.resolve() != folder.resolve():
        raise ValueError(f"--output: a run is resumed in its own folder, not in {output}")
    return argparse.Namespace(**vars(before) | given | {"output": folder})


def as_arguments(settings):
    """A command line with these settings: a list of texts."""
    arguments = []
    for name, value in settings.items():
        if isinstance(value, list):
            arguments += [option(name), *map(str, value)]
        elif value is not None:
            arguments.append(f"{option(name)}={value}")
    return arguments


def how_to_go_on(output, when):
    """The last words of a run that is stopped: the command that resumes it."""
    program = sys.argv[0]
    if not program.startswith(COMMAND):
        program = f"python {shlex.quote(program)}"
    return f"... stopped {when}; go on with: {program} --resume {shlex.quote(str(output))}"
