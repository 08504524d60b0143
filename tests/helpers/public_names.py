"""What the package offers to programs: its public names, and the examples in their docstrings."""

import doctest
import importlib
import inspect
import os
import sys
import tempfile

import pytensor

MODULES = [
    "rbm_sym", "rbm_sym.energy", "rbm_sym.gibbs", "rbm_sym.update_rules", "rbm_sym.logistic",
    "rbm_sym.mlp", "rbm_sym.streams", "rbm_sym.samplers", "rbm_sym.likelihood",
    "rbm_sym.datasets", "rbm_sym.runs", "rbm_sym.checkpoint", "rbm_sym.models",
    "rbm_sym.rewrites",
]  # fmt: skip
NOT_PUBLIC = {
    # PyTensor alone calls it.
    "rbm_sym.gibbs": {"vectorize_scan"},
}
CONSTANTS = {"rbm_sym.rewrites": ["ALL", "NAMES"]}


def public_names(module_name):
    """{name: object} of a module: what its `__all__` lists, or else what it defines."""
    module = importlib.import_module(module_name)
    if hasattr(module, "__all__"):
        names = module.__all__
    else:
        names = [
            name
            for name, value in vars(module).items()
            if (inspect.isfunction(value) or inspect.isclass(value))
            and value.__module__ == module_name
            and not name.startswith("_")
            and name not in NOT_PUBLIC.get(module_name, ())
        ]
        names += CONSTANTS.get(module_name, [])
    return {name: getattr(module, name) for name in names}


def has_a_docstring(value):
    """Whether it has one of its own: a constant has that of its type."""
    return inspect.isfunction(value) or inspect.isclass(value)


def examples_in(name, text):
    """The examples in a text: a list of one DocTest, or of none."""
    test = doctest.DocTestParser().get_doctest(inspect.cleandoc(text or ""), {}, name, name, 0)
    return [test] if test.examples else []


class Checker(doctest.OutputChecker):
    """Leaves out what `load_data` prints: doctest takes its three dots for Python's prompt."""

    def check_output(self, want, got, optionflags):
        return super().check_output(want, got.replace("... loading data\n", ""), optionflags)


def run_examples(tests, flags):
    """Run examples, each in an empty folder; exit with status 1 if one of them fails.

    To be called in a process of its own. `flags` are those of PyTensor.
    """
    # Unset, PyTensor looks for a BLAS for compiled C, of which there is none here, and warns.
    pytensor.config.blas__ldflags = ""
    runner = doctest.DocTestRunner(Checker(), optionflags=doctest.ELLIPSIS)
    with tempfile.TemporaryDirectory() as folder, pytensor.config.change_flags(**flags):
        for test in tests:
            os.chdir(tempfile.mkdtemp(dir=folder))
            runner.run(test)
        os.chdir("/")
    if runner.failures:
        sys.exit(1)
