"""What the README says, and how a package index shows it."""

import re
import runpy
import shutil
import subprocess
import sys
from configparser import ConfigParser

import pytest
from pages import README, links, listings, run_listings, tables
from programs import ROOT

ADDRESS = "https://example.org/rbm_sym"


@pytest.mark.slow
def test_the_program_runs(tmp_path, capsys):
    run_listings(README, tmp_path)
    cost, shape = capsys.readouterr().out.splitlines()[-2:]
    assert -300 < float(cost) < 0 and shape == "(10, 784)"


def test_it_is_short():
    assert len(README.read_text().split()) <= 1200


def test_quick_start_holds_exactly_two_commands():
    section = README.read_text().split("## Quick start\n")[1].split("\n## ")[0]
    blocks = re.findall(r"```\w*\n(.*?)```", section, flags=re.DOTALL)
    assert [block.count("\n") for block in blocks] == [1, 1]
    assert "scripts/train_rbm.py" in blocks[0] and "pytest" in blocks[1]


def test_its_figures_are_those_of_the_guides():
    """Each row of a table is a part of one there, in the same order."""
    rows = tables(README)
    of_guides = [row for name in ("fidelity", "speed") for row in tables(page_of(name))]
    assert len(rows) > 5
    for row in rows:
        assert any(is_part(row, other) for other in of_guides), row


def page_of(name):
    return ROOT / "docs" / f"{name}.md"


def is_part(cells, others):
    others = iter(others)
    return all(cell in others for cell in cells)


# On a page of its own, where nothing lies beside it.


@pytest.fixture
def project(tmp_path):
    """A copy of what a description is made from: a function of its address and its version."""
    (tmp_path / "rbm_sym").mkdir()
    for name in ("setup.py", "setup.cfg", "README.md", "rbm_sym/__init__.py"):
        shutil.copy(ROOT / name, tmp_path / name)

    def configured(address, version):
        config = ConfigParser()
        config.read(tmp_path / "setup.cfg")
        config.remove_option("metadata", "url")
        if address:
            config["metadata"]["url"] = address
        with open(tmp_path / "setup.cfg", "w") as file:
            config.write(file)
        package = tmp_path / "rbm_sym" / "__init__.py"
        source = re.sub(r"__version__ = .*", f'__version__ = "{version}"', package.read_text())
        package.write_text(source)
        return tmp_path

    return configured


def description(folder):
    return runpy.run_path(str(folder / "setup.py"))["long_description"]()


def test_without_an_address_links_stay_relative(project):
    assert description(project(None, "0.2.0")) == README.read_text()


@pytest.mark.parametrize(
    ("version", "revision"), [("0.2.0", "v0.2.0"), ("0.3.0.dev0", "HEAD"), ("1.0", "v1.0")]
)
@pytest.mark.parametrize("address", [ADDRESS, f"{ADDRESS}/"])
def test_with_an_address_all_links_are_absolute(project, tmp_path, address, version, revision):
    text = description(project(address, version))
    page = tmp_path / "page.md"
    page.write_text(text)
    assert not links(page)
    # Links are all that has changed, and each leads to the same file.
    assert f"![samples]({ADDRESS}/raw/{revision}/docs/samples.png)" in text
    assert f"]({ADDRESS}/blob/{revision}/docs/runs.md)" in text
    for kind in ("raw", "blob"):
        text = text.replace(f"{ADDRESS}/{kind}/{revision}/", "")
    assert text == README.read_text() and listings(page)


def test_what_is_no_link_to_a_file_stays(project):
    absolute_links = runpy.run_path(str(ROOT / "setup.py"))["absolute_links"]
    listing = "```python\nh = i[j](k)\n```"
    text = f"[a](https://b.org/c) [d](#e) `f[0](g)`\n\n{listing}\n\n[l](m.md#n) ![](o)"
    expected = text.replace("(m.md#n)", "(A/blob/v1/m.md#n)").replace("(o)", "(A/raw/v1/o)")
    assert absolute_links(text, "A", "v1") == expected


def test_the_description_is_what_setuptools_takes(project):
    pytest.importorskip("setuptools")
    folder = project(ADDRESS, "0.2.0")
    shown = subprocess.run(
        [sys.executable, "setup.py", "--long-description"],
        cwd=folder, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert shown.stdout.strip() == description(folder).strip()
