"""A training run that is saved as it goes, and that goes on however it was ended.

The whole of it is one loop that the training program writes itself:

    with open_run("plots", settings) as run:
        run.restore(updates, epochs(15, n_batches))
        for epoch in run.stages():
            for index in run.updates(epoch):
                run.record(train(index))
            run.say(f"{epoch}: {run.costs_of(epoch).mean():.2f}")
        run.finish()

`updates` is the update dictionary of the training function: its keys, with the random streams among
them, are all that training changes. Their values are saved with the number of updates made, so that
a run which was killed goes on to the same bits.
"""

import json
import sys
import time
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import numpy as np

from rbm_sym.checkpoint import check_like, check_values, save_arrays, set_values, values_of
from rbm_sym.internal.files import make_folder, only_writer, remove_unfinished
from rbm_sym.runs.checkpoints import (
    FILE,
    FORMAT,
    CheckpointTimes,
    arrays_below,
    known,
    load_checkpoint,
)
from rbm_sym.runs.curve import TrainingCurve
from rbm_sym.runs.interruption import Interruption
from rbm_sym.runs.terminal import progress_bar
from rbm_sym.runs.versions import changed_versions, versions

UPDATES_BETWEEN_LOOKS = 100
DIVERGED = "training has diverged; take a smaller learning rate"


@contextmanager
def open_run(folder, settings=None, checkpoint_every=CheckpointTimes()):  # noqa: B008 (immutable)
    """Begin a run in a folder, or go on with the one that is there.

    While it is open, no other process can. Ctrl-C and the like end the program once the update that
    is being made has been saved.

    Parameters
    ----------
    folder : str or path; it is made if need be
    settings : dict that JSON can hold, of all that decides the results, or None
        A run goes on with its own settings only.
    checkpoint_every : CheckpointTimes

    Yields
    ------
    Run

    Raises
    ------
    OSError
        if the folder cannot be written, or another process holds it
    ValueError
        if there is a run of other settings or of another program, or its checkpoint is damaged

    Examples
    --------
    Each call of `train` takes a tenth off w. The run is saved in the folder `plots`, and the same
    program goes on with it if it was ended:

    >>> import pytensor
    >>> from rbm_sym.runs import epochs, open_run
    >>> w = pytensor.shared(8.0, name="w")
    >>> updates = {w: 0.9 * w}
    >>> train = pytensor.function([], w, updates=updates)
    >>> with open_run("plots", settings={"rate": 0.1}) as run:
    ...     run.restore(updates, epochs(2, 10))
    ...     for epoch in run.stages():
    ...         for index in run.updates(epoch):
    ...             run.record(train())
    ...         run.say(f"{epoch}: {run.costs_of(epoch).mean():.2f}")
    ...     run.finish()
    epoch 0: 5.21
    epoch 1: 1.82
    ... training curve and checkpoint are in plots
    """
    # As JSON gives it back: lists for tuples.
    folder, settings = make_folder(folder), json.loads(json.dumps(settings or {}))
    with Interruption() as interruption, only_writer(folder):
        program, found = Path(sys.argv[0]).name, None
        if (folder / FILE).exists():
            found = load_checkpoint(folder)
            check_same_run(folder, found[1], program, settings)
        with closing(Run(program, folder, settings, checkpoint_every, interruption, found)) as run:
            interruption.last_words = lambda: (
                f"... stopped after update {run.n_updates}; run the program again to go on"
            )
            yield run


def check_same_run(folder, state, program, settings):
    """Raise ValueError unless a checkpoint's run is of this program and these settings."""
    if state["program"] != program:
        raise ValueError(f"{folder}: a run of {state['program']}; resume it with that")
    before = state["settings"]
    for name in sorted(before.keys() | settings.keys()):
        if before.get(name) != settings.get(name):
            raise ValueError(
                f"settings[{name!r}]: the run in {folder} has {before.get(name)!r}, not "
                f"{settings.get(name)!r}; take its own settings, or another folder"
            )


