"""Functions compiled without the rewrites, to compare with."""

import numpy as np
import pytensor
from pytensor.compile.mode import Mode, get_default_mode

from rbm_sym.rewrites import ALL


def plain_function(*arguments, **options):
    """`pytensor.function` without the rewrites, computed by the Ops' own Python.

    Numba would compute the same, but compile it for seconds first.
    """
    # Not `optimizer`: on PyTensor 3.3 it is bound to its mode, and fails in another mode on graphs
    # with an OpFromGraph, as derivatives of logsumexp are. And as with numba, no BLAS: the Python
    # version of PyTensor's Gemm now and then gives a wrong product.
    rewrites = get_default_mode().excluding(ALL, "fusion", "BlasOpt").provided_optimizer
    mode = Mode("py", rewrites)
    with pytensor.config.change_flags(mode=mode):
        return pytensor.function(*arguments, **options)


def assert_agree(found, expected, tolerance):
    """Lists of arrays of equal dtypes and shapes, and of equal numbers but for rounding.

    `tolerance` has, for a dtype, how far numbers may be apart relative to the largest of an array,
    or to 1; those of other dtypes must be equal.
    """
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == other.dtype and one.shape == other.shape
        # Relative to the largest: sums of another order cancel otherwise.
        scale = max(1, np.abs(other[np.isfinite(other)]).max(initial=0))
        atol = tolerance.get(str(one.dtype), 0) * scale
        np.testing.assert_allclose(one, other, rtol=0, atol=atol)
