"""The house: which part of the package may import which, and that programs stand alone."""

import ast
from pathlib import Path

import pytest

import rbm_sym

PACKAGE = Path(rbm_sym.__file__).parent
SCRIPTS = PACKAGE.parent / "scripts"

# From the ground up. A part imports only from parts that stand before it, and those of one line do
# not import one another, but for what ALSO says.
FLOORS = [
    ["internal"],
    ["images", "checkpoint", "datasets", "pages", "streams"],
    ["runs"],
    ["link"],
    ["rewrites"],
    ["logistic", "gibbs", "update_rules"],
    ["energy", "mlp"],
    ["rbm"],
    ["dbn", "recipe"],
    ["samplers"],
    ["likelihood"],
    ["models"],
]
TUTORIAL = ["logistic", "gibbs", "update_rules", "energy", "mlp", "rbm", "dbn", "recipe"]
# Parts that see less than all that stands below them. The tutorial knows no backend and no run.
ONLY = {
    "streams": {"internal"},
    "link": {"internal", "streams"},
    "runs": {"internal", "images", "checkpoint", "datasets"},
} | {part: {"internal", "streams", *TUTORIAL} for part in TUTORIAL}


def imports(path):
    """The modules of this package that a file imports, as names without `rbm_sym.`."""
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: a relative import; write rbm_sym.<module>"
            names = [node.module]
            if node.module == "rbm_sym":
                names = [f"rbm_sym.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        yield from (name.removeprefix("rbm_sym.") for name in names if name.startswith("rbm_sym."))


def files_of(part):
    """A module's file, or all files of a folder."""
    folder = PACKAGE / part
    return sorted(folder.rglob("*.py")) if folder.is_dir() else [PACKAGE / f"{part}.py"]


def parts_imported(part):
    """{file: the other parts of the package that it imports}"""
    found = {path: {name.split(".")[0] for name in imports(path)} for path in files_of(part)}
    return {path: parts - {part} for path, parts in found.items()}


def test_every_part_has_its_floor():
    files = {path.stem for path in PACKAGE.glob("*.py")}
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert files | folders == {"__init__", *(part for floor in FLOORS for part in floor)}


@pytest.mark.parametrize("part", [part for floor in FLOORS for part in floor])
def test_a_part_imports_only_from_below(part):
    (level,) = (i for i, floor in enumerate(FLOORS) if part in floor)
    below = {lower for floor in FLOORS[:level] for lower in floor}
    for path, parts in parts_imported(part).items():
        assert parts <= ONLY.get(part, below) & below, path


def test_a_backend_is_seen_by_rewrites_alone():
    for floor in FLOORS:
        for part in floor:
            if part not in ("rewrites", "link"):
                for path, parts in parts_imported(part).items():
                    assert not parts & {"rewrites", "link"}, path


def test_the_backends_of_a_part_are_one_level_deep():
    for path in (PACKAGE / "link").glob("*/*.py"):
        backend = path.parent.name
        others = {name for name in imports(path) if name.startswith("link.")}
        assert all(name.split(".")[1] == backend for name in others), path


PROGRAMS = [
    path for path in sorted(SCRIPTS.rglob("*.py")) if '__name__ == "__main__"' in path.read_text()
]


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_no_program_imports_a_program(path):
    stems = {program.stem for program in PROGRAMS}
    tree = ast.parse(path.read_text())
    imported = {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    imported |= {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    assert not {name.split(".")[0] for name in imported} & stems
    assert not any(name.startswith("rbm_sym.programs") for name in imported)


def test_no_test_imports_a_test():
    tests = Path(__file__).parent
    names = {path.stem for path in tests.rglob("test_*.py")}
    for path in tests.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                assert node.module.split(".")[-1] not in names, path


def test_package_and_programs_come_from_one_tree():
    """The programs are files of their own, installed beside the package."""
    import rbm_sym.programs

    assert Path(rbm_sym.programs.__file__).resolve().parent == SCRIPTS.resolve()


def test_public_names_exist():
    for name in rbm_sym.__all__:
        assert getattr(rbm_sym, name).__doc__, name
