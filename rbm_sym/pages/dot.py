"""PyTensor graphs in the DOT language, with the attributes that PyTensor's d3viz needs.

d3viz has a formatter of its own, but this needs Graphviz and leaves out the inside of a scan. It
also names an operation by its class, which is "Elemwise" for every elementwise function.
"""

import json
from collections import defaultdict
from itertools import count

from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.basic import Constant
from pytensor.graph.traversal import ancestors, toposort
from pytensor.scan.op import Scan

COLORS = {
    "input": "limegreen",
    "shared variable": "yellowgreen",
    "constant": "lightgrey",
    "result": "dodgerblue",
    "scan": "yellow",
    "operation of rbm_sym": "orange",
    "other operation": "white",
}
LONGEST_LABEL = 40


def dot_source(outputs):
    """The graph that computes `outputs`, a list of variables."""
    labels = [output.name or f"output {i}" for i, output in enumerate(outputs)]
    statements = graph_statements(outputs, labels, {}, vertex_names("v"))
    return "\n".join(["digraph {", *statements, "}"])


def vertex_names(prefix):
    """A dict from variable, operation or output to a name, made when it is first looked up."""
    numbers = count()
    return defaultdict(lambda: f"{prefix}_{next(numbers)}")


def graph_statements(outputs, output_labels, input_labels, names):
    """The statements for a graph and for the inner graphs of its scans.

    Parameters
    ----------
    outputs : list of variables
    output_labels : list of str
    input_labels : dict from input to str, for inputs that have no name or that nothing reads
    names : the result of `vertex_names`
    """
    for variable in dict.fromkeys([*input_labels, *ancestors(outputs)]):
        if variable.owner is None:
            yield leaf(variable, input_labels, names)
    for node in toposort(outputs):
        yield from operation(node, outputs, names)
    for i, (output, label) in enumerate(zip(outputs, output_labels, strict=True)):
        yield box(names["output", i], label, "result", output.type)
        yield edge(names[origin(output)], names["output", i], str(output.type))


def leaf(variable, input_labels, names):
    """The statement for a variable that nothing computes."""
    if isinstance(variable, Constant):
        return box(names[variable], str(variable.data), "constant", variable.type)
    kind = "shared variable" if isinstance(variable, SharedVariable) else "input"
    label = variable.name or input_labels[variable]
    return box(names[variable], label, kind, variable.type)


def operation(node, outputs, names):
    """The statements for an apply node and the edges that lead to it."""
    kind, inner, attributes = "other operation", [], {}
    if isinstance(node.op, Scan):
        kind = "scan"
        inner, attributes = scan_step(node, outputs, names)
    elif type(node.op).__module__.startswith("rbm_sym."):
        kind = "operation of rbm_sym"
    yield vertex(
        names[node],
        operation_label(node, outputs),
        kind,
        shape="ellipse",
        apply_op=str(node.op),
        **attributes,
    )
    yield from inner
    for i, variable in enumerate(node.inputs):
        color = edge_color(node.op, i)
        yield edge(names[origin(variable)], names[node], f"{i} {variable.type}", **color)


def scan_step(node, outputs, names):
    """The cluster of a scan's inner graph, and the attributes by which d3viz can open it.

    These say where edges go when the scan is open. Edges to the scan lead to the inputs of its
    inner graph, and edges from the scan begin at its outputs.
    """
    inner_inputs, inner_outputs = node.op.inner_inputs, node.op.inner_outputs
    mappings = node.op.get_oinp_iinp_iout_oout_mappings()
    outer_input = {
        inner_inputs[i]: node.inputs[outer]
        for i, outer in mappings["outer_inp_from_inner_inp"].items()
    }
    # As in the printed graph, an input that stands for an expression is named by its number.
    input_labels = {
        variable: outer_input[variable].name or f"i{i}" for i, variable in enumerate(inner_inputs)
    }
    output_labels = [f"o{i}" for i in range(len(inner_outputs))]
    inner_names = vertex_names(names[node])
    cluster = f"cluster_{names[node]}"
    statements = [
        f"subgraph {cluster} {{",
        *graph_statements(inner_outputs, output_labels, input_labels, inner_names),
        "}",
    ]
    into = [
        [names[origin(outer)], inner_names[variable]] for variable, outer in outer_input.items()
    ]
    out_of = [
        [inner_names["output", i], names[reader]]
        for outer, inner in mappings["inner_out_from_outer_out"].items()
        for i in inner
        for reader in readers(node.outputs[outer], outputs)
    ]
    attributes = {
        "subg": cluster,
        "subg_map_inputs": json.dumps(into).replace('"', "'"),
        "subg_map_outputs": json.dumps(out_of).replace('"', "'"),
    }
    return statements, attributes


def readers(variable, outputs):
    """The apply nodes and outputs that read a variable, as keys of `vertex_names`."""
    nodes = [node for node in toposort(outputs) if variable in node.inputs]
    return nodes + [("output", i) for i, output in enumerate(outputs) if output is variable]


def operation_label(node, outputs):
    """The operation, without its properties if the text is long, and the name of its result."""
    label = str(node.op)
    if len(label) > LONGEST_LABEL:
        label = label.split("{")[0]
    named = [variable.name for variable in node.outputs if variable not in outputs]
    return label + "".join(f" → {name}" for name in named if name)


def edge_color(op, i):
    """The attribute color as in d3viz, {} for most edges.

    It is red if `op` overwrites its i-th input, and blue if the result is a view of that input.
    """
    for inputs_by_output, color in [(op.destroy_map, "red"), (op.view_map, "dodgerblue")]:
        if any(i in inputs for inputs in inputs_by_output.values()):
            return {"color": color}
    return {}


def origin(variable):
    """Where an edge from a variable begins: at its apply node, if it has one."""
    return variable if variable.owner is None else variable.owner


def box(name, label, kind, type_):
    """The statement for a variable."""
    return vertex(name, label, kind, shape="box", dtype=str(type_))


def vertex(name, label, kind, **attributes):
    attributes |= {"label": label, "node_type": kind, "fillcolor": COLORS[kind]}
    # d3viz needs a position, which Graphviz would compute.
    return f"{name} {attribute_list(pos='0,0', **attributes)};"


def edge(source, target, label, **attributes):
    return f"{source} -> {target} {attribute_list(label=label, **attributes)};"


def attribute_list(**attributes):
    # DOT's strings have one escape, \", and JSON has it too. All other characters stay.
    values = (f"{name}={json.dumps(v, ensure_ascii=False)}" for name, v in attributes.items())
    return f"[{', '.join(values)}]"
