"""Names and signatures: the tutorial's, and ours beside them."""

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path

import rbm_sym
from rbm_sym.runs.options import option

# The tutorial's program is a function with arguments; ours has options.
TRAIN = Path(__file__).resolve().parents[1] / "train_rbm.py"
OPTIONS = {"training_epochs": "epochs", "output_folder": "output"}


def compare_signatures(report, signatures):
    report.write("", "## Names and signatures")
    rows = []
    for name, there in signatures.items():
        here = signature_here(name, there)
        if here is None:
            rows.append([f"`{name}{there}`", "", "not here"])
        else:
            rows.append([f"`{name}{there}`", f"`{here}`", verdict(there, here)])
    report.table(["there", "here", ""], rows)


def signature_here(name, there):
    """Our signature of a function, as text; None if it is not here.

    `there` is the tutorial's signature.
    """
    if name == "test_rbm":
        defaults = option_defaults()
        ours = {key: option(OPTIONS.get(key, key)) for key in parameters_of(there)}
        shared = {key: defaults[name] for key, name in ours.items() if name in defaults}
        return "(" + ", ".join(f"{key}={value}" for key, value in shared.items()) + ")"
    found = rbm_sym
    for part in name.split("."):
        found = getattr(found, part, None)
    if found is None:
        return None
    parameters = inspect.signature(found).parameters.values()
    # Without annotations, which the tutorial has none of.
    parameters = [p.replace(annotation=p.empty) for p in parameters if p.name != "self"]
    return str(inspect.Signature(parameters))


def option_defaults():
    """The options of train_rbm.py and their defaults, as Python writes them: {option: text}."""
    command = [sys.executable, TRAIN, "--help"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = [
        (re.match(r"--[\w-]+", entry), re.search(r"\(default:\s+(\S+)\)", entry))
        for entry in re.split(r"^  (?=--)", text, flags=re.MULTILINE)
    ]
    return {name[0]: as_text(default[1]) for name, default in found if name and default}


def as_text(default):
    try:
        return repr(ast.literal_eval(default))
    except (ValueError, SyntaxError):
        return repr(default)


def verdict(there, here):
    """A text on what a caller has to change from `there` to `here`, two signatures as text."""
    there, here = parameters_of(there), parameters_of(here)
    words = []
    if missing := [name for name in there if name not in here]:
        words.append(f"without {', '.join(missing)}")
    if more := [name for name in here if name not in there]:
        words.append(f"also {', '.join(more)}")
    shared = [name for name in there if name in here]
    if shared != [name for name in here if name in there]:
        words.append("in another order")
    words += [f"{name} defaults to {here[name]}" for name in shared if here[name] != there[name]]
    return "; ".join(words) or "same"


def parameters_of(signature):
    """{parameter: its default as text, or None}, in order."""
    arguments = ast.parse(f"def f{signature}: pass").body[0].args
    names = [a.arg for a in arguments.posonlyargs + arguments.args]
    defaults = [None] * (len(names) - len(arguments.defaults))
    defaults += [ast.unparse(default) for default in arguments.defaults]
    parameters = dict(zip(names, defaults, strict=True))
    if arguments.kwarg:
        parameters["**" + arguments.kwarg.arg] = None
    return parameters


def signatures_of(folder):
    """The signatures in a user's copy of the tutorial: its RBM, and the functions that it uses."""
    found = {}
    for file, wanted in (
        ("rbm.py", ["RBM", "test_rbm"]),
        ("logistic_sgd.py", ["load_data"]),
        ("utils.py", ["scale_to_unit_interval", "tile_raster_images"]),
    ):
        path = folder / file
        if not path.is_file():
            if file == "rbm.py":
                raise ValueError(f"--tutorial: there is no rbm.py in {folder}")
            continue
        try:
            tree = ast.parse(path.read_text(encoding="utf-8"))
        except (SyntaxError, UnicodeDecodeError) as error:
            raise ValueError(
                f"--tutorial: {path} is not a program of Python 3 ({error}); take the tutorial's "
                "version of 2016"
            ) from None
        for node in tree.body:
            if getattr(node, "name", None) in wanted:
                found |= {name: as_signature(function) for name, function in functions_of(node)}
    return found


def functions_of(node):
    """Pairs (name, syntax tree) of a function, or of a class's methods."""
    if isinstance(node, ast.FunctionDef):
        yield node.name, node
        return
    for method in node.body:
        if isinstance(method, ast.FunctionDef):
            is_init = method.name == "__init__"
            yield node.name if is_init else f"{node.name}.{method.name}", method


def as_signature(function):
    function.args.args = [a for a in function.args.args if a.arg != "self"]
    return f"({ast.unparse(function.args)})"
