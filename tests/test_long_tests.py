"""The option --long, without which the tests that take minutes are left out."""

from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

TWO_TESTS = """
import pytest

def test_quick():
    pass

@pytest.mark.slow
def test_slow():
    pass
"""


@pytest.mark.parametrize(
    ("options", "passed", "deselected"),
    [([], 1, 1), (["--long"], 2, 0), (["--long", "-m", "slow"], 1, 1)],
)
def test_slow_tests_run_with_the_option_only(pytester, options, passed, deselected):
    pytester.makeconftest(Path(__file__).with_name("conftest.py").read_text())
    pytester.makeini("[pytest]\nmarkers =\n    slow: takes minutes")
    pytester.makepyfile(TWO_TESTS)
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", *options)
    result.assert_outcomes(passed=passed, deselected=deselected)
