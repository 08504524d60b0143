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
from collections.abc import Iterable, Iterator
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
from rbm_sym.runs.divergence import DIVERGED, check_finite
from rbm_sym.runs.interruption import Interruption
from rbm_sym.runs.samples import Samples
from rbm_sym.runs.stages import Stage
from rbm_sym.runs.terminal import progress_bar
from rbm_sym.runs.versions import changed_versions, versions

UPDATES_BETWEEN_LOOKS = 100


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
    if not isinstance(checkpoint_every, CheckpointTimes):
        raise TypeError(
            "checkpoint_every: CheckpointTimes are needed, such as CheckpointTimes.of('10min'), "
            f"not {checkpoint_every!r}"
        )
    folder, settings = make_folder(folder), as_json(settings)
    with Interruption() as interruption, only_writer(folder):
        program, found = Path(sys.argv[0]).name, None
        if (folder / FILE).exists():
            found = load_checkpoint(folder)
            check_same_run(folder, found[1], program, settings)
        with closing(Run(program, folder, settings, checkpoint_every, interruption, found)) as run:
            interruption.last_words = lambda: (
                f"... stopped after update {run.n_updates}; run the program again to go on"
                if run.is_restored
                else "... stopped before training began"
            )
            yield run


def as_json(settings):
    """The settings as JSON will return them, with lists in place of tuples."""
    if not isinstance(settings, dict | None):
        raise TypeError(f"settings: a dict is needed, not {settings!r}")
    for name, value in (settings or {}).items():
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError):
            raise TypeError(
                f"settings[{name!r}]: a value that JSON can hold is needed, not {value!r}"
            ) from None
    return json.loads(json.dumps(settings or {}))


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


def check_parts(training, stages, data, samples):
    """Raise TypeError unless these are what a run can save: the arguments of `restore`."""
    for variable in training:
        if not isinstance(variable, SharedVariable):
            raise TypeError(
                "training: shared variables are needed, such as the keys of an update dictionary, "
                f"not {variable!r}"
            )
    for stage in stages:
        if not isinstance(stage, Stage):
            raise TypeError(f"stages: a list as from epochs(15, 500) is needed, not {stage!r}")
    if not isinstance(data, str):
        raise TypeError(f"data: a text that identifies the data is needed, not {data!r}")
    if not isinstance(samples, Samples | None):
        raise TypeError(f"samples: Samples or None are needed, not {samples!r}")


