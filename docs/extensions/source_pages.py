"""A page for each file outside of docs that a guide links to, so that no link leaves the site.

The guides link to files as they lie in a checkout. Here, README.md is the first page, and any other
file has a page that shows it; a folder has one that lists its files.
"""

import os
import re
from html import escape
from pathlib import Path

from docutils import nodes

DOCS = Path(__file__).parents[1]
ROOT = DOCS.parent
README = ROOT / "README.md"
LANGUAGES = {".py": "python", ".js": "javascript", ".md": "markdown", ".cfg": "ini"}
# A link or picture of Markdown, but not within a program.
LINK = re.compile(r"(?P<fence>^```.*?^```)|(?P<before>\]\()(?P<target>[^)\s]+)(?=\))", re.S | re.M)
SCHEME = "source:"


def setup(app):
    app.connect("source-read", of_page)
    app.connect("include-read", of_included)
    app.connect("doctree-resolved", link_to_pages)
    app.connect("html-collect-pages", make_pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def of_page(app, page, text):
    folder = (DOCS / page).parent
    text[0] = in_site(text[0], folder, folder)


def of_included(app, path, page, text):
    text[0] = in_site(text[0], (DOCS / path).resolve().parent, DOCS)


def in_site(text, folder, start):
    """A text from a file in `folder`, its links as a page in the folder `start` has them."""

    def linked(match):
        if match["fence"]:
            return match[0]
        return match["before"] + target_in_site(match["target"], folder, start)

    return LINK.sub(linked, text)


def target_in_site(target, folder, start):
    """What a link from a file in `folder` is called on a page in the folder `start` of docs."""
    if re.match(r"#|\w+:", target):
        return target
    path, mark, heading = target.partition("#")
    path = Path(os.path.normpath(folder / path))
    if path == README:
        path = DOCS / "index.md"
    if path.is_relative_to(DOCS):
        return os.path.relpath(path, start) + mark + heading
    return f"{SCHEME}{path.relative_to(ROOT)}" if path.exists() else target


def link_to_pages(app, doctree, page):
    for reference in source_references(doctree):
        path = reference["refuri"].removeprefix(SCHEME)
        reference["refuri"] = app.builder.get_relative_uri(page, page_name(path))
        reference["internal"] = True


def make_pages(app):
    """The pages as Sphinx takes them: (name, context, template) of each."""
    doctrees = map(app.env.get_doctree, sorted(app.env.found_docs))
    wanted = {
        reference["refuri"].removeprefix(SCHEME)
        for doctree in doctrees
        for reference in source_references(doctree)
    }
    for folder in [path for path in wanted if (ROOT / path).is_dir()]:
        wanted |= set(files_in(folder))
    for path in sorted(wanted):
        show = list_of_files if (ROOT / path).is_dir() else content
        body = f"<h1><code>{escape(path)}</code></h1>\n{show(app, path)}"
        yield page_name(path), {"title": path, "body": body}, "page.html"


def source_references(doctree):
    for reference in doctree.findall(nodes.reference):
        if reference.get("refuri", "").startswith(SCHEME):
            yield reference


def page_name(path):
    return f"source/{path}"


def files_in(folder):
    """The files that lie in a folder."""
    paths = sorted((ROOT / folder).iterdir())
    return [str(path.relative_to(ROOT)) for path in paths if path.is_file()]


def list_of_files(app, folder):
    of_folder = page_name(folder)
    rows = [
        f'<li><a href="{app.builder.get_relative_uri(of_folder, page_name(path))}">'
        f"{escape(Path(path).name)}</a></li>"
        for path in files_in(folder)
    ]
    return f"<ul>{''.join(rows)}</ul>"


def content(app, path):
    language = LANGUAGES.get(Path(path).suffix, "text")
    return app.builder.highlighter.highlight_block((ROOT / path).read_text(), language)
