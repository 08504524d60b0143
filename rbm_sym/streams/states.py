"""The states of random streams, as shared variables."""

import threading
from collections.abc import Iterable

from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.basic import Variable
from pytensor.graph.traversal import graph_inputs
from pytensor.raise_op import CheckAndRaise
from pytensor.tensor.random.type import RandomType
from pytensor.tensor.sharedvar import TensorSharedVariable

from rbm_sym.internal.types import Updates

# Held while a chain is built and while a stream is made. PyTensor notes the shared variables that a
# step has made in one list for the whole process; another thread's would be in it too.
building = threading.RLock()


class StreamState(TensorSharedVariable):
    """The state of a random stream: a shared variable that is not used without its update.

    `pytensor.scan` removes the update of a stream that its step has made, and returns it for the
    caller to pass on. A function that is compiled without this update would draw the same numbers
    at each call. Instead, it raises an error when it is called.

    Examples
    --------
    >>> from rbm_sym.streams import MRG_RandomStreams, StreamState
    >>> streams = MRG_RandomStreams(seed=1)
    >>> draws = streams.uniform(size=(60,))
    >>> state = streams.states[0]
    >>> isinstance(state, StreamState), state.name, state.get_value().shape
    (True, 'mrg_stream_0', (6, 10))
    """

    @property
    def default_update(self) -> Variable | None:
        return self._default_update

    @default_update.setter
    def default_update(self, new_state: Variable | None) -> None:
        if new_state is None:
            new_state = CheckAndRaise(
                RuntimeError,
                f"the random stream {self} would repeat its draws: pass the updates that "
                "pytensor.scan returned on to pytensor.function, or use gibbs_chain",
            )(self, False)
        self._default_update = self.type.filter_variable(new_state)


def stream_updates(outputs: Iterable[Variable]) -> Updates:
    """The updates of all random streams that the expressions `outputs` draw from.

    Parameters
    ----------
    outputs : list of variables

    Returns
    -------
    dict from shared variable (the state of a stream) to expression (its next state)

    Raises
    ------
    ValueError
        for a shared random generator without an update, which would repeat its draws at each call

    Examples
    --------
    >>> from rbm_sym import MRG_RandomStreams
    >>> from rbm_sym.streams import stream_updates
    >>> streams = MRG_RandomStreams(seed=1)
    >>> noise = 0.1 * streams.normal(size=(2, 3))
    >>> [state.name for state in stream_updates([noise])]
    ['mrg_stream_0']
    """
    updates: Updates = {}
    reached = list(outputs)
    while True:
        new = {}
        for variable in graph_inputs(reached):
            if not isinstance(variable, SharedVariable) or variable in updates:
                continue
            if variable.default_update is not None:
                new[variable] = variable.default_update
            elif isinstance(variable.type, RandomType):
                raise ValueError(
                    f"random generator {variable}: it has no update, so that every draw from it "
                    "would be the same; draw from a RandomStreams or MRG_RandomStreams instead"
                )
        if not new:
            return updates
        updates |= new
        # How far a stream moves may depend on another stream's draw.
        reached = list(new.values())
