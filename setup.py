"""What setup.cfg cannot say: links of the README that work on a package index's page.

In the README they are relative, and right wherever the files are beside it. The page has the README
alone. If setup.cfg has an address of the project (`url`), the page's links are absolute; else they
stay as they are.
"""

import re
from configparser import ConfigParser
from pathlib import Path

ROOT = Path(__file__).resolve().parent
# Code, which is left alone; and links to files of the project, pictures among them.
LINK = re.compile(
    r"^```.*?^```$|`[^`\n]*`|(?P<picture>!?)\[(?P<text>[^]]*)\]\((?![a-z]+:|#)(?P<target>[^)]+)\)",
    flags=re.DOTALL | re.MULTILINE,
)


def long_description():
    """The text of the page."""
    config = ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    address = config.get("metadata", "url", fallback=None)
    readme = (ROOT / "README.md").read_text("utf-8")
    return absolute_links(readme, address, revision()) if address else readme


def absolute_links(text, address, revision):
    """A Markdown text whose relative links lead to the files of a git repository.

    Parameters
    ----------
    text : str
    address : str, of the repository
    revision : str, a tag or HEAD
    """

    def absolute(match):
        if match["target"] is None:
            return match[0]
        kind = "raw" if match["picture"] else "blob"
        place = f"{address.rstrip('/')}/{kind}/{revision}/{match['target']}"
        return f"{match['picture']}[{match['text']}]({place})"

    return LINK.sub(absolute, text)


def revision():
    """The tag of this version; HEAD for one between two releases, which has none."""
    source = (ROOT / "rbm_sym" / "__init__.py").read_text("utf-8")
    version = re.search(r'^__version__ = "(.+)"$', source, flags=re.MULTILINE)[1]
    return "HEAD" if "dev" in version else f"v{version}"


if __name__ == "__main__":
    from setuptools import setup

    setup(long_description=long_description())
