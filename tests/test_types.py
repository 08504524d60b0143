"""The annotations: every public signature has them, and a type checker reads them rightly."""

import importlib
import inspect
import json
import pkgutil
import subprocess
import sys

import pytest
from programs import ROOT
from signatures import signature_here

import rbm_sym

PROGRAM = ROOT / "tests" / "typed_program.py"
# Whose functions and classes are public, beside the names that a folder re-exports.
MODULES = [
    "rbm", "energy", "gibbs", "update_rules", "logistic", "mlp", "dbn", "checkpoint", "images",
    "models", "recipe", "rewrites", "internal.minibatches",
]  # fmt: skip
FOLDERS = ["", *(f".{m.name}" for m in pkgutil.iter_modules(rbm_sym.__path__) if m.ispkg)]


def public_functions():
    """{name: function} of all public functions, and of all public methods of public classes."""
    modules = [importlib.import_module(f"rbm_sym{folder}") for folder in FOLDERS]
    found = [getattr(module, name) for module in modules for name in getattr(module, "__all__", ())]
    for name in MODULES:
        module = importlib.import_module(f"rbm_sym.{name}")
        found += [
            thing
            for thing in vars(module).values()
            if getattr(thing, "__module__", None) == module.__name__
        ]
    functions = {}
    for thing in found:
        if inspect.isclass(thing):
            for name, method in vars(thing).items():
                if isinstance(method, property):
                    method = method.fget
                method = getattr(method, "__func__", method)
                # Generated ones are not written in any module of ours.
                written = getattr(method, "__module__", None) == thing.__module__
                if inspect.isfunction(method) and written and not is_private(name):
                    functions[f"{thing.__qualname__}.{name}"] = method
        elif inspect.isfunction(thing) and not is_private(thing.__name__):
            functions[f"{thing.__module__}.{thing.__name__}"] = thing
    return functions


def is_private(name):
    return name.startswith("_") and name not in ("__init__", "__str__")


FUNCTIONS = public_functions()


def test_every_public_signature_is_annotated():
    missing = {}
    for name, function in FUNCTIONS.items():
        annotated = {"self", "cls", *function.__annotations__}
        missing[name] = {*inspect.signature(function).parameters, "return"} - annotated
    assert not {name: what for name, what in missing.items() if what}


def test_all_of_the_tutorial_is_among_them():
    methods = {name for name in FUNCTIONS if name.startswith("RBM.")}
    assert {"RBM.__init__", "RBM.free_energy", "RBM.gibbs_hvh"} <= methods
    assert {"rbm_sym.gibbs.gibbs_chain", "rbm_sym.datasets.sets.load_data"} <= FUNCTIONS.keys()


def test_annotations_are_no_part_of_a_comparison_with_the_tutorial():
    there = json.loads((ROOT / "tests" / "reference" / "signatures.json").read_text())
    for name in ("RBM", "RBM.get_cost_updates", "RBM.free_energy", "tile_raster_images"):
        assert signature_here(name, there[name]) == there[name]


# What is wrong with a program, and what the type checker says of it.
MISTAKES = {
    "an array for the persistent chain": (
        'chain = pytensor.shared(np.zeros((20, 100), pytensor.config.floatX), name="chain")',
        "chain = np.zeros((20, 100), pytensor.config.floatX)",
        'Argument "persistent" to "get_cost_updates"',
    ),
    "another generator than Theano had": (
        "np.random.RandomState(1)", "np.random.default_rng(1)", 'Argument 1 to "DBN"',
    ),
    "results in another order": (
        "chain_end, updates = rbm.negative_phase(k=1)",
        "updates, chain_end = rbm.negative_phase(k=1)",
        'Argument 1 to "negative_particles"',
    ),
    "a step that wants more than the state": (
        "def step(self, v_sample: TensorVariable)",
        "def step(self, v_sample: TensorVariable, beta: float)",
        'Signature of "step" incompatible with supertype',
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def complaints(tmp_path_factory):
    """The type checker's errors, of the package, of the program and of wrong ones: {file: text}."""
    folder = tmp_path_factory.mktemp("programs")
    text, wrong = PROGRAM.read_text(), []
    for i, (right, mistake, _) in enumerate(MISTAKES.values()):
        assert text.count(right) == 1, right
        wrong.append(folder / f"wrong_{i}.py")
        wrong[-1].write_text(text.replace(right, mistake))
    command = [sys.executable, "-m", "mypy", "--cache-dir", folder / "cache"]
    result = subprocess.run(
        [*command, "rbm_sym", PROGRAM, *wrong], cwd=ROOT, capture_output=True, text=True
    )
    assert result.stderr == ""
    found = {path.name: "" for path in wrong}
    for line in result.stdout.splitlines():
        file, _, error = line.partition(":")
        name = file.rpartition("/")[2]
        found[name] = found.get(name, "") + f"{error}\n"
    return found


@pytest.mark.slow
def test_a_type_checker_accepts_the_package_and_a_program(complaints):
    others = {
        name: text for name, text in complaints.items() if not name.startswith(("wrong_", "Found"))
    }
    assert not others


@pytest.mark.slow
@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_type_checker_refuses_a_wrong_program(mistake, complaints):
    *_, expected = MISTAKES[mistake]
    errors = complaints[f"wrong_{list(MISTAKES).index(mistake)}.py"]
    assert expected in errors


def test_the_package_says_that_it_is_annotated():
    assert (ROOT / "rbm_sym" / "py.typed").read_bytes() == b""
