"""The pages that people read: the README, and the guides in docs/."""

import contextlib
import re

import pytensor
from programs import ROOT

README = ROOT / "README.md"
# What leads through the documentation site is no guide.
GUIDES = [path for path in sorted((ROOT / "docs").glob("*.md")) if path.name != "index.md"]
PAGES = [README, *GUIDES]


def listings(page):
    """The Python listings of a page, in order."""
    return re.findall(r"^```python\n(.*?)^```", page.read_text(), flags=re.DOTALL | re.MULTILINE)


def prose(page):
    """The text of a page without its listings and without code in its lines."""
    code = r"^ *```.*?^ *```$|`[^`\n]*`"
    return re.sub(code, "", page.read_text(), flags=re.DOTALL | re.MULTILINE)


def links(page):
    """The targets of a page's links and pictures, but for those in other places."""
    return re.findall(r"\]\((?![a-z]+:)([^)]+)\)", prose(page))


def sections(page):
    """What a link may name after its #, as GitHub makes it of the headings."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.*)", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in headings}


def tables(page):
    """The rows of a page's tables, each a list of cells; neither heads nor the lines below them."""
    lines = re.findall(r"^\|(.*)\|$", page.read_text(), flags=re.MULTILINE)
    rows = [[cell.strip() for cell in line.split("|")] for line in lines]
    rules = [i for i, row in enumerate(rows) if set("".join(row)) <= set("-:")]
    return [row for i, row in enumerate(rows) if i not in rules and i + 1 not in rules]


def run_listings(page, folder):
    """Run the listings in one session, in a folder; the names that they leave."""
    session = {}
    with pytensor.config.change_flags(floatX="float64"), contextlib.chdir(folder):
        for listing in listings(page):
            exec(compile(listing, page.name, "exec"), session)
    return session