class Run:
    """A training run in a folder. `open_run` makes it.

    Attributes
    ----------
    folder : path
    settings : dict
    settings_before : dict, those of the checkpoint; None where there was none
    plan : list of Stage, all that the run consists of
    n_updates : int, updates made
    costs : (updates in all,) float64, NaN for those to come
    records : {name: (stages,) float64} of what else is known of stages, NaN for what is not
    samples : Samples, or None
    seconds : float, spent in training
    finished : bool

    Examples
    --------
    >>> import pytensor
    >>> from rbm_sym.runs import Run, epochs, open_run
    >>> w = pytensor.shared(8.0, name="w")
    >>> with open_run("plots") as run:
    ...     assert isinstance(run, Run)
    ...     run.restore([w], epochs(3, 2))
    ...     for epoch in run.stages():
    ...         for index in run.updates(epoch):
    ...             run.record(cost=-index)
    >>> run.n_updates, run.costs
    (6, array([ 0., -1.,  0., -1.,  0., -1.]))
    """

    def __init__(self, program, folder, settings, checkpoint_every, interruption, found=None):
        self.program, self.folder, self.settings = program, folder, settings
        self.interruption, self._found = interruption, found
        self.settings_before = found[1]["settings"] if found else None
        self._every = checkpoint_every
        self._saved_at, self._epochs_since = time.monotonic(), 0
        self.n_updates, self.seconds, self.finished = 0, 0.0, False
        self._bar, self._stage = ExitStack(), None

    @property
    def path(self):
        """Where the checkpoint is."""
        return self.folder / FILE

    # --- What the run consists of ---

    def restore(
        self, training, stages, data="", sampling=(), samples=None, samples_after=None,
        records=None, curve=None,
    ):  # fmt: skip
        """Say what the run consists of, and take over what has been done of it.

        To be called once, when all graphs are made. A new run is saved for the first time.

        Parameters
        ----------
        training : iterable of shared variables, such as an update dictionary: all that training
            changes
        stages : list of Stage, in order, as from `epochs`; a resumed run may have more
        data : str that tells the data from others, as `rbm_sym.checkpoint.checksum` does
        sampling, samples : shared variables that the drawing of samples changes, and Samples
        samples_after : int, the updates after which they are drawn; None for all
        records : {name: in which stages}, of what is noted at their ends: an array of bool
            (stages,), or None where that is not known beforehand
        curve : object with a method `write(run)`, called where a checkpoint is written; None takes
            a TrainingCurve in training_curve.csv

        Raises
        ------
        ValueError
            if the checkpoint does not fit; then nothing has been changed
        """
        self.plan, self._data = list(stages), data
        self._variables = {"training": list(training), "sampling": list(sampling)}
        # Written to, so that the memory is taken now and not little by little.
        self.costs = np.full(sum(stage.n_updates for stage in self.plan), np.nan)
        self._recorded_in = records or {}
        self.records = {name: np.full(len(self.plan), np.nan) for name in self._recorded_in}
        self.samples = samples
        self._samples_after = len(self.costs) if samples_after is None else samples_after
        self.curve = curve or TrainingCurve(self.folder / "training_curve.csv")
        if self._found is None:
            self.save_checkpoint()
        else:
            arrays, state = self._found
            self._take_over(arrays, state)
            self._found = None
            print(f"... resuming after update {self.n_updates}")
            if changes := changed_versions(state["versions"]):
                print(f"... other versions may round otherwise: {changes}")
        if not self.finished:
            remove_unfinished(self.folder)
            # It may be older than the checkpoint.
            self.curve.write(self)

    def _take_over(self, arrays, state):
        if state["data"] != self._data:
            raise ValueError(
                f"--dataset: {self.settings.get('dataset', 'this')} is not the data of this run "
                "any more; resume with the data that it began with, or start another run"
            )
        n_updates, n_drawn = state["n_updates"], state["n_rows"]
        n_rows = self.samples.n_rows if self.samples else 0
        if not 0 <= n_updates <= len(self.costs) or not 0 <= n_drawn <= n_rows:
            raise ValueError(
                f"{self.path}: {n_updates} updates and {n_drawn} rows of samples are not of a run "
                f"with {len(self.costs)} and {n_rows}"
            )
        check_like("costs", arrays["costs"], self.costs[:n_updates])
        records = arrays_below("records", arrays)
        self._check_records(records, n_updates)
        values = {"training": arrays_below("training", arrays)}
        # With more updates before them, samples are drawn anew, from another model.
        if self.samples and state["updates_before_samples"] == self._samples_after:
            if "picture" not in arrays:
                raise ValueError(f"{self.path}: 'picture' is missing")
            check_like("picture", arrays["picture"], self.samples.picture)
            values["sampling"] = arrays_below("sampling", arrays)
        # What was saved before there were any is what they have from the beginning.
        if not n_updates and not values["training"]:
            values = {}
        for name, found in values.items():
            check_values(self._variables[name], found)

        for name, found in values.items():
            set_values(self._variables[name], found)
        if "sampling" in values:
            self.samples.n_drawn = n_drawn
            self.samples.picture[:] = arrays["picture"]
        self.n_updates, self.seconds = n_updates, state["seconds"]
        self.costs[:n_updates] = arrays["costs"]
        for name, found in records.items():
            self.records[name][: len(found)] = found
        self.finished = state["finished"] and state["n_updates_in_all"] == len(self.costs)

    def _check_records(self, records, n_updates):
        if list(records) != list(self.records):
            raise ValueError(f"{self.path}: records are {[*records]}, not {[*self.records]}")
        ended = np.array([stage.end <= n_updates for stage in self.plan])
        for name, in_stages in self._recorded_in.items():
            check_like(name, records[name], self.records[name][: records[name].size])
            found = np.zeros(len(self.plan), bool)
            found[: records[name].size] = np.isfinite(records[name])
            fits = (found <= ended) if in_stages is None else (found == (ended & in_stages))
            if not fits.all():
                raise ValueError(
                    f"{self.path}: {n_updates} updates do not fit the records of "
                    f"{found.sum()} stages: {name}"
                )

    # --- The loop ---

    def stages(self, phase=None):
        """The stages that are left, one after the other; of one phase only, if it is given.

        While it goes through them, signals wait until an update or a stage has been saved.
        """
        left = self.stages_left(phase)
        if not left:
            return
        with self.interruption.postponed():
            for stage in left:
                yield stage
                self._epochs_since += 1
                self._pause()
            self.save()

    def updates(self, stage):
        """The indices of a stage's updates that are left, up to `stage.n_updates` - 1.

        `record` the cost of each before the next one.

        Raises
        ------
        RuntimeError
            if that is forgotten
        """
        first = self.n_updates - stage.begin
        # If an update fails, this generator lives on, and `close` takes the bar away.
        with self._bar as bar:
            show = bar.enter_context(progress_bar(str(stage), stage.n_updates, first=first))
            self._began, self._stage = time.perf_counter(), stage
            for index in range(first, stage.n_updates):
                yield index
                if self.n_updates != stage.begin + index + 1:
                    raise RuntimeError("run: record(cost) was not called after an update")
                if show is not None:
                    show(self.costs[self.n_updates - 1])
                # After the last one, there is output to be made first.
                if self.n_updates < stage.end:
                    self._pause()

    def record(self, cost):
        """Note the monitoring cost of an update that has been made.

        Raises
        ------
        FloatingPointError
            if training has diverged: the cost, or at every hundredth update and the last one of a
            stage a variable, is infinite or undefined; the last checkpoint stays
        """
        stage, index = self._stage, self.n_updates - self._stage.begin
        try:
            if not np.isfinite(cost):
                raise FloatingPointError(f"the cost of minibatch {index} is {cost}: {DIVERGED}")
            if (index + 1) % UPDATES_BETWEEN_LOOKS == 0 or index + 1 == stage.n_updates:
                check_finite(self._variables["training"])
        except FloatingPointError as error:
            raise FloatingPointError(
                f"{stage}, update {self.n_updates + 1}: {error}; {self.path} is from before that"
            ) from None
        self.costs[self.n_updates] = cost
        self.n_updates += 1
        now = time.perf_counter()
        self.seconds += now - self._began
        self._began = now

    def rows(self):
        """The rows of samples that are left to be drawn; signals wait as in `stages`."""
        if self.samples.n_drawn == self.samples.n_rows:
            return
        with self.interruption.postponed():
            for row in range(self.samples.n_drawn, self.samples.n_rows):
                yield row
                self._pause()
            self.save()

    def say(self, *words):
        """Print a line; if nobody reads any more, save and end."""
        self.interruption.say(*words)

    def postponed(self):
        """A context in which signals wait, for files that belong together."""
        return self.interruption.postponed()

    # --- What is known ---

    def stages_ended(self):
        """The stages that have ended, in order."""
        return [stage for stage in self.plan if stage.end <= self.n_updates]

    def stages_left(self, phase=None):
        """The other ones, in order; of one phase only, if it is given."""
        left = self.plan[len(self.stages_ended()) :]
        return [stage for stage in left if phase in (None, stage.phase)]

    def costs_of(self, stage):
        """The costs of a stage, (n_updates,) float64."""
        return self.costs[stage.begin : stage.end]

    # --- Saving ---

    def save(self):
        """Write the checkpoint, and the curve.

        Raises
        ------
        FloatingPointError
            if training has diverged; the last checkpoint stays
        """
        check_finite(self._variables["training"])
        self.save_checkpoint()
        self.curve.write(self)

    def save_checkpoint(self):
        """Write the checkpoint; the one before stays until this one is whole on the disk."""
        arrays = {
            f"{kind}/{name}": array
            for kind, variables in self._variables.items()
            for name, array in values_of(variables).items()
        }
        arrays |= {f"records/{name}": known(array) for name, array in self.records.items()}
        arrays |= {"costs": self.costs[: self.n_updates]}
        if self.samples:
            arrays |= {"picture": self.samples.picture}
        state = {
            "format": FORMAT,
            "program": self.program,
            "versions": versions(),
            "settings": self.settings,
            "data": self._data,
            "n_updates": self.n_updates,
            "n_updates_in_all": len(self.costs),
            "updates_before_samples": self._samples_after,
            "seconds": self.seconds,
            "n_rows": self.samples.n_drawn if self.samples else 0,
            "finished": self.finished,
        }
        save_arrays(self.path, arrays, state)
        self._saved_at, self._epochs_since = time.monotonic(), 0

    def finish(self, what="training curve and checkpoint"):
        """Note that all has been done, and say where it is."""
        # A loop over stages that was left early has not looked.
        self.interruption.end_if_asked()
        self.finished = True
        self.save_checkpoint()
        print(f"... {what} are in {self.folder}")

    def close(self):
        """Take what is left of a progress bar off the terminal."""
        self._bar.close()

    def _pause(self):
        """Between two steps: save the run if it is time, and stop if that was asked for."""
        if self.interruption.asked or self._is_due():
            self.save()
        self.interruption.end_if_asked()

    def _is_due(self):
        by_epochs = self._every.epochs is not None and self._epochs_since >= self._every.epochs
        minutes = (time.monotonic() - self._saved_at) / 60
        return by_epochs or (self._every.minutes is not None and minutes >= self._every.minutes)


