"""Checks of arguments: each error is one line with the argument, its value and what to do."""

from numbers import Integral, Real

import numpy as np
import pytensor
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.basic import Constant, Variable
from pytensor.tensor.type import float_dtypes, integer_dtypes

# The dtypes in which this package computes.
FLOATS = ("float32", "float64")


def check_count(name, count, of):
    """Raise unless `count` is an integer of at least 1; `of` says what is counted."""
    if not isinstance(count, Integral) or isinstance(count, bool):
        raise TypeError(f"{name}: an integer of at least 1 is needed, not {count!r}")
    if count < 1:
        raise ValueError(f"{name}: at least 1 {of} is needed, not {count}")


def check_numpy_rng(name, numpy_rng):
    """Raise TypeError unless `numpy_rng` is a RandomState."""
    if not isinstance(numpy_rng, np.random.RandomState):
        raise TypeError(f"{name}: a numpy.random.RandomState is needed, not {numpy_rng!r}")


def check_symbolic_count(name, count, of):
    """As `check_count`; `count` may also be a symbolic integer scalar."""
    if isinstance(count, Constant):
        count = count.data[()]
    if not isinstance(count, Variable):
        check_count(name, count, of)
    elif count.ndim != 0 or count.dtype not in integer_dtypes:
        raise TypeError(f"{name}: an integer scalar is needed, not a {count.type}")


def check_learning_rate(name, lr):
    """Raise unless `lr` is a symbolic scalar, or a number that is finite and above 0 in floatX."""
    if isinstance(lr, Constant):
        lr = lr.data
    if isinstance(lr, Variable):
        if lr.ndim != 0 or lr.dtype not in (*float_dtypes, *integer_dtypes):
            raise TypeError(f"{name}: a scalar is needed, not a {lr.type}")
        return
    if not isinstance(lr, Real | np.ndarray) or isinstance(lr, bool) or np.ndim(lr) != 0:
        raise TypeError(f"{name}: a number above 0 or a symbolic scalar is needed, not {lr!r}")
    floatX = pytensor.config.floatX
    try:
        with np.errstate(over="ignore", under="ignore"):
            in_floatX = np.dtype(floatX).type(lr)
    except OverflowError:
        in_floatX = np.inf
    if not (np.isfinite(in_floatX) and in_floatX > 0):
        raise ValueError(
            f"{name}: the learning rate must be above 0 and finite in {floatX}, not {lr!s:.50}"
        )


def check_number(name, value, least, below=None):
    """Raise unless `value` is a symbolic scalar, or a number with least <= value < below."""
    if isinstance(value, Variable):
        if value.ndim != 0:
            raise TypeError(f"{name}: a scalar is needed, not a {value.type}")
        return
    limits = f"a number of at least {least}" + (f" and less than {below}" if below else "")
    if not isinstance(value, Real) or isinstance(value, bool):
        raise TypeError(f"{name}: {limits} is needed, not {value!r}")
    if not (least <= value < (below or np.inf)):
        raise ValueError(f"{name}: {limits} is needed, not {value}")


def check_shared(name, variable, what="variable"):
    """Raise TypeError unless `variable` is a shared variable."""
    if not isinstance(variable, SharedVariable):
        found = f"a {variable.type}" if isinstance(variable, Variable) else type(variable).__name__
        raise TypeError(
            f"{name}: a shared {what} is needed, not {found}; make one with pytensor.shared"
        )


def check_tensor(name, variable, shape):
    """Raise unless `variable` is a floatX tensor of this shape, as far as its shape is known.

    `shape` is a tuple of int, with None for any length.
    """
    floatX = pytensor.config.floatX
    expected = f"a floatX ({floatX}) tensor of shape {shape}".replace("None", "any")
    if not isinstance(variable, Variable):
        raise TypeError(
            f"{name}: {expected} is needed, not {type(variable).__name__}; wrap an array in "
            "pytensor.shared"
        )
    if getattr(variable, "dtype", None) != floatX:
        raise TypeError(
            f"{name}: {expected} is needed, not a {variable.type}; make it of dtype "
            "pytensor.config.floatX, which a random draw takes as its argument dtype"
        )
    if variable.ndim != len(shape):
        raise ValueError(
            f"{name}: {expected} is needed, not one of {variable.ndim} dimensions; reshape it"
        )
    found = variable.type.shape
    if isinstance(variable, SharedVariable):
        found = variable.get_value(borrow=True).shape
    if any(None not in (f, s) and f != s for f, s in zip(found, shape, strict=True)):
        raise ValueError(
            f"{name}: {expected} is needed, not one of shape {tuple(found)}; give it that shape, "
            "or the model other numbers of units"
        )


def check_finite_parameters(name, values):
    """Raise ValueError unless all numbers in these arrays, a model's parameters, are finite."""
    if not all(np.isfinite(value).all() for value in values):
        raise ValueError(f"{name}: there are infinite or undefined numbers in its parameters")


def check_inverse_temperatures(name, values, first=None):
    """Raise unless `values` are two or more increasing numbers from 0 to 1, the last of them 1."""
    found = np.asarray(values)
    expected = "two or more increasing numbers from 0 to 1, the last of them 1"
    if found.ndim != 1 or found.dtype.kind not in "iuf":
        raise TypeError(f"{name}: {expected} are needed, not {values!r}")
    if len(found) < 2 or found[0] < 0 or found[-1] != 1 or not (np.diff(found) > 0).all():
        raise ValueError(f"{name}: {expected} are needed, not {found}")
    if first is not None and found[0] != first:
        raise ValueError(f"{name}: the first of them must be {first}, not {found[0]}")


def check_seed(name, seed):
    """Raise unless `seed` is None or an integer with 0 <= seed < 2**32."""
    if seed is None:
        return
    expected = "an integer from 0 and below 2**32, or None"
    if not isinstance(seed, Integral) or isinstance(seed, bool):
        raise TypeError(f"{name}: {expected} is needed, not {seed!r}")
    if not 0 <= seed < 2**32:
        raise ValueError(f"{name}: {expected} is needed, not {seed}")
