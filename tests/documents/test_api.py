"""Every public name has a page in docs/api and an example, and the examples do what they show."""

import re

import pytest
from processes import in_a_process
from programs import ROOT
from public_names import MODULES, examples_in, has_a_docstring, public_names, run_examples

PAGES = [path.read_text() for path in sorted((ROOT / "docs" / "api").glob("*.md"))]
# A name in a table has a page made from its docstring; a constant has a paragraph and a program.
LISTED = [name for page in PAGES for name in re.findall(r"^   (rbm_sym\.[\w.]+)$", page, re.M)]
CONSTANTS = {
    name: program
    for page in PAGES
    for name, program in re.findall(
        r"^````{py:data} (\S+)$.*?^```python$(.*?)^```$", page, re.M | re.S
    )
}
PUBLIC = {module: public_names(module) for module in MODULES}
WITH_DOCSTRING = {
    f"{module}.{name}": value
    for module, names in PUBLIC.items()
    for name, value in names.items()
    if has_a_docstring(value)
}
WITHOUT = [
    f"{module}.{name}"
    for module, names in PUBLIC.items()
    for name, value in names.items()
    if not has_a_docstring(value)
]


def examples_of(names):
    """The examples of public names, those of an object with two names once."""
    objects = {WITH_DOCSTRING[name]: name for name in reversed(names)}
    return [test for value, name in objects.items() for test in examples_in(name, value.__doc__)]


def examples_of_module(module):
    return examples_of([name for name in WITH_DOCSTRING if name.rpartition(".")[0] == module])


def test_every_public_name_has_a_page():
    # Some can be imported from two modules: a page under one name is enough.
    with_page = [WITH_DOCSTRING[name] for name in LISTED]
    assert [name for name, value in WITH_DOCSTRING.items() if value not in with_page] == []
    assert sorted(CONSTANTS) == sorted(WITHOUT)


def test_no_object_has_two_pages():
    objects = [WITH_DOCSTRING[name] for name in LISTED]
    assert len(set(objects)) == len(objects)


@pytest.mark.parametrize("name", LISTED)
def test_its_docstring_has_an_example_that_uses_it(name):
    last = name.rpartition(".")[2]
    (test,) = examples_of([name])
    assert any(last in example.source for example in test.examples)


# Nothing is compiled: the Ops' own Python is fast for graphs that are small and called a few times.
UNCOMPILED = {"mode": "FAST_COMPILE", "cxx": ""}


@pytest.mark.parametrize("module", MODULES)
def test_the_examples_run(module):
    assert in_a_process(run_examples, examples_of_module(module), UNCOMPILED) == 0


@pytest.mark.slow
@pytest.mark.parametrize("module", MODULES)
def test_the_examples_run_compiled(module):
    assert in_a_process(run_examples, examples_of_module(module), {}) == 0


def test_the_examples_of_constants_run():
    tests = [test for name, text in CONSTANTS.items() for test in examples_in(name, text)]
    assert len(tests) == len(WITHOUT)
    assert in_a_process(run_examples, tests, UNCOMPILED) == 0
