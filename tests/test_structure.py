"""The module map: each module of the package imports only from those above it."""

import ast
from pathlib import Path

import rbm_sym

PACKAGE = Path(rbm_sym.__file__).parent
MODULES = [
    "rounding",
    "memory",
    "files",
    "datasets",
    "images",
    "arguments",
    "logistic",
    "fingerprint",
    "kernels",
    "vectors",
    "generators",
    "streams",
    "rewrites",
    "gibbs",
    "update_rules",
    "energy",
    "rbm",
    "samplers",
    "likelihood",
    "checkpoint",
    "training",
    "mlp",
    "dbn",
]


def imported_modules(path):
    """The modules of this package that a file imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: a relative import; write rbm_sym.<module>"
            names = [node.module]
            if node.module == "rbm_sym":
                names = [f"rbm_sym.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        yield from (name.split(".")[1] for name in names if name.startswith("rbm_sym."))


def files_of(module):
    """A module's file, or all files of a module that is a folder."""
    folder = PACKAGE / module
    return sorted(folder.glob("*.py")) if folder.is_dir() else [PACKAGE / f"{module}.py"]


def test_every_module_has_its_place():
    files = {path.stem for path in PACKAGE.glob("*.py")}
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert files | folders == {*MODULES, "__init__"}


def test_modules_import_only_from_above():
    for place, module in enumerate(MODULES):
        for path in files_of(module):
            below = set(imported_modules(path)) - {*MODULES[:place], module}
            assert not below, f"{path} imports {below}"


def test_training_knows_no_rbm():
    assert set(imported_modules(PACKAGE / "training.py")) <= {"arguments"}


def test_public_names_exist():
    for name in rbm_sym.__all__:
        assert getattr(rbm_sym, name).__doc__, name
