"""The stages of a run: groups of updates, with something to print or save after each group."""

from collections.abc import Iterable
from typing import NamedTuple

from rbm_sym.internal.arguments import check_count


class Stage(NamedTuple):
    """An epoch, or another part of a run.

    number : int, its place among all stages of the run, from 0
    phase : str, what is trained; empty if the run has only one phase
    epoch : int, the number that the stage has in messages
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
    def end(self) -> int:
        """Updates of the run up to the end of this stage."""
        return self.begin + self.n_updates

    def __str__(self) -> str:
        return f"{self.phase}, epoch {self.epoch}" if self.phase else f"epoch {self.epoch}"


def in_order(stages: Iterable[tuple[str, int, int]]) -> list[Stage]:
    """Make stages that follow one another.

    Parameters
    ----------
    stages : iterable of (phase, epoch, n_updates)

    Returns
    -------
    list of Stage

    Raises
    ------
    TypeError, ValueError
        unless each has a whole number of updates, of at least 1

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
        check_count("n_updates", n_updates, "update")
        made.append(Stage(number, phase, epoch, begin, n_updates))
        begin += n_updates
    return made


def epochs(n_epochs: int, n_updates: int) -> list[Stage]:
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
