"""Any graph compiled with the rewrites computes what it computes without them.

A graph belongs to its seed. `--first-graph` and `--graphs` choose the seeds; docs/models.md has the
command that tries many.
"""

import re
import traceback
from pathlib import Path

import numpy as np
import pytensor
import pytest
from cases import mostly_slow
from plain import assert_agree, plain_function
from pytensor.compile.mode import get_default_mode
from random_graphs import RandomGraph

import rbm_sym
from rbm_sym.rewrites import ALL, without

# For `assert_agree`.
TOLERANCE = {"float32": 1e-4, "float64": 1e-10}
# One graph in 8 has its elementwise operations fused. The parts of the others are compiled once and
# shared by all graphs, which makes them ten times as fast to try.
ONE_IN = 8


# Graphs on which something was wrong once.
ONCE_WRONG = [
    363,  # a product of one column, added to all columns of a matrix
    412,  # the same, as the gradient of a sum over examples
]


def pytest_generate_tests(metafunc):
    if "seed" in metafunc.fixturenames:
        first = metafunc.config.getoption("first_graph")
        seeds = range(first, first + metafunc.config.getoption("graphs"))
        metafunc.parametrize("seed", [*seeds, *mostly_slow(ONCE_WRONG, n_quick=0)])


def compiled(graph, make_function):
    options = {"updates": graph.updates, "on_unused_input": "ignore"}
    with pytensor.config.change_flags(on_opt_error="raise"):
        return make_function(graph.inputs, graph.outputs, **options)


def run(graph, function):
    """All that a function changes or returns, and the types of its outputs."""
    graph.reset()
    before = [np.array(argument) for argument in graph.arguments]
    results = function(*graph.arguments)
    for argument, value in zip(graph.arguments, before, strict=True):
        np.testing.assert_array_equal(argument, value)
    changed = [variable.get_value() for variable in (*graph.shared, *graph.streams.states)]
    return [*results, *changed]


def assert_pytensor_fails_alone(graph, error):
    """An error while a graph is compiled is none of ours, and is there without the rewrites too."""
    ours = Path(rbm_sym.__file__).parent
    frames = traceback.extract_tb(error.__traceback__)
    assert not any(ours in Path(frame.filename).parents for frame in frames)
    with without(ALL), pytest.raises(type(error), match=re.escape(str(error))):
        compiled(graph, pytensor.function)


def test_random_graph(seed):
    graph = RandomGraph(seed)
    mode = get_default_mode()
    if seed % ONE_IN:
        mode = mode.excluding("fusion")
    with pytensor.config.change_flags(mode=mode):
        try:
            fast = compiled(graph, pytensor.function)
        except Exception as error:  # some graphs are too much for PyTensor's own rewrites
            assert_pytensor_fails_alone(graph, error)
            return
        found = run(graph, fast)
    plain = compiled(graph, plain_function)
    expected = run(graph, plain)
    types = [[x.type for x in f.maker.fgraph.outputs[: len(graph.outputs)]] for f in (fast, plain)]
    assert types[0] == types[1]
    # Where both precisions meet, the lower one is that of all.
    lower = max(TOLERANCE[str(x.dtype)] for x in found if x.dtype.kind == "f")
    assert_agree(found, expected, dict.fromkeys(TOLERANCE, lower))
