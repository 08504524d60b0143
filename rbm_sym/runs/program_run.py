"""The run that a program's command line asks for: a new one, or one that is resumed."""

import argparse
import os
import shlex
import signal
import sys
from contextlib import closing, contextmanager
from pathlib import Path

from rbm_sym.internal.files import make_folder, only_writer
from rbm_sym.runs.checkpoints import FILE, load_checkpoint
from rbm_sym.runs.interruption import Interruption
from rbm_sym.runs.options import option
from rbm_sym.runs.run import Run
from rbm_sym.runs.terminal import one_line_errors

# Options that do not change the results of a run, only where and when they are written.
NO_SETTINGS = ("output", "resume", "checkpoint_every")
# How sys.argv[0] begins if a program was started by the command and not by its file.
COMMAND = "rbm-sym "


def options_given(parser, arguments=None):
    """The options that a command line has, without defaults: {name: value}."""
    absent = object()
    # argparse sets a default only where there is no value yet.
    namespace = argparse.Namespace(**dict.fromkeys(vars(parser.parse_args([])), absent))
    parser.parse_args(arguments, namespace)
    return {name: value for name, value in vars(namespace).items() if value is not absent}


def settings_of(args):
    """The options that decide the results, as a dict that JSON can hold."""
    return {name: value for name, value in vars(args).items() if name not in NO_SETTINGS}


@contextmanager
def open_program_run(program, parser, given, may_grow, may_change=("dataset",), defaults=None):
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
    new = vars(parser.parse_args([])) | (defaults or {}) | given
    with Interruption(is_whole_program=True) as interruption:
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
                        interruption.last_words = lambda: how_to_resume(
                            args.output, "before it went on"
                        )
                        found = load_checkpoint(args.resume)
                        args = resumed(parser, given, found[1], program, may_grow, may_change)
                args.dataset = with_absolute_path(args.dataset)
                run = Run(
                    program, args.output, settings_of(args), args.checkpoint_every, interruption,
                    found,
                )  # fmt: skip
                interruption.last_words = lambda: last_words(run)
                with closing(run):
                    yield args, run
        except BrokenPipeError:
            # Nobody reads the output any longer.
            os.kill(os.getpid(), signal.SIGTERM)


def with_absolute_path(dataset):
    """The name of a data set, valid too where the run is resumed from another folder."""
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
        if name in NO_SETTINGS or name in may_change:
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


def last_words(run):
    """The last words of a run that is open, and stopped."""
    if run.is_restored:
        return how_to_resume(run.folder, f"after update {run.n_updates}")
    if run.settings_before is None:
        return "... stopped before training began"
    return how_to_resume(run.folder, "before it went on")


def how_to_resume(output, when):
    """The last words of a run that is stopped: the command that resumes it."""
    program = sys.argv[0]
    if not program.startswith(COMMAND):
        program = f"python {shlex.quote(program)}"
    return f"... stopped {when}; go on with: {program} --resume {shlex.quote(str(output))}"
