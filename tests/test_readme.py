"""What the README says can be done."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


@pytest.mark.slow
def test_the_programs_run(capsys):
    programs = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert programs
    for program in programs:
        exec(compile(program, "README.md", "exec"), {})
    assert capsys.readouterr().out.endswith("(10, 784)\n")


def test_quick_start_holds_exactly_two_commands():
    section = README.split("## Quick start\n")[1].split("\n## ")[0]
    blocks = re.findall(r"```\w*\n(.*?)```", section, flags=re.DOTALL)
    assert [block.count("\n") for block in blocks] == [1, 1]
    assert "scripts/train_rbm.py" in blocks[0] and "pytest" in blocks[1]


def test_files_that_it_links_to_exist():
    for target in re.findall(r"\]\((?!http)([^)]+)\)", README):
        assert (ROOT / target).exists(), target


def test_every_module_is_in_the_map():
    listed = re.findall(r"^\| `(\w+(?:\.py|/))` \|", README, flags=re.MULTILINE)
    package = ROOT / "rbm_sym"
    modules = {path.name for path in package.glob("*.py")} - {"__init__.py"}
    folders = {f"{path.parent.name}/" for path in package.glob("*/__init__.py")}
    assert set(listed) == modules | folders
