"""Run the listings of docs/tutorial.md in order, and compare their output with the page.

A Python block of the page is a listing, and a text block right after it is its output. A Python
block below a line that ends with a link to a file of the library quotes that file and is not run.
"""

import argparse
import contextlib
import io
import re
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from rbm_sym.runs.options import some_path
from rbm_sym.runs.terminal import one_line_errors

PAGE = Path(__file__).parents[2] / "docs" / "tutorial.md"
BLOCK = re.compile(
    r"(?:\]\(\.\./(?P<quoted>rbm_sym/\w+\.py)\):\n\n)?"
    r"^```python\n(?P<code>.*?)^```\n"
    r"(?:\n^```text\n(?P<output>.*?)^```\n)?",
    flags=re.DOTALL | re.MULTILINE,
)
NUMBER = re.compile(r"(?P<about>about )?(?P<value>-?\d+(?:\.\d*)?)")


@dataclass
class Block:
    """A Python block of the page.

    line : number of its first line
    code : its text
    output : its output on the page
    quoted : the file of the library that it quotes; None for a listing
    """

    line: int
    code: str
    output: str
    quoted: str | None


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--pictures",
        type=some_path,
        metavar="FOLDER",
        help="keep the pictures that the listings save",
    )
    pictures = parser.parse_args().pictures
    # The working directory changes.
    pictures = pictures and pictures.absolute()
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        differing = 0
        for block, printed in run(read_blocks(PAGE.read_text())):
            print(printed, end="", flush=True)
            if not agree(printed, block.output):
                differing += 1
                print(f"=== Line {block.line}: the page shows\n{block.output}===")
        if pictures:
            keep_pictures(Path(folder), pictures)
    if differing:
        sys.exit(f"run_tutorial.py: the output of {differing} listings differs from the page")


def read_blocks(page):
    """The Python blocks of a page, in order."""
    return [
        Block(
            line=page.count("\n", 0, match.start("code")) + 1,
            code=match["code"],
            output=match["output"] or "",
            quoted=match["quoted"],
        )
        for match in BLOCK.finditer(page)
    ]


def run(blocks):
    """Run the listings in one namespace, in the working directory; yields (block, output)."""
    namespace = {"__name__": "__main__"}
    for block in blocks:
        if block.quoted is None:
            # With as many lines above as on the page, so that errors name the page's line.
            code = compile("\n" * (block.line - 1) + block.code, PAGE.name, "exec")
            with contextlib.redirect_stdout(io.StringIO()) as printed:
                exec(code, namespace)
            yield block, printed.getvalue()


def agree(printed, shown):
    """Whether two outputs have the same words and nearly the same numbers.

    Random numbers are the same on every machine, but rounding is not. A number may differ by two in
    its last digit. After the word "about", it may differ by a twentieth if that is more, since
    rounding has decided some random draws there. Several blanks count as one.
    """
    if NUMBER.sub("0", printed).split() != NUMBER.sub("0", shown).split():
        return False
    pairs = zip(NUMBER.finditer(printed), NUMBER.finditer(shown), strict=True)
    return all(
        abs(float(found["value"]) - float(number["value"])) <= tolerance(number)
        for found, number in pairs
    )


def tolerance(number):
    """The difference that is allowed from this number on the page."""
    _, _, decimals = number["value"].partition(".")
    # A little more than two, since decimal fractions are not exact.
    of_last_digit = 2.01 * 10.0 ** -len(decimals)
    of_about = abs(float(number["value"])) / 20 if number["about"] else 0
    return max(of_last_digit, of_about)


def keep_pictures(source, destination):
    """Copy the PNG pictures of one folder to another."""
    destination.mkdir(parents=True, exist_ok=True)
    for picture in source.glob("*.png"):
        shutil.copy(picture, destination)


if __name__ == "__main__":
    # Other errors are the page's, and their traceback names its line.
    with one_line_errors(BrokenPipeError):
        main()
