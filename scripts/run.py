"""A training run that is saved as it goes, and that goes on however it was ended."""

import os
import shlex
import signal
import sys
import time
from functools import partial
from pathlib import Path

from command_line import make_folder, one_line_errors, progress_bar, settings_of, some_path
from interruption import Interruption
from progress import FILE, changed_versions, checkpoint_times, load_checkpoint
from rbm_sym.files import only_writer, remove_unfinished
from rbm_sym.training import check_finite, compile_now, run_epoch
from sample_rbm import compile_chain, plot_sample

import rbm_sym


def run_program(program, parser, run_class):
    """What a training program does, whoever interrupts it."""
    if sys.stdout is not None:
        # A folder's name need not be one that can be printed.
        sys.stdout.reconfigure(errors="backslashreplace")
    given = parser.parse_args()
    with Interruption() as interruption:
        try:
            see_through(program, parser, given, run_class, interruption)
        except BrokenPipeError:
            # Nobody reads any more what is printed.
            os.kill(os.getpid(), signal.SIGTERM)


def see_through(program, parser, given, run_class, interruption):
    """Begin or resume the run that the options name, and do all that is left of it."""
    if given.resume is None:
        make_folder(given.output)
    # Before the checkpoint is read: another run may be about to write it.
    with only_writer(given.resume or given.output):
        with one_line_errors(program, ValueError, TypeError):
            if given.resume is None:
                run = begin(parser, given, run_class)
            else:
                interruption.last_words = partial(how_to_go_on, given.resume, "before it went on")
                run = resume(parser, given, program, run_class)
            if run.progress.finished:
                print("... this run is finished")
                return
            interruption.last_words = run.how_to_go_on
            run.build()
        run.go_on(interruption)


def add_run_options(parser, run_class):
    """The options on checkpoints."""
    parser.add_argument(
        "--checkpoint-every", type=checkpoint_times, default="1min,10epochs", metavar="TIMES",
        help="how often the state of the run is saved, in minutes, epochs, or both",
    )  # fmt: skip
    parser.add_argument(
        "--resume", type=some_path, metavar="OUTPUT",
        help="go on with the run in this folder, with its own settings; more "
        f"{option(run_class.may_grow)} are allowed, and its data may have moved (--dataset)",
    )  # fmt: skip


def option(name):
    return f"--{name.replace('_', '-')}"


def begin(parser, given, run_class):
    """A new run."""
    if (given.output / FILE).exists():
        refuse_unfinished(given.output)
    run = run_class(run_class.with_defaults(parser, given))
    # Before anything that takes time, so that it can be resumed from its first moment on.
    run.progress.save()
    return run


def refuse_unfinished(folder):
    """Raise ValueError if the folder holds a run that a new one would overwrite in its midst."""
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


def resume(parser, given, program, run_class):
    """The run in the folder `given.resume`, as far as its checkpoint knows."""
    arrays, state = load_checkpoint(given.resume)
    if state["program"] != program:
        raise ValueError(f"{given.resume}: a run of {state['program']}; resume it with that")
    run = run_class(resumed_arguments(parser, given, state["settings"], run_class))
    run.progress.restore(arrays, state)
    run.check_progress()
    print(f"... resuming after update {run.progress.n_updates}")
    if changes := changed_versions(state["versions"]):
        print(f"... other versions may round otherwise: {changes}")
    return run


def resumed_arguments(parser, given, settings, run_class):
    """The options of the run with these settings; those given must not change its results."""
    if set(settings) != set(settings_of(given)):
        raise ValueError(f"{given.resume / FILE}: its settings are not those of this program")
    parser.set_defaults(output=None)
    options = []
    for name, value in settings.items():
        if isinstance(value, list):
            options += [option(name), *map(str, value)]
        elif value is not None:
            options.append(f"{option(name)}={value}")
    before = parser.parse_args(options)
    args = parser.parse_args([*options, *sys.argv[1:]])
    for name in settings:
        was, now = getattr(before, name), getattr(args, name)
        if now == was or name in run_class.may_change:
            continue
        if name == run_class.may_grow and now > was:
            run_class.check_growth(before, args)
            continue
        raise ValueError(
            f"{option(name)}: the run in {given.resume} has {was}, not {now}; resume it with its "
            f"own settings (more {option(run_class.may_grow)} are allowed), or start another run"
        )
    if args.output is not None and args.output.resolve() != given.resume.resolve():
        raise ValueError(f"--output: a run is resumed in its own folder, not in {args.output}")
    args.output = given.resume
    return args


