"""docs/tutorial.ipynb is the tutorial, and needs nothing but the installed package."""

import ast
import base64
import json
import re
import sys

import pytest
from make_notebook import PAGE, notebook
from programs import ROOT
from run_tutorial import agree, read_blocks

COMMITTED = ROOT / "docs" / "tutorial.ipynb"
CELLS = json.loads(COMMITTED.read_text())["cells"]
CODE = [cell for cell in CELLS if cell["cell_type"] == "code"]
TEXT = [cell for cell in CELLS if cell["cell_type"] == "markdown"]


def source(cell):
    return "".join(cell["source"])


def printed(cell):
    return "".join("".join(output["text"]) for output in cell["outputs"])


def test_it_is_what_the_page_makes():
    mend = "run python scripts/upkeep/make_notebook.py"
    assert COMMITTED.read_text() == notebook(PAGE), mend


def test_its_cells_are_the_listings_of_the_page():
    blocks = [block for block in read_blocks(PAGE.read_text()) if not block.quoted]
    assert [(source(cell) + "\n", printed(cell)) for cell in CODE] == [
        (block.code, block.output) for block in blocks
    ]


def test_it_keeps_the_text_of_the_page():
    """All words outside of programs, but for what is written otherwise in a notebook."""
    words = re.findall(r"\w+", "\n".join(map(source, TEXT)))
    listing = r"^```(?:python|text)\n.*?^```\n"
    page = re.sub(r"\]\([^)]*\)", "", PAGE.read_text())
    page = re.sub(listing, "", page.replace("```math", ""), flags=re.DOTALL | re.MULTILINE)
    missing = set(re.findall(r"\w+", page)) - set(words)
    assert missing == set()


def test_it_imports_the_package_and_what_that_needs():
    imported = set()
    for node in ast.walk(ast.parse("\n".join(map(source, CODE)))):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module.partition(".")[0])
    allowed = {"rbm_sym", "numpy", "pytensor", "PIL", "matplotlib"}
    assert "rbm_sym" in imported
    assert imported <= allowed | sys.stdlib_module_names


def test_its_links_and_pictures_need_no_other_file():
    titles = re.findall(r"^#+ (.*)$", "\n".join(map(source, TEXT)), re.MULTILINE)
    headings = {title.replace(" ", "-") for title in titles}
    n_pictures = 0
    for cell in TEXT:
        for target in re.findall(r"\]\(([^)]+)\)", source(cell)):
            if target.startswith("attachment:"):
                data = cell["attachments"][target.removeprefix("attachment:")]["image/png"]
                assert base64.b64decode(data).startswith(b"\x89PNG")
                n_pictures += 1
            elif target.startswith("#"):
                assert target[1:] in headings, target
            else:
                assert target.startswith("http"), target
    assert n_pictures == len(re.findall(r"^!\[", PAGE.read_text(), re.MULTILINE)) > 0


def test_it_is_a_notebook():
    nbformat = pytest.importorskip("nbformat", reason="it comes with the extra 'docs'")
    nbformat.validate(nbformat.read(COMMITTED, as_version=4))


@pytest.mark.slow
def test_it_runs_alone(tmp_path):
    """In an empty folder, its cells print what they show."""
    pytest.importorskip("ipykernel", reason="it comes with the extra 'docs'")
    nbclient = pytest.importorskip("nbclient", reason="it comes with the extra 'docs'")
    import nbformat

    executed = nbformat.read(COMMITTED, as_version=4)
    resources = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(executed, timeout=None, resources=resources).execute()
    of_code = [cell for cell in executed.cells if cell.cell_type == "code"]
    for cell, shown in zip(of_code, CODE, strict=True):
        assert agree(printed(cell), printed(shown)), cell.source
    assert {path.name for path in tmp_path.glob("*.png")} == {
        name for cell in TEXT for name in cell.get("attachments", ())
    }
