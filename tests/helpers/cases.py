"""The cases of a test, of which some run with --long only."""

import pytest


def mostly_slow(cases, n_quick=1):
    """The first cases as they are, and all others marked as slow.

    A case that is a tuple is one of several parameters.
    """
    cases = list(cases)
    others = (case if isinstance(case, tuple) else (case,) for case in cases[n_quick:])
    return cases[:n_quick] + [pytest.param(*case, marks=pytest.mark.slow) for case in others]
