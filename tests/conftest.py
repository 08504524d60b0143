import os

# Before anything loads OpenBLAS: at the tests' sizes a second thread gains nothing, and beside
# another busy process it loses a lot.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import pytensor
import pytest
from hypothesis import Phase, settings
from pytensor.compile.mode import predefined_optimizers

from rbm_sym import RBM, RandomStreams

# For the tests that compute in Python, as under FAST_COMPILE: each graph would first be compiled in
# C, for seconds, and PyTensor would look for a BLAS and warn that there is none.
pytensor.config.cxx = ""
pytensor.config.blas__ldflags = ""
# PyTensor compiles the steps of a scan with "fast_run" whatever the function's mode, and a fused
# operation is computed in Python number by number.
predefined_optimizers["fast_run"] = predefined_optimizers["fast_run"].excluding("fusion")

# The same examples each time, so that a test turns red for a change of the code alone. Others, and
# a search for the smallest one that fails, which may take minutes: --hypothesis-profile=random
settings.register_profile("random", deadline=None)
settings.register_profile(
    "fixed", deadline=None, derandomize=True, phases=[Phase.explicit, Phase.generate]
)
settings.load_profile("fixed")


def pytest_addoption(parser):
    """Which tests run, and how long those of endurance are.

    docs/reliability.md has what longer ones have shown.
    """
    group = parser.getgroup("rbm_sym")
    group.addoption("--long", action="store_true", help="also the tests that take minutes")
    group.addoption("--kills", type=int, default=10, help="runs killed at random moments")
    group.addoption("--flips", default="300", help='places of a checkpoint damaged, or "all"')
    group.addoption("--fuzz-inputs", type=int, default=2000, help="damaged data files")
    group.addoption("--graphs", type=int, default=2, help="graphs drawn at random")
    group.addoption("--first-graph", type=int, default=0, help="the seed of the first of them")
    group.addoption("--soak-minutes", type=float, default=3, help="minutes of one long run")


def pytest_collection_modifyitems(config, items):
    """Without --long, leave out the tests that are marked as slow."""
    if not config.getoption("--long"):
        slow = {item for item in items if item.get_closest_marker("slow")}
        items[:] = [item for item in items if item not in slow]
        config.hook.pytest_deselected(items=slow)


@pytest.fixture(params=["float32", "float64"])
def floatX(request):  # noqa: N802 (PyTensor's name)
    with pytensor.config.change_flags(floatX=request.param):
        yield request.param


@pytest.fixture
def double():
    with pytensor.config.change_flags(floatX="float64"):
        yield


@pytest.fixture(scope="session")
def make_rbm():
    """A function that makes a small RBM of clearly unequal states, in the current floatX."""

    def make(n_visible=4, n_hidden=3, seed=7, streams=RandomStreams, **arguments):
        rng = np.random.RandomState(seed)
        rbm = RBM(
            n_visible=n_visible,
            n_hidden=n_hidden,
            theano_rng=streams(rng.randint(2**30)),
            numpy_rng=rng,
            **arguments,
        )
        floatX = pytensor.config.floatX
        rbm.W.set_value(rng.normal(size=(n_visible, n_hidden)).astype(floatX))
        rbm.hbias.set_value(rng.normal(size=n_hidden).astype(floatX))
        rbm.vbias.set_value(rng.normal(size=n_visible).astype(floatX))
        return rbm

    return make
