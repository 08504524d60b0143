"""The file training_curve.csv and its picture."""

import csv
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rbm_sym.internal.files import whole_file

if TYPE_CHECKING:
    from rbm_sym.runs.run import Run


class TrainingCurve:
    """The cost of every update, in a file that is complete at any time and grows stage by stage.

    Its columns are update (from 1), epoch and cost.

    Parameters
    ----------
    path : str or path of the file

    Examples
    --------
    >>> import pytensor
    >>> from rbm_sym.runs import TrainingCurve, epochs, open_run
    >>> w = pytensor.shared(8.0, name="w")
    >>> with open_run("plots") as run:
    ...     run.curve = TrainingCurve("costs.csv")
    ...     run.restore([w], epochs(1, 2))
    ...     for epoch in run.stages():
    ...         for index in run.updates(epoch):
    ...             run.record(0.5 * index)
    >>> print(open("costs.csv").read())
    update,epoch,cost
    1,0,0.0
    2,0,0.5
    <BLANKLINE>
    """

    def __init__(self, path: str | Path) -> None:
        # The program may change its working folder.
        self.path = Path(path).absolute()
        self._n_stages: int | None = None

    def write(self, run: "Run") -> None:
        """Write the costs of all stages that have ended.

        Lines that this object has written before are copied from the old file.
        """
        ended = run.stages_ended()
        if self._n_stages == len(ended):
            return
        goes_on = self._n_stages is not None and self.path.exists()
        with whole_file(self.path) as unfinished:
            if goes_on:
                shutil.copyfile(self.path, unfinished)
            with open(unfinished, "a", newline="") as file:
                rows = csv.writer(file)
                if not goes_on:
                    rows.writerow(["update", "epoch", "cost"])
                for stage in ended[self._n_stages if goes_on else 0 :]:
                    updates = enumerate(run.costs_of(stage), start=stage.begin + 1)
                    rows.writerows((update, stage.epoch, float(cost)) for update, cost in updates)
        self._n_stages = len(ended)


def plot_training_curve(costs: np.ndarray, n_visible: int, path: str | Path) -> None:
    """Draw the costs, an array (epochs, updates in an epoch), into the file `path`.

    PCD's cost is measured at one pixel in each update. So the mean over `n_visible` updates is
    drawn too. Without matplotlib, nothing is drawn, and a line says so.

    Examples
    --------
    >>> import os
    >>> import numpy as np
    >>> from rbm_sym.runs import plot_training_curve
    >>> costs = np.random.RandomState(1).normal(loc=-80, size=(3, 100))
    >>> plot_training_curve(costs, n_visible=20, path="training_curve.png")
    >>> os.path.exists("training_curve.png")
    True
    """
    plt = import_pyplot(Path(path).name)
    if plt is None:
        return

    n_batches = costs.shape[1]
    costs = costs.ravel()
    figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
    updates = np.arange(1, costs.size + 1)
    axes.plot(updates, costs, linewidth=0.4, alpha=0.4, label="each update")
    # Pixels at the rim are easy to predict. Two means can be compared only if each is over all
    # pixels.
    window = min(n_visible, costs.size)
    mean = np.convolve(costs, np.full(window, 1 / window), mode="valid")
    axes.plot(updates[window - 1 :], mean, label=f"mean of {window} updates")
    # The first costs are far from all others.
    low, high = np.percentile(costs, [1, 99.9])
    axes.set_ylim(low - 0.1 * (high - low), high + 0.1 * (high - low))
    axes.set_xlabel("updates")
    axes.set_ylabel("monitoring cost")
    axes.secondary_xaxis(
        "top", functions=(lambda u: u / n_batches, lambda e: e * n_batches)
    ).set_xlabel("epochs")
    axes.legend(loc="lower right")
    with whole_file(path) as unfinished:
        figure.savefig(unfinished, dpi=120)
    plt.close(figure)


def import_pyplot(picture):
    """matplotlib.pyplot for pictures in files; without matplotlib, print a line and return None."""
    try:
        import matplotlib
    except ImportError:
        print(f"... no {picture} without matplotlib (it comes with the extra 'scripts')")
        return None
    matplotlib.use("Agg")
    import matplotlib.pyplot

    return matplotlib.pyplot
