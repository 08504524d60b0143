"""Docstrings as they are, in the language that Sphinx reads.

They are plain text, written to be read in an editor. An indented block is a formula or a program,
"name : what it is" says one of several things, and a table has bars, as in Markdown. Sphinx wants
each of these marked in its own way.
"""

import ast
import inspect
import re
from itertools import takewhile

from sphinx.util.nodes import make_refnode

NAMED = re.compile(r"(?P<indent> *)(?P<text>\w+ : .*)")


def setup(app):
    # Before numpydoc, which makes fields of the sections.
    app.connect("autodoc-process-docstring", translate, priority=100)
    app.connect("autodoc-skip-member", skip)
    app.connect("missing-reference", find_by_last_name)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def skip(app, what, name, value, by_default, options):
    """Leave out the fields of named tuples: their docstrings only count them."""
    if (getattr(value, "__doc__", None) or "").startswith("Alias for field number"):
        return True
    return None


def find_by_last_name(app, env, node, content):
    """The page of a public function or class that a text calls by its name alone."""
    if (node.get("refdomain"), node.get("reftype")) != ("py", "obj"):
        return None
    found = [
        entry
        for name, entry in env.domains.python_domain.objects.items()
        if name.rpartition(".")[2] == node["reftarget"]
        and entry.objtype in ("class", "function")
        and not entry.aliased
    ]
    if len(found) != 1:
        return None
    return make_refnode(app.builder, node["refdoc"], found[0].docname, found[0].node_id, content)


def translate(app, what, name, value, options, lines):
    for mark in (with_literal_blocks, with_lists, with_tables, with_plain_attributes):
        lines[:] = mark(lines)


def with_literal_blocks(lines):
    """Indented blocks after a blank line, to be shown as they stand."""
    made, paragraph = [], ""
    for number, (before, line) in enumerate(zip(["", *lines], lines, strict=False)):
        is_deeper = indentation(line) >= indentation(paragraph) + 4
        if line and not before and is_deeper and not re.match(r" *(- |>>> )", paragraph):
            language = "python" if begins_a_program(lines[number:]) else "text"
            made += [f"{' ' * indentation(paragraph)}.. code-block:: {language}", ""]
        made.append(line)
        paragraph = line or paragraph
    return made


def begins_a_program(lines):
    """Whether the block at the beginning of these lines is Python, and no formula."""
    deep = indentation(lines[0])
    block = "\n".join(takewhile(lambda line: not line or indentation(line) >= deep, lines))
    try:
        return bool(ast.parse(inspect.cleandoc(block)).body)
    except SyntaxError:
        return False


def with_lists(lines):
    """Lines such as "x : floatX matrix", but for those of which numpydoc knows, as a list."""
    made, in_section, inside = [], False, None
    for line, after in zip(lines, [*lines[1:], ""], strict=False):
        in_section = in_section or bool(re.fullmatch("-{3,}", after))
        match = NAMED.fullmatch(line)
        if match and len(match["indent"]) >= (4 if in_section else 0):
            if inside is None:
                made.append("")
            inside = len(match["indent"])
            made.append(f"{match['indent']}- {match['text']}")
        elif inside is not None and indentation(line) > inside:
            made.append(" " * (inside + 2) + line.strip())
        else:
            inside = None
            made.append(line)
    return made


def with_tables(lines):
    """The rows of Markdown's tables as those of Sphinx's."""
    made, in_table = [], False
    for line in lines:
        is_row = line.startswith("|")
        if is_row and not in_table:
            made += [".. list-table::", "   :header-rows: 1", ""]
        if not is_row:
            made.append(line)
        elif not set(line) <= set("|-: "):
            first, *others = (cell.strip() for cell in line.strip("|").split("|"))
            made += [f"   * - {first}", *(f"     - {cell}" for cell in others)]
        in_table = is_row
    return made


def with_plain_attributes(lines):
    """Sentences among the attributes without marks: numpydoc takes one for an attribute's name."""
    made, section = [], None
    for line, after in zip(lines, [*lines[1:], ""], strict=False):
        section = line if re.fullmatch("-{3,}", after) else section
        is_sentence = section == "Attributes" and indentation(line) == 0 and " : " not in line
        made.append(line.replace("`", "") if is_sentence else line)
    return made


def indentation(line):
    return len(line) - len(line.lstrip())
