"""What docs/tutorial.md shows is what happens."""

import ast
import re
import textwrap

import pytest
from programs import ROOT, run
from run_tutorial import PAGE, agree, read_blocks

TEXT = PAGE.read_text()
BLOCKS = read_blocks(TEXT)
PICTURES = re.findall(r"!\[[^]]+\]\(tutorial/(\w+\.png)\)", TEXT)


@pytest.mark.slow
def test_the_listings_print_what_the_page_shows(tmp_path):
    result = run("run_tutorial.py", "--pictures", "pictures", cwd=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    assert {path.name for path in (tmp_path / "pictures").iterdir()} == set(PICTURES)


def test_every_block_is_read():
    assert TEXT.count("\n```python") == len(BLOCKS)
    assert TEXT.count("\n```text") == sum(bool(block.output) for block in BLOCKS)


def without_annotations(source):
    """A module's text with each `def` in one line, as the page quotes it."""
    lines = source.splitlines(keepends=True)
    functions = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)]
    for node in sorted(functions, key=lambda node: -node.lineno):
        for argument in ast.walk(node.args):
            if isinstance(argument, ast.arg):
                argument.annotation = None
        header = f"{' ' * node.col_offset}def {node.name}({ast.unparse(node.args)}):\n"
        lines[node.lineno - 1 : node.body[0].lineno - 1] = [header]
    return "".join(lines)


def test_what_the_page_quotes_stands_in_the_library():
    quotes = [block for block in BLOCKS if block.quoted]
    assert {block.quoted for block in quotes} == {"rbm_sym/rbm.py", "rbm_sym/energy.py"}
    for block in quotes:
        source = without_annotations((ROOT / block.quoted).read_text())
        in_class, in_method = (f"\n{textwrap.indent(block.code, ' ' * n)}" for n in (4, 8))
        assert in_class in source or in_method in source, f"line {block.line}"


def test_its_pictures_are_small():
    for name in PICTURES:
        assert (PAGE.parent / "tutorial" / name).stat().st_size < 150_000, name


@pytest.mark.parametrize(
    ("printed", "shown", "expected"),
    [
        ("cost -0.123, k 5\n", "cost -0.125, k 5\n", True),
        ("cost -0.123\n", "cost -0.126\n", False),
        ("cost -62\n", "cost -64\n", True),
        ("cost -62\n", "cost -65\n", False),
        ("cost about 103\n", "cost about 100\n", True),
        ("cost about 106\n", "cost about 100\n", False),
        ("[1. 2.]\n", "[1.  2.]\n", True),
        ("True\n", "False\n", False),
        ("True 1\n", "True\n", False),
        ("", "True\n", False),
    ],
)
def test_outputs_agree_up_to_rounding(printed, shown, expected):
    assert agree(printed, shown) is expected
