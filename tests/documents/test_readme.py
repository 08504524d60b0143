"""What the README says can be done."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


@pytest.mark.slow
def test_the_programs_run(capsys):
    """One after the other, in one session."""
    programs = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert len(programs) == 4
    session, printed = {}, []
    for program in programs:
        exec(compile(program, "README.md", "exec"), session)
        printed.append(capsys.readouterr().out)
    assert printed[0].endswith("(10, 784)\n")
    assert -300 < float(printed[1]) < 0
    swap_rates = [float(rate) for rate in printed[2].strip("[]\n").split()]
    assert len(swap_rates) == 9 and all(0 <= rate <= 1 for rate in swap_rates) and any(swap_rates)
    # A likelihood estimated both ways, each with its error.
    (forward, _), (reverse, _) = (map(float, line.split()) for line in printed[3].splitlines()[1:])
    assert -300 < forward < -100 and abs(forward - reverse) < 5


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
