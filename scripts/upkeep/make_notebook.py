"""Make docs/tutorial.ipynb, the tutorial as a notebook, from docs/tutorial.md.

A listing becomes a cell of code and what it prints the cell's output; the text between listings
becomes cells of Markdown, one a section or less. The pictures are inside of the notebook, so that
it can be read and run with nothing beside it but the installed package.
"""

import argparse
import base64
import json
import re
from pathlib import Path

from rbm_sym.runs.options import some_path

PAGE = Path(__file__).parents[2] / "docs" / "tutorial.md"
FENCED = re.compile(r"^```(?P<language>\w*)\n(?P<text>.*?)^```\n", flags=re.DOTALL | re.MULTILINE)
# What stands before a program that quotes a file of the library and is not to be run.
BEFORE_QUOTE = re.compile(r"\]\(\.\./rbm_sym/\w+\.py\):\n\n\Z")
LINK = re.compile(r"(?P<is_picture>!?)\[(?P<text>(?:[^][]|\[\])*)\]\((?P<target>[^)]+)\)")
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--output", type=some_path, default=PAGE.with_suffix(".ipynb"), help="default: %(default)s"
    )
    parser.parse_args().output.write_text(notebook(PAGE))


def notebook(page):
    """The text of the notebook that is made of the page at this path."""
    text = page.read_text()
    cells = []
    for kind, part in parts(text):
        if kind == "output":
            output = {"name": "stdout", "output_type": "stream", "text": in_lines(part)}
            cells[-1]["outputs"] = [output]
        elif kind == "listing":
            cells.append(code_cell(part))
        else:
            cells.append(markdown_cell(part, page.parent, anchors(text)))
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"
    made = {
        "cells": cells,
        "metadata": {"kernelspec": KERNEL, "language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(made, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def parts(text):
    """What a page is made of, in order: pairs of "listing", "output" or "text" and the part."""
    begin, last = 0, "text"
    for block in FENCED.finditer(text):
        before = text[begin : block.start()]
        is_program = block["language"] == "python" and not BEFORE_QUOTE.search(before)
        is_output = block["language"] == "text" and last == "listing" and not before.strip()
        if not (is_program or is_output):
            continue
        yield from (("text", section) for section in sections(before))
        last = "listing" if is_program else "output"
        yield last, block["text"].removesuffix("\n") if is_program else block["text"]
        begin = block.end()
    yield from (("text", section) for section in sections(text[begin:]))


def sections(text):
    """A text without its programs, cut before each of its headings."""
    return [part.strip() for part in re.split(r"^(?=## )", text, flags=re.M) if part.strip()]


def code_cell(code):
    return {
        "cell_type": "code",
        "execution_count": None,
        "metadata": {},
        "outputs": [],
        "source": in_lines(code),
    }


def markdown_cell(text, folder, anchors):
    """A cell whose pictures, found from this folder, are in itself."""
    attachments = {}

    def for_notebook(link):
        target = link["target"]
        if link["is_picture"]:
            picture = (folder / target).read_bytes()
            name = Path(target).name
            attachments[name] = {"image/png": base64.b64encode(picture).decode()}
            return f"![{link['text']}](attachment:{name})"
        if target.startswith("#"):
            return f"[{link['text']}](#{anchors[target[1:]]})"
        # Files of the checkout are not beside the notebook.
        return link[0] if target.startswith("http") else link["text"]

    # GitHub's way to write an equation, and Jupyter's.
    text = re.sub(r"^```math\n(.*?)^```$", r"$$\n\1$$", text, flags=re.DOTALL | re.MULTILINE)
    text = LINK.sub(for_notebook, text)
    cell = {"cell_type": "markdown", "metadata": {}, "source": in_lines(text)}
    return cell | ({"attachments": attachments} if attachments else {})


def anchors(text):
    """{GitHub's name for a heading: Jupyter's}"""
    titles = re.findall(r"^#+ (.*)", text, flags=re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-"): title.replace(" ", "-")
        for title in titles
    }


def in_lines(text):
    return text.splitlines(keepends=True)


if __name__ == "__main__":
    main()
