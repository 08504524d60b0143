"""A training run that is saved as it goes, and that can be resumed whatever ended it.

The training program writes the loop itself:

    with open_run("plots", settings) as run:
        run.restore(updates, epochs(15, n_batches))
        for epoch in run.stages():
            for index in run.updates(epoch):
                run.record(train(index))
            run.say(f"{epoch}: {run.costs_of(epoch).mean():.2f}")
        run.finish()

`updates` is the update dictionary of the training function. Its keys, among them the random
streams, are all that training changes. Their values are saved with the number of updates made, so
that a run that was killed and resumed ends with the same bits.
"""

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from pytensor.compile.sharedvalue import SharedVariable

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
from rbm_sym.runs.samples import Samples
from rbm_sym.runs.stages import Stage
from rbm_sym.runs.terminal import progress_bar
from rbm_sym.runs.versions import changed_versions, versions

UPDATES_BETWEEN_LOOKS = 100
DIVERGED = "training has diverged; take a smaller learning rate"


@contextmanager
def open_run(
    folder: str | Path,
    settings: dict[str, Any] | None = None,
    checkpoint_every: CheckpointTimes = CheckpointTimes(),  # noqa: B008 (immutable)
) -> Iterator["Run"]:
    """Begin a run in a folder, or resume the one that is there.

    While the run is open, no other process can open it. Ctrl-C and similar signals end the program
    when the present update has been made and saved.

    Parameters
    ----------
    folder : str or path; it is made if it does not exist
    settings : dict that JSON can hold, of all that decides the results, or None
        A run can be resumed only with its own settings.
    checkpoint_every : CheckpointTimes

    Yields
    ------
    Run

    Raises
    ------
    OSError
        if the folder cannot be written, or another process has locked it
    ValueError
        if the folder has a run with other settings or of another program, or its checkpoint is
        damaged

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
    # As JSON will return it, with lists in place of tuples.
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
    """Raise ValueError unless a checkpoint is of this program and has these settings."""
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
    settings_before : dict, the settings in the checkpoint; None for a new run
    plan : list of Stage, all stages of the run
    n_updates : int, updates made so far
    costs : (all updates,) float64, NaN for updates not yet made
    records : {name: (stages,) float64}, further numbers about stages, NaN where there is none
    samples : Samples, or None
    seconds : float, the time spent in training
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

    def __init__(
        self,
        program: str,
        folder: Path,
        settings: dict[str, Any],
        checkpoint_every: CheckpointTimes,
        interruption: Interruption,
        found: tuple[dict[str, np.ndarray], dict[str, Any]] | None = None,
    ) -> None:
        self.program, self.folder, self.settings = program, folder, settings
        self.interruption, self._found = interruption, found
        self.settings_before = found[1]["settings"] if found else None
        self._every = checkpoint_every
        self._saved_at, self._epochs_since = time.monotonic(), 0
        self.n_updates, self.seconds, self.finished = 0, 0.0, False
        self._bar = ExitStack()
        self._stage: Stage | None = None

    @property
    def path(self) -> Path:
        """The path of the checkpoint."""
        return self.folder / FILE

    # --- The plan of the run, and its state ---

    def restore(
        self,
        training: Iterable[SharedVariable],
        stages: Iterable[Stage],
        data: str = "",
        sampling: Iterable[SharedVariable] = (),
        samples: Samples | None = None,
        samples_after: int | None = None,
        records: dict[str, np.ndarray | None] | None = None,
        curve: Any = None,
    ) -> None:
        """Set the plan of the run, and restore its state from the checkpoint if there is one.

        To be called once, when all graphs are made. A new run is saved for the first time.

        Parameters
        ----------
        training : iterable of shared variables, such as an update dictionary: all that training
            changes
        stages : list of Stage, in order, as from `epochs`; a resumed run may have more
        data : str that identifies the data, such as their `rbm_sym.checkpoint.checksum`
        sampling : iterable of shared variables: all that the drawing of samples changes
        samples : Samples, or None
        samples_after : int, the number of updates after which samples are drawn; None for all
        records : {name: stages that have this record}, or None
            The stages are an array of bool (stages,), or None if they are not known beforehand.
        curve : object with a method `write(run)`, called with each checkpoint; None takes a
            TrainingCurve in training_curve.csv

        Raises
        ------
        ValueError
            if the checkpoint does not fit; nothing has been changed then
        """
        self.plan, self._data = list(stages), data
        self._variables = {"training": list(training), "sampling": list(sampling)}
        # Filled, so that the memory is taken now and not bit by bit.
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
            # The file may be older than the checkpoint.
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
        # If more updates now come before them, the samples are drawn anew, from another model.
        if self.samples and state["updates_before_samples"] == self._samples_after:
            if "picture" not in arrays:
                raise ValueError(f"{self.path}: 'picture' is missing")
            check_like("picture", arrays["picture"], self.samples.picture)
            values["sampling"] = arrays_below("sampling", arrays)
        # A checkpoint from before the variables were made: they keep their initial values.
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

    def stages(self, phase: str | None = None) -> Iterator[Stage]:
        """Go through the stages that are left, or through those of one phase.

        During this loop, signals wait until the present update has been made and saved.
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

    def updates(self, stage: Stage) -> Iterator[int]:
        """Go through the indices of the updates left in a stage, up to `stage.n_updates` - 1.

        Call `record` with the cost of each update before the next one.

        Raises
        ------
        RuntimeError
            if `record` was not called
        """
        first = self.n_updates - stage.begin
        # If an update fails, this generator is not ended, and `close` removes the bar.
        with self._bar as bar:
            show = bar.enter_context(progress_bar(str(stage), stage.n_updates, first=first))
            self._began, self._stage = time.perf_counter(), stage
            for index in range(first, stage.n_updates):
                yield index
                if self.n_updates != stage.begin + index + 1:
                    raise RuntimeError("run: record(cost) was not called after an update")
                if show is not None:
                    show(self.costs[self.n_updates - 1])
                # After the last update of a stage, the program first writes its output.
                if self.n_updates < stage.end:
                    self._pause()

    def record(self, cost: float | np.ndarray) -> None:
        """Note the monitoring cost of an update that has been made.

        Raises
        ------
        FloatingPointError
            if training has diverged: the cost or a variable is infinite or undefined. Variables are
            checked at every hundredth update of a stage and at its last one. The last checkpoint
            stays.
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

    def rows(self) -> Iterator[int]:
        """Go through the rows of samples that are left to draw; signals wait as in `stages`."""
        if self.samples.n_drawn == self.samples.n_rows:
            return
        with self.interruption.postponed():
            for row in range(self.samples.n_drawn, self.samples.n_rows):
                yield row
                self._pause()
            self.save()

    def say(self, *words: object) -> None:
        """Print a line. If it cannot be written, the run is saved and ended at the next step."""
        self.interruption.say(*words)

    def postponed(self) -> AbstractContextManager[None]:
        """A context in which signals wait, to write files that belong together."""
        return self.interruption.postponed()

    # --- Stages and costs ---

    def stages_ended(self) -> list[Stage]:
        """The stages that have ended, in order."""
        return [stage for stage in self.plan if stage.end <= self.n_updates]

    def stages_left(self, phase: str | None = None) -> list[Stage]:
        """The stages that have not ended, in order; all, or those of one phase."""
        left = self.plan[len(self.stages_ended()) :]
        return [stage for stage in left if phase in (None, stage.phase)]

    def costs_of(self, stage: Stage) -> np.ndarray:
        """The costs of a stage, (n_updates,) float64."""
        return self.costs[stage.begin : stage.end]

    # --- Saving ---

    def save(self) -> None:
        """Write the checkpoint and the curve.

        Raises
        ------
        FloatingPointError
            if training has diverged; the last checkpoint stays
        """
        check_finite(self._variables["training"])
        self.save_checkpoint()
        self.curve.write(self)

    def save_checkpoint(self) -> None:
        """Write the checkpoint; the old one stays until the new one is complete on the disk."""
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

    def finish(self, what: str = "training curve and checkpoint") -> None:
        """Note in the checkpoint that the run is finished, and print where its files are."""
        # A loop over stages that was left by `break` has not looked for signals.
        self.interruption.end_if_asked()
        self.finished = True
        self.save_checkpoint()
        print(f"... {what} are in {self.folder}")

    def close(self) -> None:
        """Remove a progress bar that is still on the terminal."""
        self._bar.close()

    def _pause(self):
        """Between two steps: save the run if it is time, and end if a signal has come."""
        if self.interruption.asked or self._is_due():
            self.save()
        self.interruption.end_if_asked()

    def _is_due(self):
        by_epochs = self._every.epochs is not None and self._epochs_since >= self._every.epochs
        minutes = (time.monotonic() - self._saved_at) / 60
        return by_epochs or (self._every.minutes is not None and minutes >= self._every.minutes)


def check_finite(variables: Iterable[SharedVariable]) -> None:
    """Raise unless all numbers in shared variables are finite.

    Raises
    ------
    FloatingPointError
        with the name of the first variable that has an infinite or undefined number

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


def compile_now(
    function: Callable,
    updates: Iterable[SharedVariable],
    arguments: Sequence = (0,),
    meanwhile: Mapping[SharedVariable, Any] | tuple[()] = (),
) -> None:
    """Call a compiled function once, and undo its effect.

    PyTensor makes a function's machine code at its first call. If that call is made here, it does
    not count as training, and a signal during it ends the program at once.

    Parameters
    ----------
    function : compiled function
    updates : iterable of all shared variables that `function` changes, such as an update dictionary
    arguments : sequence, the arguments of the call; by default the index of the first minibatch
    meanwhile : dict from other shared variables to their values during the call, such as fewer
        steps of a chain

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
