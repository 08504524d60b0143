"""The stages of a run: updates with something to be told or saved at their end."""

from typing import NamedTuple


class Stage(NamedTuple):
    """An epoch, or whatever else a run is divided into.

    number : its place among all stages of the run, from 0
    phase : str, what is trained; empty where a run has one phase only
    epoch : int, what the stage is called by
    begin : int, updates of the run before it
    n_updates : int, at least 1

    Examples
    --------
    >>> from rbm_sym.runs import Stage
    >>> stage = Stage(number=1, phase="", epoch=1, begin=500, n_updates=500)
    >>> str(stage), stage.end
    ('epoch 1', 1000)
    """

    number: int
    phase: str
    epoch: int
    begin: int
    n_updates: int

    @property
    def end(self):
        """Updates of the run until its end."""
        return self.begin + self.n_updates

    def __str__(self):
        return f"{self.phase}, epoch {self.epoch}" if self.phase else f"epoch {self.epoch}"


def in_order(stages):
    """Stages one after the other.

    Parameters
    ----------
    stages : iterable of (phase, epoch, n_updates)

    Returns
    -------
    list of Stage

    Examples
    --------
    >>> from rbm_sym.runs import in_order
    >>> for stage in in_order([("pretraining", 0, 500), ("fine-tuning", 0, 200)]):
    ...     print(stage, stage.begin, stage.end)
    pretraining, epoch 0 0 500
    fine-tuning, epoch 0 500 700
    """
    made, begin = [], 0
    for number, (phase, epoch, n_updates) in enumerate(stages):
        made.append(Stage(number, phase, epoch, begin, n_updates))
        begin += n_updates
    return made


def epochs(n_epochs, n_updates):
    """The stages of a run with one phase: `n_epochs` epochs of `n_updates` updates each.

    Examples
    --------
    >>> from rbm_sym.runs import epochs
    >>> for epoch in epochs(n_epochs=3, n_updates=500):
    ...     print(epoch, epoch.begin, epoch.end)
    epoch 0 0 500
    epoch 1 500 1000
    epoch 2 1000 1500
    """
    return in_order(("", epoch, n_updates) for epoch in range(n_epochs))