def check_finite(variables):
    """Raise unless all numbers in shared variables are finite.

    Raises
    ------
    FloatingPointError
        naming the first variable with an infinite or undefined number

    Examples
    --------
    >>> import numpy as np
    >>> import pytensor
    >>> from rbm_sym.runs import check_finite
    >>> check_finite([pytensor.shared(1.0, name="w")])
    >>> check_finite([pytensor.shared(np.inf, name="w")])
    Traceback (most recent call last):
        ...
    FloatingPointError: w holds infinite or undefined numbers: training has diverged; ...
    """
    for variable in variables:
        value = variable.get_value(borrow=True)
        if getattr(value, "dtype", np.dtype(int)).kind == "f" and not np.isfinite(value).all():
            raise FloatingPointError(
                f"{variable.name} holds infinite or undefined numbers: {DIVERGED}"
            )


def compile_now(function, updates, arguments=(0,), meanwhile=()):
    """Call a compiled function once and take its effect back.

    PyTensor turns a function into machine code at its first call. Made here, that call does not
    count as training, and a signal still ends the program at once.

    Parameters
    ----------
    function : compiled function
    updates : dict whose keys are all shared variables that `function` changes
    arguments : of the call; by default the first minibatch's index
    meanwhile : dict of values that other shared variables have during the call, such as fewer steps
        of a chain

    Examples
    --------
    >>> import pytensor
    >>> from rbm_sym.runs import compile_now
    >>> w = pytensor.shared(8.0, name="w")
    >>> updates = {w: 0.9 * w}
    >>> train = pytensor.function([], w, updates=updates)
    >>> compile_now(train, updates, arguments=())
    >>> float(w.get_value())
    8.0
    """
    meanwhile = dict(meanwhile)
    before = {variable: variable.get_value() for variable in [*updates, *meanwhile]}
    for variable, value in meanwhile.items():
        variable.set_value(value)
    function(*arguments)
    for variable, value in before.items():
        variable.set_value(value, borrow=True)
