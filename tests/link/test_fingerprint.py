"""The key of machine code on disk changes with all that the code was made from."""

import re
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from numba import types
from pytensor.link.numba import cache

import rbm_sym
from rbm_sym.link.numba import fingerprint as module
from rbm_sym.link.numba import layouts, multiplication
from rbm_sym.link.numba.fingerprint import fingerprint

SOURCE = """
def inlined(x):
    return x * {constant}

def function(x, n={default}):
    total = 0.0
    for i in range(x.size):
        total {operation} inlined(x[i]) + bound + table[0]
    return total
"""


def made(constant=2.0, default=1, operation="+=", bound=3.0, table=(1.0, 2.0), fastmath=False):
    """A function, and all that it uses, from their source."""
    names = {"__name__": "rbm_sym.example", "bound": bound, "table": np.array(table)}
    exec(SOURCE.format(constant=constant, default=default, operation=operation), names)
    names["inlined"] = numba.njit(names["inlined"], fastmath=fastmath)
    return names["function"]


def closure(number):
    return lambda x: x + number


def closed_over(number):
    function = closure(number)
    function.__module__ = "rbm_sym.example"
    return function


def test_what_is_equal_has_equal_fingerprints():
    assert fingerprint(made()) == fingerprint(made())
    assert fingerprint(closed_over(1)) == fingerprint(closed_over(1))
    assert fingerprint(types.float32[:]) == fingerprint(types.float32[:])


@pytest.mark.parametrize(
    "other",
    [
        made(constant=2.5),
        made(default=2),
        made(operation="-="),
        made(bound=3),
        made(table=(1.0, 3.0)),
        made(fastmath=True),
    ],
)
def test_what_differs_anywhere_has_another(other):
    assert fingerprint(other) != fingerprint(made())


def test_closures_containers_types_and_versions(monkeypatch):
    assert fingerprint(closed_over(1)) != fingerprint(closed_over(2))
    assert fingerprint({"a": {1, 2}}) != fingerprint({"a": {1, 3}})
    assert fingerprint(types.float32[:]) != fingerprint(types.float32[::1])
    assert fingerprint(1) != fingerprint(1.0) != fingerprint("1.0")
    before = fingerprint(made())
    monkeypatch.setattr(module.rbm_sym, "__version__", "another")
    assert fingerprint(made()) != before


def test_what_cannot_be_read_is_refused():
    with pytest.raises(TypeError, match=r"<module 'rbm_sym\.link\.numba\..* cannot be read"):
        fingerprint(closed_over(multiplication))
    with pytest.raises(TypeError, match=r"<object object .* cannot be read"):
        fingerprint(closed_over(object()))


def test_it_is_the_same_in_every_process():
    program = (
        "from rbm_sym.link.numba.fingerprint import fingerprint;"
        "from rbm_sym.link.numba.multiplication import _multiply; print(fingerprint(_multiply))"
    )
    run = [sys.executable, "-c", program]
    found = {subprocess.run(run, capture_output=True, text=True).stdout for _ in range(2)}
    assert found == {fingerprint(multiplication._multiply) + "\n"}


def test_another_constant_makes_another_entry(monkeypatch, tmp_path, double):
    """A constant that a kernel uses, two calls deep."""
    monkeypatch.setattr(cache, "NUMBA_CACHE_PATH", tmp_path)
    x, y = pt.dmatrices("xy")
    n_entries = []
    for constant in (1000, 2000, 1000):
        monkeypatch.setattr(multiplication, "COUNTED_AT_ONCE", constant)
        product = pytensor.function([x, y], pt.dot(x, y))
        np.testing.assert_array_equal(product(np.eye(20), np.ones((20, 20))), np.ones((20, 20)))
        n_entries.append(len(list(tmp_path.glob("*rbm_sym_multiply_float64_*.nbi"))))
    assert n_entries == [1, 2, 2]


def test_what_numba_compiles_in_place_of_a_function_counts():
    """Nothing else leads from a function to its overload."""
    sources = [path.read_text() for path in Path(rbm_sym.__file__).parent.rglob("*.py")]
    patterns = (r"^@overload\(", r"^\w+\.compiled = ")
    counts = [sum(len(re.findall(p, s, re.MULTILINE)) for s in sources) for p in patterns]
    assert counts == [1, 1]
    assert layouts.packed.compiled is layouts._packed
