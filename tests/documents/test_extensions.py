"""What docs/extensions make of docstrings, links and equations."""

from xml.etree import ElementTree

import pytest
from programs import ROOT

pytest.importorskip("sphinx", reason="it comes with the extra 'docs'")
pytest.importorskip("ziamath", reason="it comes with the extra 'docs'")

from docstrings import with_lists, with_literal_blocks, with_plain_attributes, with_tables
from docutils import nodes
from equations import picture
from source_pages import in_site

DOCS = ROOT / "docs"
SVG = "{http://www.w3.org/2000/svg}"


def made(mark, text):
    return "\n".join(mark(text.splitlines()))


def test_an_indented_block_is_a_formula_or_a_program():
    formula = "The energy:\n\n    E(v) = -b'v\n\nand on."
    shown = "The energy:\n\n.. code-block:: text\n\n    E(v) = -b'v\n\nand on."
    assert made(with_literal_blocks, formula) == shown
    program = "They combine:\n\n    lr = falling(0.1)\n    step(lr)"
    assert "\n.. code-block:: python\n\n    lr" in made(with_literal_blocks, program)


def test_what_a_section_indents_is_no_block():
    section = "Parameters\n----------\nx : int\n    How many.\n\n    At least 1."
    assert made(with_literal_blocks, section) == section


def test_named_things_become_a_list_where_numpydoc_does_not_see_them():
    section = "Returns\n-------\npair\n    x : float array,\n        in [0, 1]\n    y : int"
    shown = "Returns\n-------\npair\n\n    - x : float array,\n      in [0, 1]\n    - y : int"
    assert made(with_lists, section) == shown
    assert made(with_lists, "A stage.\nx : int\ny : int") == "A stage.\n\n- x : int\n- y : int"
    parameters = "Parameters\n----------\nx : int\ny : int"
    assert made(with_lists, parameters) == parameters


def test_a_sentence_among_attributes_has_no_marks():
    attributes = "Attributes\n----------\nAll, and `params`, a list.\nx : `int`\n    In `all`."
    assert made(with_plain_attributes, attributes) == attributes.replace("`params`", "params")
    assert made(with_plain_attributes, "`x` is one.") == "`x` is one."


def test_a_table_of_markdown_becomes_one_of_sphinx():
    table = "| a | b |\n|---|---|\n| `c` | d e |\nafter"
    rows = "   * - a\n     - b\n   * - `c`\n     - d e\nafter"
    assert made(with_tables, table) == f".. list-table::\n   :header-rows: 1\n\n{rows}"


@pytest.mark.parametrize(
    ("link", "folder", "start", "expected"),
    [
        ("[x](models.md#a)", DOCS, DOCS, "[x](models.md#a)"),
        ("[x](docs/models.md)", ROOT, DOCS, "[x](models.md)"),
        ("![x](../tutorial/filters.png)", DOCS / "api", DOCS / "api", None),
        ("[x](../README.md#quick-start)", DOCS, DOCS, "[x](index.md#quick-start)"),
        ("[x](../rbm_sym/rbm.py)", DOCS, DOCS, "[x](source:rbm_sym/rbm.py)"),
        ("[x](scripts/energies)", ROOT, DOCS, "[x](source:scripts/energies)"),
        ("[x](../no_such_file.py)", DOCS, DOCS, None),
        ("[x](https://a.b/c)", DOCS, DOCS, None),
        ("[x](#here)", DOCS, DOCS, None),
        ("```\n[x](../rbm_sym/rbm.py)\n```", DOCS, DOCS, None),
    ],
)
def test_links_stay_in_the_site(link, folder, start, expected):
    assert in_site(link, folder, start) == (expected or link)


@pytest.mark.parametrize("inline", [True, False])
def test_an_equation_is_a_picture_with_its_source_beside_it(inline):
    svg = ElementTree.fromstring(picture(nodes.math(text="\\frac{1}{Z}\n e^{-E}"), inline))
    assert svg.get("aria-label") == "\\frac{1}{Z} e^{-E}"
    assert len(list(svg.iter(f"{SVG}path"))) >= 4
    assert ("vertical-align" in (svg.get("style") or "")) is inline


@pytest.mark.parametrize("tex", ["\\frac{1", "\\nosuchthing{x}"])
def test_an_equation_that_cannot_be_drawn_is_a_warning(tex, caplog):
    assert picture(nodes.math(text=tex), inline=True) == ""
    (record,) = caplog.records
    assert record.levelname == "WARNING" and "cannot be drawn" in record.getMessage()