class Run:
    """A training run in a folder. `open_run` makes it.

    Its life has five steps: open it, build all graphs, call `restore` once, loop over `stages` and
    `updates`, call `finish`. It is saved on the way.

    Attributes
    ----------
    folder : path
    settings : dict
    settings_before : dict, the settings in the checkpoint; None for a new run
    plan : list of Stage, all stages of the run; empty before `restore`
    n_updates : int, updates made so far
    costs : (all updates,) float64, NaN for updates not yet made
    records : {name: (stages,) float64}, further numbers about stages, NaN where there is none
    samples : Samples, or None
    seconds : float, the time spent in training
    finished : bool
    is_restored : bool, whether `restore` has been called
    curve : object with a method `write(run)`, called with each checkpoint
        At first it is a TrainingCurve in training_curve.csv. Set another one before `restore`.

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
        # The program may change its working folder.
        self._file = (folder / FILE).absolute()
        self.settings_before = found[1]["settings"] if found else None
        self.plan: list[Stage] = []
        self.n_updates, self.seconds, self.finished = 0, 0.0, False
        self.costs = np.empty(0)
        self.records: dict[str, np.ndarray] = {}
        self.samples: Samples | None = None
        self.curve: Any = TrainingCurve(folder / "training_curve.csv")
        self._interruption, self._found = interruption, found
        # What `restore` gets, beside the plan.
        self.is_restored, self._data = False, ""
        self._variables: dict[str, list[SharedVariable]] = {}
        self._recorded_in: dict[str, np.ndarray | None] = {}
        # The loop.
        self._stage: Stage | None = None
        self._due = 0  # the update that is being made, counted over the whole run
        self._began = 0.0
        self._bar = ExitStack()
        # Saving.
        self._every = checkpoint_every
        self._saved_at, self._epochs_since = time.monotonic(), 0

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
        samples: Samples | None = None,
        records: dict[str, np.ndarray | None] | None = None,
    ) -> None:
        """Set the plan of the run, and restore its state from the checkpoint if there is one.

        To be called once, when all graphs are made. A new run is saved for the first time.

        Parameters
        ----------
        training : iterable of shared variables, such as an update dictionary: all that training
            changes
        stages : list of Stage, in order, as from `epochs`; a resumed run may have more
        data : str that identifies the data, such as their `rbm_sym.checkpoint.checksum`
        samples : Samples, or None for a run that draws none
        records : {name: stages that have this record}, or None
            The stages are an array of bool (stages,), or None if they are not known beforehand.

        Raises
        ------
        ValueError
            if the checkpoint does not fit; nothing has been changed then
        RuntimeError
            if it was called before
        TypeError
            for arguments of other types
        """
        if self.is_restored:
            raise RuntimeError("run: restore was called before; call it once")
        training, stages = list(training), list(stages)
        check_parts(training, stages, data, samples)
        self.plan, self._data, self.samples = stages, data, samples
        self._variables = {
            "training": training,
            "sampling": samples.variables if samples else [],
        }
        # Filled, so that the memory is taken now and not bit by bit.
        self.costs = np.full(sum(stage.n_updates for stage in self.plan), np.nan)
        self._recorded_in = records or {}
        self.records = {name: np.full(len(self.plan), np.nan) for name in self._recorded_in}
        found = self._found
        if found:
            self._take_over(*found)
        self._found, self.is_restored = None, True
        if not found:
            self.save_checkpoint()
        else:
            _, state = found
            print(f"... resuming after update {self.n_updates}")
            if changes := changed_versions(state["versions"]):
                print(f"... other versions may round otherwise: {changes}")
        if not self.finished:
            remove_unfinished(self.folder)
            # The file may be older than the checkpoint.
            self.curve.write(self)

    def _take_over(self, arrays, state):
        values = self._values_that_fit(arrays, state)
        for kind, found in values.items():
            set_values(self._variables[kind], found)
        if "sampling" in values:
            self.samples.n_drawn = state["n_rows"]
            self.samples.picture[:] = arrays["picture"]
        self.n_updates, self.seconds = state["n_updates"], state["seconds"]
        self.costs[: self.n_updates] = arrays["costs"]
        for name, found in arrays_below("records", arrays).items():
            self.records[name][: len(found)] = found
        self.finished = state["finished"] and state["n_updates_in_all"] == len(self.costs)

    def _values_that_fit(self, arrays, state):
        """The values of variables in a checkpoint, when all of it has been checked.

        Returns
        -------
        {"training" or "sampling": {name: array}}
        """
        if state["data"] != self._data:
            # The settings of a program have its options.
            what = "data: this"
            if "dataset" in self.settings:
                what = f"--dataset: {self.settings['dataset']}"
            raise ValueError(
                f"{what} is not the data of this run any more; resume with the data that it began "
                "with, or start another run"
            )
        n_updates, n_drawn = state["n_updates"], state["n_rows"]
        n_rows = self.samples.n_rows if self.samples else 0
        if not 0 <= n_updates <= len(self.costs) or not 0 <= n_drawn <= n_rows:
            raise ValueError(
                f"{self.path}: {n_updates} updates and {n_drawn} rows of samples are not of a run "
                f"with {len(self.costs)} and {n_rows}"
            )
        check_like("costs", arrays["costs"], self.costs[:n_updates])
        self._check_records(arrays_below("records", arrays), n_updates)
        values = {"training": arrays_below("training", arrays)}
        # If more updates now come before them, the samples are drawn anew, from another model.
        if self.samples and state["updates_before_samples"] == self._updates_before_samples():
            if "picture" not in arrays:
                raise ValueError(f"{self.path}: 'picture' is missing")
            check_like("picture", arrays["picture"], self.samples.picture)
            values["sampling"] = arrays_below("sampling", arrays)
        # A checkpoint from before the variables were made: they keep their initial values.
        if not n_updates and not values["training"]:
            return {}
        for kind, found in values.items():
            check_values(self._variables[kind], found)
        return values

    def _updates_before_samples(self):
        if self.samples is None or self.samples.after is None:
            return len(self.costs)
        return self.samples.after

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
        with self._interruption.postponed():
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
            if `record` was not called, or if training is not in this stage
        """
        self._check_restored()
        if not stage.begin <= self.n_updates < stage.end:
            raise RuntimeError(
                f"run: {stage} has updates {stage.begin + 1} to {stage.end}, and {self.n_updates} "
                "have been made; go through all stages in order, and through each to its end"
            )
        first = self.n_updates - stage.begin
        # If an update fails, this generator is not ended, and `close` removes the bar.
        with self._bar as bar:
            show = bar.enter_context(progress_bar(str(stage), stage.n_updates, first=first))
            self._began, self._stage = time.perf_counter(), stage
            for index in range(first, stage.n_updates):
                self._due = stage.begin + index
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
        TypeError
            for anything but one number
        RuntimeError
            if it is called outside of the loop over `updates`, or twice in one update
        FloatingPointError
            if training has diverged: the cost or a variable is infinite or undefined. Variables are
            checked at every hundredth update of a stage and at its last one. The last checkpoint
            stays.
        """
        stage = self._stage
        if stage is None:
            raise RuntimeError("run: record(cost) was called outside of the loop over updates")
        if self.n_updates != self._due:
            raise RuntimeError("run: record(cost) was called twice for one update")
        index, number = self._due - stage.begin, np.asarray(cost)
        if number.size != 1 or number.dtype.kind not in "fiub":
            raise TypeError(f"cost: one number is needed, not {cost!r}")
        cost = number.item()
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
        """Go through the rows of samples that are left to draw; signals wait as in `stages`.

        Draw each row by `samples.draw`. A run without samples has none.
        """
        self._check_restored()
        if self.samples is None or self.samples.n_drawn == self.samples.n_rows:
            return
        with self._interruption.postponed():
            for row in range(self.samples.n_drawn, self.samples.n_rows):
                yield row
                self._pause()
            self.save()

    def say(self, *words: object) -> None:
        """Print a line. If it cannot be written, the run is saved and ended at the next step."""
        self._interruption.say(*words)

    def postponed(self) -> AbstractContextManager[None]:
        """A context in which signals wait, to write files that belong together."""
        return self._interruption.postponed()

    # --- Stages and costs ---

    def stages_ended(self) -> list[Stage]:
        """The stages that have ended, in order."""
        self._check_restored()
        return [stage for stage in self.plan if stage.end <= self.n_updates]

    def stages_left(self, phase: str | None = None) -> list[Stage]:
        """The stages that have not ended, in order; all, or those of one phase.

        A finished run has none, even if it was finished early.
        """
        if self.finished:
            return []
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
        self._check_restored()
        check_finite(self._variables["training"])
        self.save_checkpoint()
        self.curve.write(self)

    def save_checkpoint(self) -> None:
        """Write the checkpoint; the old one stays until the new one is complete on the disk."""
        self._check_restored()
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
            "updates_before_samples": self._updates_before_samples(),
            "seconds": self.seconds,
            "n_rows": self.samples.n_drawn if self.samples else 0,
            "finished": self.finished,
        }
        save_arrays(self._file, arrays, state)
        self._saved_at, self._epochs_since = time.monotonic(), 0

    def finish(self, what: str = "training curve and checkpoint") -> None:
        """Note in the checkpoint that the run is finished, and print where its files are."""
        # A loop over stages that was left by `break` has not looked for signals, and not saved.
        if self._interruption.asked:
            self.save()
        self._interruption.end_if_asked()
        self.finished = True
        self.save()
        print(f"... {what} are in {self.folder}")

    def close(self) -> None:
        """Remove a progress bar that is still on the terminal."""
        self._bar.close()

    def _check_restored(self):
        if not self.is_restored:
            raise RuntimeError("run: call restore first, when all graphs are made")

    def _pause(self):
        """Between two steps: save the run if it is time, and end if a signal has come."""
        if self._interruption.asked or self._is_due():
            self.save()
        self._interruption.end_if_asked()

    def _is_due(self):
        by_epochs = self._every.epochs is not None and self._epochs_since >= self._every.epochs
        minutes = (time.monotonic() - self._saved_at) / 60
        return by_epochs or (self._every.minutes is not None and minutes >= self._every.minutes)
