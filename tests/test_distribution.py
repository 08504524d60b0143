"""What is released: the sdist, which is the whole checkout, and the wheel, which is what runs."""

import compileall
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

import rbm_sym

ROOT = Path(__file__).parents[1]


def test_the_changelog_begins_with_this_version():
    first = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE)
    assert first[1] == rbm_sym.__version__.removesuffix(".dev0")


# --- both files -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A copy of what git knows of this checkout, with compiled Python."""
    if not (ROOT / ".git").exists():
        pytest.skip("both files are built from a checkout of git")
    known = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    copy = tmp_path_factory.mktemp("release") / "checkout"
    for name in known.rstrip("\0").split("\0"):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, copy / name)
    for folder in ("rbm_sym", "scripts", "tests"):
        assert compileall.compile_dir(copy / folder, quiet=2)
    return copy


@pytest.fixture(scope="module")
def built(checkout):
    """A folder with the sdist, and with the wheel that is built from it."""
    folder = checkout.parent / "dist"
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, checkout]
    result = subprocess.run(build, cwd=checkout.parent, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    return folder


# What Python and setuptools add.
ADDED = re.compile(r"PKG-INFO|rbm_sym\.egg-info/.*|.*\.pyc")


@pytest.fixture(scope="module")
def sdist(built):
    """{path: content}"""
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        files = [member for member in archive if member.isfile()]
        contents = {member.name: archive.extractfile(member).read() for member in files}
    return {name.split("/", 1)[1]: content for name, content in contents.items()}


@pytest.fixture(scope="module")
def wheel(built):
    """{path: content}"""
    (path,) = built.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        assert len(set(archive.namelist())) == len(archive.namelist())
        return {name: archive.read(name) for name in archive.namelist()}


def files_below(folder, pattern="**/*"):
    """{path below the folder: content}, without what was added."""
    files = {path.relative_to(folder).as_posix(): path for path in folder.glob(pattern)}
    return {
        name: path.read_bytes()
        for name, path in files.items()
        if path.is_file() and not ADDED.fullmatch(name)
    }


@pytest.mark.slow
def test_the_sdist_is_the_whole_checkout(checkout, sdist):
    expected = files_below(checkout)
    assert not [name for name in sdist if name.endswith(".pyc")]
    assert {name for name in sdist if not ADDED.fullmatch(name)} == set(expected)
    # Setuptools writes this file anew.
    assert [name for name in expected if sdist[name] != expected[name]] == ["setup.cfg"]


@pytest.mark.slow
def test_the_wheel_is_the_package_and_the_users_programs(checkout, wheel):
    package = files_below(checkout / "rbm_sym")
    # A licence, and where licences are.
    del package["data/README.md"]
    programs = files_below(checkout / "scripts", "*.py")
    programs |= files_below(checkout / "scripts", "energies/*.py")
    expected = {f"rbm_sym/{name}": content for name, content in package.items()}
    expected |= {f"rbm_sym/programs/{name}": content for name, content in programs.items()}
    about = f"rbm_sym-{rbm_sym.__version__}.dist-info/"
    assert {name: wheel[name] for name in wheel if not name.startswith(about)} == expected
    assert wheel[f"{about}licenses/LICENSE"] == (checkout / "LICENSE").read_bytes()
    assert b"Attribution-Share Alike 3.0" in wheel[f"{about}licenses/rbm_sym/data/README.md"]


@pytest.mark.slow
def test_nothing_is_there_twice(sdist, wheel):
    for files in (sdist, wheel):
        contents = [files[name] for name in files if files[name] and not ADDED.fullmatch(name)]
        assert len(set(contents)) == len(contents)


# --- installed ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def installed(built):
    """A folder of programs in an environment with the wheel, which finds the rest in this one."""
    environment = built.parent / "environment"
    venv.create(environment)
    ours = {sysconfig.get_path(kind) for kind in ("purelib", "platlib")}
    places = {"base": str(environment), "platbase": str(environment)}
    theirs = Path(sysconfig.get_path("purelib", vars=places))
    # A path without its .pth files: what is installed as editable here is not found there.
    (theirs / "dependencies.pth").write_text("\n".join(ours))
    programs = Path(sysconfig.get_path("scripts", vars=places))
    (path,) = built.glob("*.whl")
    result = subprocess.run(
        [
            sys.executable, "-m", "pip", f"--python={programs / 'python'}",
            "install", "--no-deps", "--no-index", path,
        ],
        capture_output=True, text=True,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    return programs


def run_outside(command, *arguments, cwd):
    """What a command prints."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    result = subprocess.run(
        [command, *arguments], cwd=cwd, env=environment, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.slow
def test_the_installed_wheel_is_complete(installed, tmp_path):
    where = "import rbm_sym.programs; print(rbm_sym.__file__, rbm_sym.programs.__file__)"
    for path in run_outside(installed / "python", "-c", where, cwd=tmp_path).split():
        assert Path(path).is_relative_to(installed.parent), path
    assert "train-dbn" in run_outside(installed / "rbm-sym", "--help", cwd=tmp_path)
    for module in ("train_rbm", "energies.gaussian_rbm"):
        program = ["-m", f"rbm_sym.programs.{module}", "--help"]
        assert "usage:" in run_outside(installed / "python", *program, cwd=tmp_path)
    data = "import rbm_sym; rbm_sym.load_data('digits')"
    run_outside(installed / "python", "-c", data, cwd=tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("program", ["train_rbm.py", "energies/gaussian_rbm.py"])
def test_a_program_run_by_its_path_takes_what_is_installed(checkout, installed, tmp_path, program):
    """Not the package that lies beside it in a checkout, which may be of another version."""
    shutil.copytree(checkout / "scripts", tmp_path / "scripts")
    (tmp_path / "rbm_sym").mkdir()
    (tmp_path / "rbm_sym" / "__init__.py").write_text("raise ImportError('of the checkout')")
    arguments = [tmp_path / "scripts" / program, "--help"]
    assert "usage:" in run_outside(installed / "python", *arguments, cwd=tmp_path)
