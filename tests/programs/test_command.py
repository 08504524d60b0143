"""The command rbm-sym, which runs the users' programs."""

import sys

import pytest
from programs import ROOT
from rbm_sym.programs import PROGRAMS, main

from rbm_sym.runs.program_run import how_to_resume


@pytest.fixture
def command(monkeypatch, capsys):
    """A function to the status, output and errors of the command with these arguments."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["/somewhere/bin/rbm-sym", *arguments])
        status = 0
        try:
            main()
        except SystemExit as end:
            status = end.code
        return status, *capsys.readouterr()

    return run


@pytest.mark.parametrize("arguments", [(), ("-h",), ("--help",)])
def test_help_tells_all_programs(command, arguments):
    status, said, errors = command(*arguments)
    assert status == 0 and errors == ""
    _, _, *programs = said.splitlines()
    assert [line.split()[0] for line in programs] == list(PROGRAMS)
    assert all(len(line.split()) > 3 for line in programs), "each has a word on what it does"


def test_its_programs_are_those_of_the_users():
    files = {path.stem for path in (ROOT / "scripts").glob("*.py")} - {"__init__"}
    assert files == set(PROGRAMS.values())


def test_a_program_that_there_is_not(command):
    status, said, errors = command("traim")
    assert status == 2 and said == ""
    assert errors.startswith("rbm-sym: error: there is no program 'traim'\nusage: rbm-sym PROGRAM")


def test_a_program_gets_its_options_and_its_name(command):
    status, said, errors = command("graph", "--k", "0")
    assert status == 2 and said == ""
    assert errors.startswith("usage: rbm-sym graph ")
    assert "rbm-sym graph: error: argument --k: " in errors.splitlines()[-1]


def test_a_run_that_the_command_began_is_resumed_by_it(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["rbm-sym train", "--epochs", "3"])
    assert how_to_resume("a folder", "after update 3") == (
        "... stopped after update 3; go on with: rbm-sym train --resume 'a folder'"
    )