def load_datasets(args):
    """The data that the option names, where a run that is resumed from elsewhere finds them too."""
    if args.dataset not in ("", "digits", "mnist") and Path(args.dataset).exists():
        args.dataset = str(Path(args.dataset).absolute())
    return rbm_sym.load_data(args.dataset)


def how_to_go_on(output, when):
    program, folder = (shlex.quote(str(text)) for text in (sys.argv[0], output))
    return f"... stopped {when}; go on with: python {program} --resume {folder}"


class Run:
    """A training run: the model, its graphs, and what has been done.

    What is trained and how, a program's own class says: the attributes below, and the methods
    `work` and `write_curve`.

    Attributes
    ----------
    args : the options
    progress : Progress, to whom `build` attaches its shared variables at the latest
    params : list of shared variables, which must stay finite
    sampling : dict, the arguments of `pytensor.function` for a row of samples; of `build`
    steps : shared integer, the Gibbs steps from row to row
    interruption : Interruption, while the run goes on
    """

    # The option that may be larger when a run is resumed.
    may_grow = "epochs"
    # Options that change no number of a run; that the data are the same is seen by their checksum.
    may_change = ("dataset",)
    # What a run leaves.
    results = "pictures, training curve and parameters"

    @staticmethod
    def with_defaults(parser, given):
        """The options of a new run."""
        return given

    @staticmethod
    def check_growth(before, args):
        """Raise ValueError if this run cannot be made longer."""

    def check_progress(self):
        """Raise ValueError if what was restored is not of a run of this kind."""

    def build(self):
        """Make the graphs, where that takes time."""

    def go_on(self, interruption):
        """Do all that is left to do."""
        self.interruption = interruption
        remove_unfinished(self.args.output)
        self.work()
        self.progress.finished = True
        self.progress.save()
        print(f"... {self.results} are in {self.args.output}")

    def how_to_go_on(self):
        return how_to_go_on(self.args.output, f"after update {self.progress.n_updates}")

    def make_updates(self, update, title, begin, n_updates):
        """Make what is left of the run's updates from `begin` on, `n_updates` in all.

        Parameters
        ----------
        update : function from an update's index, 0 to n_updates - 1, to its cost
        title : str, what is trained

        Raises
        ------
        FloatingPointError
            if training has diverged; the last checkpoint stays
        """
        end = begin + n_updates
        number, before = 0, time.perf_counter()

        def numbered_update(index):
            nonlocal number
            number = begin + index + 1
            return update(index)

        first = self.progress.n_updates - begin
        with progress_bar(title, n_updates, first=first) as show:

            def after_update(cost):
                nonlocal before
                now = time.perf_counter()
                self.progress.count_update(now - before)
                before = now
                if show is not None:
                    show(cost)
                # After the last one, there is output to be made first.
                if self.progress.n_updates < end:
                    self.pause()

            try:
                run_epoch(
                    numbered_update, n_updates, after_update, watched=self.params,
                    costs=self.progress.costs[begin:end], first=first,
                )  # fmt: skip
            except FloatingPointError as error:
                raise FloatingPointError(
                    f"{title}, update {number}: {error}; {self.progress.path} is from before that"
                ) from None

    def pause(self):
        """Between two steps: save the run if it is time, and stop if that was asked for."""
        if self.interruption.asked or self.progress.is_due():
            self.save()
        if self.interruption.asked:
            self.interruption.end()

    def save(self):
        """Write the checkpoint, and the costs so far.

        Raises
        ------
        FloatingPointError
            if training has diverged; the last checkpoint stays
        """
        check_finite(self.params)
        self.progress.save()
        self.write_curve()

    def sample(self):
        """Draw the rows of samples that are left, and write their picture."""
        args, progress, say = self.args, self.progress, self.interruption.say
        if progress.n_rows < args.n_samples:
            sample, steps = compile_chain(self.sampling, say), self.steps.get_value()
            self.steps.set_value(1)
            compile_now(sample, self.sampling["updates"], arguments=())
            self.steps.set_value(steps)
            with self.interruption.postponed():
                for row in range(progress.n_rows, args.n_samples):
                    plot_sample(sample, progress.picture, row, say)
                    progress.n_rows += 1
                    self.pause()
                self.save()
        rbm_sym.save_picture(progress.picture, args.output / "samples.png")
