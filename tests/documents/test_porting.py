"""What docs/porting.md says, row by row: each row of its tables has a test of its own here.

But for those on Python 2: what they say of Python 3 is not ours to test.
"""

import functools
import importlib
import inspect
import io
import os
import pickle
import re
import subprocess
import sys
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from PIL import Image
from pytensor.compile.mode import get_mode
from pytensor.compile.rebuild import UnusedInputError
from pytensor.gradient import DisconnectedInputError, NullTypeGradError, disconnected_grad
from pytensor.link.numba.linker import NumbaLinker

from rbm_sym import DBN, RBM, MRG_RandomStreams, RandomStreams, gibbs_chain, load_data, logistic
from rbm_sym import tile_raster_images as tile
from rbm_sym.checkpoint import load_arrays, save_arrays
from rbm_sym.mlp import HiddenLayer, LogisticRegression
from rbm_sym.models import load_dbn, load_rbm, save_model

GUIDE = (Path(__file__).parents[2] / "docs" / "porting.md").read_text()
PYTHON = "FAST_COMPILE"
STREAMS = [RandomStreams, MRG_RandomStreams]
pytestmark = pytest.mark.usefixtures("double")
TESTED = []


def row(first_cell):
    """The mark of a test: that of the row with this first cell."""

    def mark(test):
        assert test.__name__.startswith("test_")
        TESTED.append(first_cell)
        return test

    return mark


def table_rows(text=GUIDE):
    cells = [
        [cell.strip() for cell in line.strip().strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("|")
    ]
    return [c for c in cells if c[0] != "Theano" and not set(c[0]) <= set("-:")]


def run(outputs, inputs=(), values=(), mode=PYTHON, **options):
    """The outputs' values, from one call of a function compiled for them."""
    return pytensor.function(list(inputs), outputs, mode=mode, **options)(*values)


def in_float32():
    return pytensor.config.change_flags(floatX="float32")


def scan_by_hand(*arguments, **options):
    with pytest.warns(DeprecationWarning, match="Updates dict will not be returned"):
        return pytensor.scan(*arguments, **options)


def no_attribute(name):
    return pytest.raises(AttributeError, match=f"no attribute '{name}'")


# The guide as a whole.


def test_every_table_has_three_columns_and_every_cell_a_text():
    rows = table_rows()
    assert len(rows) > 50
    assert all(len(cells) == 3 and all(cells) for cells in rows)


def test_every_row_has_a_test_and_every_test_a_row():
    rows = [cells[0] for cells in table_rows()]
    assert len(rows) == len(set(rows)) and len(TESTED) == len(set(TESTED))
    of_python_2 = {cells[0] for cells in table_rows(GUIDE.partition("## Python 2")[2])}
    assert 0 < len(of_python_2) < 10
    assert set(rows) - of_python_2 <= set(TESTED) <= set(rows)


def test_names_of_the_second_column_exist():
    names = set()
    for _, new, _ in table_rows():
        names.update(re.findall(r"\b(?:T|pytensor|rbm_sym|numpy)(?:\.\w+)+", new))
    assert len(names) > 20
    for name in names:
        found, *attributes = name.replace("T.", "pytensor.tensor.", 1).split(".")
        found = importlib.import_module(found)
        for attribute in attributes:
            if not hasattr(found, attribute):
                importlib.import_module(f"{found.__name__}.{attribute}")
            found = getattr(found, attribute)


# What rbm.py, DBN.py, mlp.py and logistic_sgd.py use of Theano, in their versions over the years.
NAMES = """
    theano theano.tensor theano.config.floatX theano.shared theano.function theano.scan theano.In
    theano.Param theano.tensor.shared_randomstreams.RandomStreams
    theano.sandbox.rng_mrg.MRG_RandomStreams T.matrix T.dmatrix T.ivector T.lscalar T.scalar
    T.cast T.dot T.nnet.sigmoid T.nnet.softmax T.tanh T.log T.exp T.mean T.sum T.argmax T.neq
    T.arange T.round T.iround T.set_subtensor T.setsubtensor T.grad W.get_value W.value W.T
    y.ndim y.dtype y.type y.shape rng.binomial consider_constant= outputs_info= n_steps=
    updates= givens= name= inputs outputs borrow=True
"""


@pytest.mark.parametrize("name", NAMES.split())
def test_no_name_of_the_tutorial_is_missing(name):
    pattern = rf"(?<![\w.]){re.escape(name)}(?!\w)"
    assert any(re.search(pattern, cells[0]) for cells in table_rows())


def test_the_example_runs(capsys):
    (program,) = re.findall(r"```python\n(.*?)```", GUIDE, flags=re.DOTALL)
    with pytensor.config.change_flags(mode=PYTHON):
        exec(compile(program.replace("range(100)", "range(20)"), "porting.md", "exec"), {})
    # The cross-entropy of a reconstruction, which training brings nearer to 0.
    first, last = re.search(r"first ten (\S+) last ten (\S+)", capsys.readouterr().out).groups()
    assert -1000 < float(first) < float(last) < 0


# Imports and configuration.


@row("`import theano`")
def test_pytensor_has_theanos_main_names():
    for name in ("function", "shared", "scan", "In", "config", "gradient", "printing"):
        assert hasattr(pytensor, name)


@row("`import theano.tensor as T`")
def test_there_is_no_nnet():
    with no_attribute("nnet"):
        pt.nnet  # noqa: B018
    assert not hasattr(pt, "softmax") and hasattr(pt.special, "softmax") and hasattr(pt, "sigmoid")


@row("`theano.config.floatX`")
def test_a_variable_keeps_the_precision_it_was_made_with():
    # What the default is, the check of the flags asks.
    before = pt.matrix()
    with pytensor.config.change_flags(floatX="float32"):
        assert pt.matrix().dtype == "float32" and before.dtype == "float64"
    assert pytensor.config.floatX == "float64" == pt.matrix().dtype


@row("`THEANO_FLAGS`, `~/.theanorc`")
def test_theanos_flags_are_not_read_and_unknown_ones_are_warned_of(tmp_path):
    (tmp_path / ".theanorc").write_text("[global]\nfloatX = float32\n")
    found = flags(tmp_path, THEANO_FLAGS="floatX=float32", PYTENSOR_FLAGS="device=gpu")
    assert found.stdout.split() == ["float64", "Mode"]
    assert "PyTensor does not recognise this flag: device" in found.stderr
    (tmp_path / ".pytensorrc").write_text("[global]\nfloatX = float32\n")
    found = flags(tmp_path, PYTENSOR_FLAGS="mode=FAST_COMPILE")
    assert found.stdout.split() == ["float32", "FAST_COMPILE"]
    assert "recognise" not in found.stderr


def flags(home, **variables):
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTENSOR", "THEANO"))}
    program = "from pytensor.configdefaults import config; print(config.floatX, config.mode)"
    environment = kept | {"HOME": str(home), "USERPROFILE": str(home)} | variables
    return subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )


@row('`mode="FAST_RUN"`, `mode="FAST_COMPILE"`')
def test_fast_compile_does_without_numba_and_keeps_no_logarithm_finite():
    assert isinstance(get_mode(None).linker, NumbaLinker)
    assert isinstance(get_mode("FAST_RUN").linker, NumbaLinker)
    assert not isinstance(get_mode("FAST_COMPILE").linker, NumbaLinker)
    x = pt.scalar()
    expression = pt.log(1 + pt.exp(x))
    assert run(expression, [x], [1000.0], "FAST_COMPILE") == np.inf
    assert run(expression, [x], [1000.0], "FAST_RUN") == run(expression, [x], [1000.0], None) == 1e3


@row("`numpy.asarray(values, dtype=theano.config.floatX)`")
def test_arrays_of_numpy_are_float64_unless_cast():
    with in_float32():
        plain = pytensor.shared(np.asarray([[0.1]]))
        cast = pytensor.shared(np.asarray([[0.1]], dtype=pytensor.config.floatX))
        assert (pt.matrix() * plain).dtype == "float64"
        assert (pt.matrix() * cast).dtype == "float32"


@row("`numpy.zeros((batch_size, n_hidden))`")
def test_a_chain_of_zeros_needs_a_dtype():
    with in_float32():
        rbm = RBM(n_visible=4, n_hidden=3)
        with pytest.raises(TypeError, match=r"persistent: .*float32"):
            rbm.get_cost_updates(persistent=pytensor.shared(np.zeros((2, 3))))
        chain = pytensor.shared(np.zeros((2, 3), dtype=pytensor.config.floatX))
        assert rbm.get_cost_updates(persistent=chain)[1][chain].dtype == "float32"


@row("`numpy.random.RandomState(123)`")
def test_weights_come_from_a_random_state_only():
    with pytest.raises(TypeError, match=r"numpy_rng: a numpy\.random\.RandomState is needed"):
        RBM(n_visible=4, n_hidden=3, numpy_rng=np.random.default_rng(123))
    old, new = np.random.RandomState(123), np.random.default_rng(123)
    assert not np.allclose(old.uniform(size=3), new.uniform(size=3))
    weights = [
        RBM(n_visible=4, n_hidden=3, numpy_rng=np.random.RandomState(123)).W.get_value()
        for _ in range(2)
    ]
    assert np.array_equal(*weights)


@row("`from rbm import RBM`")
def test_an_rbm_takes_streams_of_this_package_only():
    with pytest.warns(FutureWarning, match="RandomStream is deprecated"):
        pytensors = pt.random.utils.RandomStream(123)
    with pytest.raises(TypeError, match="theano_rng: MRG_RandomStreams or RandomStreams of this"):
        RBM(n_visible=4, n_hidden=3, theano_rng=pytensors)
    for streams in STREAMS:
        rng = streams(123)
        assert RBM(n_visible=4, n_hidden=3, theano_rng=rng).theano_rng is rng


@row("`from DBN import DBN`")
@pytest.mark.slow
def test_a_dbn_takes_streams_of_this_package_and_refuses_labels_out_of_range():
    rng = np.random.RandomState(123)
    with pytest.raises(TypeError, match="theano_rng: MRG_RandomStreams or RandomStreams of this"):
        DBN(rng, theano_rng=3, n_ins=4, hidden_layers_sizes=[3], n_outs=2)
    dbn = DBN(numpy_rng=rng, n_ins=4, hidden_layers_sizes=[3], n_outs=2)
    x, y = pytensor.shared(np.ones((2, 4))), pytensor.shared(np.array([0, 2], dtype="int32"))
    (pretrain,) = dbn.pretraining_functions(train_set_x=x, batch_size=2, k=1)
    assert inspect.signature(pretrain).parameters["lr"].default == 0.1
    datasets = [(x, y)] * 3
    for batch_size, message in [
        (2, "train_set_y: classes from 0 to 1"),
        (3, "batch_size: at most"),
    ]:
        with pytest.raises(ValueError, match=message):
            dbn.build_finetune_functions(datasets, batch_size, learning_rate=0.1)


@row("`from mlp import HiddenLayer`")
def test_weights_for_a_sigmoid_are_four_times_as_large():
    weights = [
        HiddenLayer(np.random.RandomState(1), pt.matrix(), 4, 3, activation=f).W.get_value()
        for f in (pt.tanh, pt.sigmoid, logistic.sigmoid)
    ]
    assert np.array_equal(4 * weights[0], weights[1]) and np.array_equal(*weights[1:])


@row("`from logistic_sgd import LogisticRegression`")
@pytest.mark.slow
def test_logistic_regression_refuses_classes_out_of_range_and_labels_that_are_none():
    layer, y = LogisticRegression(pt.constant(np.ones((1, 3))), 3, 2), pt.ivector()
    for mode in (PYTHON, None):
        with pytest.raises(ValueError, match="y: classes from 0 to 1 are needed"):
            pytensor.function([y], layer.negative_log_likelihood(y), mode=mode)([2])
    for wrong in (pt.vector(), pt.imatrix()):
        with pytest.raises(TypeError, match="y: a vector of integers"):
            layer.errors(wrong)


@row("`from logistic_sgd import load_data`")
def test_load_data_looks_in_the_path_alone(tmp_path, monkeypatch, capsys):
    (tmp_path / "data").mkdir()
    (tmp_path / "code").mkdir()
    write_digits(tmp_path / "data" / "mnist.pkl.gz", pickle.dumps)
    monkeypatch.chdir(tmp_path / "code")
    with pytest.raises(FileNotFoundError, match=r"mnist\.pkl\.gz"):
        load_data("mnist.pkl.gz")
    assert os.listdir() == []
    (x, y), _, _ = load_data("../data/mnist.pkl.gz")
    assert x.get_value(borrow=True).shape == (2, 4) and y.dtype == "int32"
    with no_attribute("get_value"):
        y.get_value()
    assert run(y).tolist() == [0, 1]


def write_digits(path, dumps):
    part = (np.array([[0.0, 0.25, 0.5, 0.75]] * 2, dtype="float32"), np.array([0, 1]))
    path.write_bytes(dumps((part, part, part)))


@row("`from utils import tile_raster_images`")
def test_tiles_of_nan_are_refused():
    assert tile(np.arange(8.0).reshape(2, 4), (2, 2), (1, 2), (1, 1)).shape == (2, 5)
    for bad in (np.nan, np.inf):
        with pytest.raises(ValueError, match="NaN or infinite"):
            tile(np.full((1, 4), bad), (2, 2), (1, 1))


@row("`PIL.Image.fromarray(picture)`")
def test_tiles_are_a_picture_of_bytes():
    tiles = functools.partial(tile, np.eye(4), (2, 2), (2, 2))
    assert tiles().dtype == "uint8"
    file = io.BytesIO()
    Image.fromarray(tiles()).save(file, format="PNG")
    assert np.array_equal(Image.open(file), tiles())
    floats = tiles(output_pixel_vals=False)
    assert floats.dtype == "float64"
    with pytest.raises(OSError, match="cannot write mode F as PNG"):
        Image.fromarray(floats.astype("float32")).save(io.BytesIO(), format="PNG")


# Shared variables and functions.


@row("`theano.shared(value, name=, borrow=True)`")
def test_a_shared_variable_has_the_dtype_of_its_value_and_may_borrow_it():
    with in_float32():
        assert pytensor.shared(np.zeros(2), name="b").dtype == "float64"
    values = {}
    for borrow in (True, False):
        values[borrow] = np.zeros(3)
        W = pytensor.shared(values[borrow], name="W", borrow=borrow)
        pytensor.function([], [], updates=[(W, W + 1)])()
        assert W.name == "W" and W.get_value().tolist() == [1, 1, 1]
    assert values[True].tolist() == [1, 1, 1] and values[False].tolist() == [0, 0, 0]
    assert not isinstance(pytensor.shared([1.0, 2.0]), pt.TensorVariable)


@row("`theano.shared(0)`")
def test_a_whole_number_is_updated_by_whole_numbers():
    bit = pytensor.shared(0)
    assert bit.dtype == "int64"
    with pytest.raises(TypeError, match="An update must have the same type"):
        pytensor.function([], [], updates={bit: bit + 1.0}, mode=PYTHON)
    run([], updates={bit: (bit + 1) % 784})
    assert bit.get_value() == 1


@row("`W.get_value(borrow=True)`")
def test_a_borrowed_value_follows_the_updates():
    W = pytensor.shared(np.zeros(3))
    borrowed, copied = W.get_value(borrow=True), W.get_value()
    pytensor.function([], [], updates=[(W, W + 1)])()
    assert borrowed.tolist() == [1, 1, 1] and copied.tolist() == [0, 0, 0]


@row("`W.get_value(borrow=True).shape[0]`")
def test_a_shape_of_a_value_is_known_and_that_of_a_variable_is_not():
    W = pytensor.shared(np.zeros((3, 2)))
    assert W.get_value(borrow=True).shape[0] == 3
    assert isinstance(W.shape[0], pt.TensorVariable)
    with pytest.raises(TypeError, match="cannot be converted to Python integer"):
        range(W.shape[0])


@row("`W.set_value(value)`")
def test_a_value_may_change_its_sizes_but_not_its_dtype():
    W = pytensor.shared(np.zeros(3, dtype="float32"))
    W.set_value(np.ones(5, dtype="float32"))
    assert W.get_value().tolist() == [1] * 5
    with pytest.raises(TypeError, match="Wrong number of dimensions"):
        W.set_value(np.ones((5, 1), dtype="float32"))
    with pytest.raises(TypeError, match="cannot store a value of dtype float64"):
        W.set_value(np.ones(5))


@row("`W.value` (old versions)")
def test_a_shared_variable_has_no_attribute_value():
    W = pytensor.shared(np.zeros(3))
    with no_attribute("value"):
        W.value  # noqa: B018


@row("`theano.function(inputs, outputs, updates=, givens=, name=)`")
def test_a_function_returns_arrays_and_refuses_inputs_that_nothing_needs():
    x, unused = pt.matrix("x"), pt.scalar("unused")
    W = pytensor.shared(np.ones((2, 2)))
    arguments = {"updates": {W: W + 1}, "givens": {x: W * 3}, "name": "train"}
    train = pytensor.function(inputs=[], outputs=pt.mean(x), mode=PYTHON, **arguments)
    result = train()
    assert train.name == "train" and result == 3 and train() == 6
    assert isinstance(result, np.ndarray) and result.shape == ()
    assert isinstance(pytensor.function([x], pt.mean(x))(np.ones((1, 1))), np.ndarray)
    with pytest.raises(UnusedInputError, match="unused"):
        pytensor.function([x, unused], pt.mean(x), mode=PYTHON)


@row("`updates=[(W, W - lr * g)]`, `updates={W: W - lr * g}`")
def test_all_updates_see_the_old_values_and_keep_the_dtype():
    for kind in (list, dict, OrderedDict):
        a, b = pytensor.shared(1.0), pytensor.shared(2.0)
        run([], updates=kind([(a, b), (b, a)]))
        assert (a.get_value(), b.get_value()) == (2, 1)
    with pytest.raises(ValueError, match="already has an update"):
        pytensor.function([], [], updates=[(a, a + 1), (a, a + 2)], mode=PYTHON)
    W = pytensor.shared(np.ones(3, dtype="float32"))
    with in_float32():
        g = pt.grad((W**2).sum(), W)
        with pytest.raises(TypeError, match="An update must have the same type"):
            pytensor.function([], [], updates=[(W, W - np.float64(0.5) * g)], mode=PYTHON)
        run([], updates=[(W, W - 0.25 * g)])
    assert W.get_value().tolist() == [0.5] * 3


@row("`givens={x: train_set_x}`")
def test_givens_must_be_of_the_variables_type():
    x = pt.fmatrix("x")
    data = np.ones((3, 2))
    train_set_x = pytensor.shared(data.astype("float32"))
    assert run(x.sum(), givens={x: train_set_x}) == 6
    for wrong in (pytensor.shared(data), train_set_x[0]):
        with pytest.raises(TypeError, match="Cannot convert Type"):
            pytensor.function([], x.sum(), givens={x: wrong}, mode=PYTHON)


@row("`train_set_x[index * batch_size: (index + 1) * batch_size]`")
def test_a_slice_beyond_the_end_is_empty():
    index, x, batch_size = pt.lscalar(), pt.matrix(), 2
    train_set_x = pytensor.shared(np.arange(10.0).reshape(5, 2))
    batch = train_set_x[index * batch_size : (index + 1) * batch_size]
    for mode in (PYTHON, None):
        take = pytensor.function([index], [x, pt.mean(x)], givens={x: batch}, mode=mode)
        assert [len(take(i)[0]) for i in (0, 1, 2, 3)] == [2, 2, 1, 0]
        assert take(1)[0].tolist() == [[4, 5], [6, 7]] and take(1)[1] == 5.5
        assert np.isnan(take(3)[1])


@row("`theano.In(lr, value=0.1)`")
def test_an_input_has_no_default_value():
    x, lr = pt.scalar("x"), pt.scalar("lr")
    with pytest.raises(ValueError, match="Inputs with default values are deprecated"):
        pytensor.In(lr, value=0.1)
    for declared in (lr, pytensor.In(lr)):
        train = pytensor.function([x, declared], x * lr, mode=PYTHON)
        assert train(3, 0.5) == train(3, lr=0.5) == functools.partial(train, lr=0.5)(3) == 1.5
        assert functools.partial(train, lr=0.5)(3, lr=2) == 6
        with pytest.raises(TypeError, match="Missing input: lr"):
            train(3)


@row("`theano.Param(lr, default=0.1)` (old versions)")
def test_there_is_no_param():
    with no_attribute("Param"):
        pytensor.Param  # noqa: B018


@row("`pickle.dump(classifier, file)`")
def test_saved_arrays_name_no_class_and_pickles_do(tmp_path):
    W = pytensor.shared(np.arange(6.0).reshape(3, 2), name="W")
    data = pickle.dumps(W)
    assert np.array_equal(pickle.loads(data).get_value(), W.get_value())
    assert b"pytensor.tensor.sharedvar" in data
    path = tmp_path / "model.npz"
    save_arrays(path, {"W": W.get_value()}, {"n_hidden": 2})
    arrays, settings = load_arrays(path, ["W"])
    assert np.array_equal(arrays["W"], W.get_value()) and settings == {"n_hidden": 2}
    assert b"pytensor" not in path.read_bytes()
    for model, load in [
        (RBM(n_visible=4, n_hidden=3), load_rbm),
        (DBN(np.random.RandomState(1), n_ins=4, hidden_layers_sizes=[3], n_outs=2), load_dbn),
    ]:
        save_model(path, model)
        loaded, _ = load(path)
        for one, other in zip(model.params, loaded.params, strict=True):
            assert np.array_equal(one.get_value(), other.get_value())
        assert b"pytensor" not in path.read_bytes()


# Expressions.


def dtypes(make):
    """The dtype of what `make` makes, by floatX."""
    with in_float32():
        float32 = make().dtype
    return [float32, make().dtype]


@row("`T.matrix('x')`")
def test_a_matrix_is_of_the_default_precision():
    assert dtypes(lambda: pt.matrix("x")) == ["float32", "float64"]
    assert pt.matrix("x").ndim == 2


@row("`T.dmatrix('x')`")
def test_a_dmatrix_is_float64():
    assert dtypes(lambda: pt.dmatrix("x")) == ["float64", "float64"]


@row("`T.ivector('y')`")
def test_an_ivector_refuses_int64():
    y = pt.ivector("y")
    assert y.dtype == "int32" and np.array([3]).dtype == "int64"
    double = pytensor.function([y], 2 * y, mode=PYTHON)
    with pytest.raises(TypeError, match="cannot store a value of dtype int64"):
        double(np.array([3]))
    assert double([3]) == double(np.array([3], dtype="int32")) == [6]


@row("`T.lscalar('index')`")
def test_an_lscalar_makes_float64_of_float32():
    index = pt.lscalar("index")
    assert index.dtype == "int64" and (pt.fscalar() * index).dtype == "float64"
    assert run(index + 1, [index], [3]) == 4
    assert pytensor.function([index], index + 1, mode=PYTHON)(index=3) == 4


@row("`T.scalar('lr')`")
def test_a_scalar_of_float32_takes_a_python_float():
    assert dtypes(lambda: pt.scalar("lr")) == ["float32", "float64"]
    with in_float32():
        lr, x = pt.scalar("lr"), pt.matrix("x")
        assert run(2 * lr, [lr], [0.1]) == np.float32(0.2)
        with pytest.raises(TypeError, match="cannot store accurately"):
            run(2 * x, [x], [[[0.1]]])


@row("`y.ndim`, `y.dtype`, `y.type`")
def test_ndim_dtype_and_type_are_as_they_were():
    y = pt.ivector()
    assert y.ndim == 1 and y.dtype.startswith("int") and y.type == pt.ivector


@row("`y.shape[0]`")
def test_a_length_is_int64():
    y = pt.ivector()
    assert y.shape[0].dtype == "int64" and run(y.shape[0], [y], [[5, 6, 7]]) == 3
    assert (pt.fscalar() / y.shape[0]).dtype == "float64"


@row("`T.cast(x, 'int32')`")
def test_a_cast_cuts_off_the_fraction():
    x = pt.vector()
    result = run(pt.cast(x, "int32"), [x], [[1.7, -1.7, 2.0]])
    assert result.dtype == "int32" and result.tolist() == [1, -1, 2]
    assert dtypes(lambda: pt.cast(pt.lscalar(), dtype="floatX")) == ["float32", "float64"]


@row("`T.dot(v, W)`")
def test_dot_multiplies_matrices_and_vectors():
    v, W = pt.matrix(), pytensor.shared(np.arange(6.0).reshape(3, 2))
    assert run(pt.dot(v, W), [v], [np.ones((1, 3))]).tolist() == [[6, 9]]
    assert pt.dot(v, pytensor.shared(np.ones(3))).ndim == 1


@row("`W.T`")
def test_a_transpose_is_as_it_was():
    W = np.arange(6.0).reshape(3, 2)
    assert np.array_equal(run(pytensor.shared(W).T), W.T)


@row("`T.nnet.sigmoid(x)`")
def test_theanos_sigmoid_reaches_1_and_pytensors_does_not():
    x = pt.vector()
    assert np.allclose(run(pt.sigmoid(x), [x], [[0, np.log(3)]]), [0.5, 0.75])
    for mode in (PYTHON, None):
        own, theanos = run([1 - pt.sigmoid(x), 1 - logistic.sigmoid(x)], [x], [[19.5]], mode)
        assert 0 < own < 1e-8 and theanos == 0
    activation = pt.sigmoid
    assert (activation == pt.sigmoid) is True and (pt.tanh == pt.sigmoid) is False


def float64_of_integers(function, value, expected):
    assert dtypes(lambda: function(pt.matrix())) == ["float32", "float64"]
    assert dtypes(lambda: function(pt.ivector())) == ["float64", "float64"]
    assert np.isclose(run(function(pt.constant(value))), expected)


@row("`T.tanh(x)`")
def test_tanh_of_integers_is_float64():
    float64_of_integers(pt.tanh, 1, np.tanh(1))


@row("`T.exp(x)`")
def test_exp_of_integers_is_float64():
    float64_of_integers(pt.exp, 1, np.e)


@row("`T.log(x)`")
def test_the_logarithm_of_0_is_minus_infinity():
    x = pt.vector()
    for mode in (PYTHON, None):
        assert run(pt.log(x), [x], [[1.0, 0.0]], mode).tolist() == [0, -np.inf]


@row("`T.nnet.softmax(x)`")
def test_softmax_without_an_axis_takes_all_rows_together():
    x = pt.matrix()
    value = np.log([[1.0, 3.0], [2.0, 2.0]])
    by_row = run(pt.special.softmax(x, axis=-1), [x], [value])
    assert np.allclose(by_row, [[0.25, 0.75], [0.5, 0.5]])
    together = run(pt.special.softmax(x), [x], [value])
    assert np.allclose(together, [[1 / 8, 3 / 8], [2 / 8, 2 / 8]])


@row("`T.nnet.softplus(x)`")
def test_softplus_is_above_its_argument():
    x = pt.vector()
    for mode in (PYTHON, None):
        assert 0 < run(pt.softplus(x) - x, [x], [[17.0]], mode) < 1e-7
    values = [0.0, 1000.0, -1000.0]
    assert np.allclose(run(pt.softplus(x), [x], [values]), [np.log(2), 1000, 0])


def stable_in_default_mode_only(naive, stable, x, value, wrong, right):
    assert run(naive, [x], [value], "FAST_COMPILE") == wrong
    assert run(naive, [x], [value], None) == right
    assert run(stable, [x], [value], "FAST_COMPILE") == right
    ordinary = np.full_like(value, 0.5)
    assert np.isclose(run(naive, [x], [ordinary]), run(stable, [x], [ordinary]))


@row("`T.log(1 + T.exp(x))`")
def test_log_of_1_plus_exp_is_finite_in_the_default_mode_only():
    x = pt.scalar()
    stable_in_default_mode_only(pt.log(1 + pt.exp(x)), pt.softplus(x), x, 1000.0, np.inf, 1000)


@row("`T.log(T.nnet.sigmoid(x))`")
def test_log_of_a_sigmoid_is_finite_in_the_default_mode_only():
    x = pt.scalar()
    stable = -pt.softplus(-x)
    stable_in_default_mode_only(pt.log(pt.sigmoid(x)), stable, x, -1000.0, -np.inf, -1000)
    for n_steps, expected in ((1, -1000), (2, -np.inf)):
        (_, means), _ = gibbs_chain(lambda v: [v, pt.sigmoid(v)], x, n_steps)
        assert run(pt.log(means[0]), [x], [-1000.0], None) == expected


@row("`-T.mean(T.log(p)[T.arange(y.shape[0]), y])`")
@pytest.mark.slow
def test_log_softmax_is_finite_in_every_mode():
    x, y = pt.matrix(), pt.ivector()
    values = [[[0.0, 2000.0], [0.0, 0.0]], [0, 1]]

    def cost(log_p, mode):
        return run(-pt.mean(log_p[pt.arange(y.shape[0]), y]), [x, y], values, mode)

    naive, stable = pt.log(pt.special.softmax(x, axis=-1)), pt.special.log_softmax(x, axis=-1)
    expected = (2000 + np.log(2)) / 2
    assert cost(naive, "FAST_COMPILE") == np.inf
    assert np.isclose(cost(stable, "FAST_COMPILE"), expected)
    assert np.isclose(cost(naive, None), expected)


@row("`T.mean(x)`, `T.mean(x, axis=1)`")
def test_a_mean_of_integers_is_float64():
    x = pt.matrix()
    assert run([pt.mean(x), pt.mean(x, axis=1)[0]], [x], [[[1, 2], [3, 4]]]) == [2.5, 1.5]
    assert dtypes(lambda: pt.mean(pt.matrix())) == ["float32", "float64"]
    assert dtypes(lambda: pt.mean(pt.ivector())) == ["float64", "float64"]
    assert dtypes(lambda: pt.mean(pt.neq(pt.ivector(), 1))) == ["float64", "float64"]


@row("`T.sum(x)`, `T.sum(x, axis=1)`")
def test_a_sum_of_int32_is_int64():
    x = pt.matrix()
    assert run([pt.sum(x), pt.sum(x, axis=1)[0]], [x], [[[1, 2], [3, 4]]]) == [10, 3]
    assert dtypes(lambda: pt.sum(pt.matrix())) == ["float32", "float64"]
    assert pt.sum(pt.ivector()).dtype == "int64"


@row("`T.argmax(p, axis=1)`")
def test_argmax_is_int64_and_flattens_without_an_axis():
    p = pt.matrix()
    by_row, flat = run([pt.argmax(p, axis=1), pt.argmax(p)], [p], [[[1, 2], [4, 3]]])
    assert by_row.dtype == "int64" and by_row.tolist() == [1, 0]
    assert flat.shape == () and flat == 2


@row("`T.neq(y_pred, y)`")
def test_neq_compares_numbers_and_the_operator_compares_variables():
    y_pred, y = pt.lvector(), pt.ivector()
    assert (y_pred != y) is True
    assert run(pt.neq(y_pred, y), [y_pred, y], [[1, 2], [1, 3]]).tolist() == [False, True]


@row("`T.eq(y_pred, y)`")
def test_eq_compares_numbers_and_the_operator_compares_variables():
    y_pred, y = pt.lvector(), pt.ivector()
    assert (y_pred == y) is False
    assert run(pt.eq(y_pred, y), [y_pred, y], [[1, 2], [1, 3]]).tolist() == [True, False]


@row("`T.arange(n)`")
def test_arange_of_integers_is_int64():
    y = pt.ivector()
    assert pt.arange(3).dtype == "int64"
    result = run(pt.arange(y.shape[0]), [y], [[7, 7, 7]])
    assert result.dtype == "int64" and result.tolist() == [0, 1, 2]


@row("`T.round(x)`")
def test_round_goes_to_the_even_neighbour():
    x = pt.vector()
    for mode in (PYTHON, None):
        result = run(pt.round(x), [x], [[0.5, 1.5, 2.5, 0.6]], mode)
        assert result.dtype == "float64" and result.tolist() == [0, 2, 2, 1]
    with pytest.raises(TypeError, match="only float type"):
        pt.round(pt.ivector())


@row("`T.iround(x)` (old versions)")
def test_iround_is_int64():
    x = pt.vector()
    result = run(pt.iround(x), [x], [[0.4, 0.6]])
    assert result.dtype == "int64" and result.tolist() == [0, 1]


@row("`T.set_subtensor(x[:, i], values)`")
def test_set_subtensor_gives_a_new_variable():
    x, i = pt.matrix(), pt.lscalar()
    new = [pt.set_subtensor(x[:, i], 1 - x[:, i]), x[:, i].set(1 - x[:, i]), x]
    one, other, old = run(new, [x, i], [np.zeros((1, 3)), 1])
    assert one.tolist() == other.tolist() == [[0, 1, 0]] and old.tolist() == [[0, 0, 0]]
    with pytest.raises(TypeError, match="does not support item assignment"):
        x[:, i] = 1 - x[:, i]


@row("`T.setsubtensor(x, values, idx_list=)` (old versions)")
def test_there_is_no_setsubtensor():
    with no_attribute("setsubtensor"):
        pt.setsubtensor  # noqa: B018


@row("`abs(W).sum()`")
def test_the_sum_of_absolute_values_is_as_it_was():
    assert run(abs(pytensor.shared(np.array([[1.0, -2.0]]))).sum()) == 3


@row("`(W ** 2).sum()`")
def test_the_sum_of_squares_is_as_it_was():
    assert run((pytensor.shared(np.array([[1.0, -2.0]])) ** 2).sum()) == 5


@row("`if persistent:`, `if not input:`")
def test_a_variable_is_neither_true_nor_false():
    for variable in (pytensor.shared(np.ones((2, 2))), pytensor.shared(1), pt.matrix()):
        with pytest.raises(TypeError, match="cannot be converted to Python boolean"):
            bool(variable)
    rbm = RBM(n_visible=4, n_hidden=3)
    chain = pytensor.shared(np.zeros((2, 3)))
    assert chain in rbm.get_cost_updates(persistent=chain)[1]
    assert RBM(None, n_visible=4, n_hidden=3).input.name == "input"


@row("`if not theano_rng:`")
def test_streams_are_true():
    assert all(bool(streams(1)) is True for streams in STREAMS)


@row("`input == None`")
def test_a_variable_equals_nothing_but_itself():
    x = pt.matrix()
    assert (x == None) is False and x is not None  # noqa: E711


# Scan.


def draw_in(rng):
    """A step of a chain whose every state is a new draw."""
    return lambda state: rng.uniform(size=(2,)) + 0 * state


ZEROS = np.zeros(2)


@row("`theano.scan(step, outputs_info=, n_steps=)`")
def test_gibbs_chain_draws_what_scan_draws():
    for streams in STREAMS:
        start = pytensor.shared(ZEROS)
        states, updates = gibbs_chain(draw_in(streams(5)), start, n_steps=3)
        by_hand, its_updates = scan_by_hand(draw_in(streams(5)), outputs_info=[start], n_steps=3)
        assert np.array_equal(run(states, updates=updates), run(by_hand, updates=its_updates))
        with pytest.raises(ValueError, match="return_updates=False but Scan produced updates"):
            pytensor.scan(
                draw_in(streams(5)), outputs_info=[start], n_steps=3, return_updates=False
            )
    assert isinstance(
        pytensor.scan(lambda x: x + 1, outputs_info=[start], n_steps=3, return_updates=False),
        pt.TensorVariable,
    )


@row("`outputs_info=[None, None, None, None, None, chain_start]`")
def test_a_chain_is_started_by_its_state_or_a_list():
    start = pytensor.shared(ZEROS)

    def step(state):
        return [10 * state, state + 1]

    (tens, states), _ = gibbs_chain(step, start, n_steps=3)
    (its_tens, its_states), _ = scan_by_hand(step, outputs_info=[None, start], n_steps=3)
    (same_tens, same_states), _ = gibbs_chain(step, [None, start], n_steps=3)
    for results in (
        run([tens, states]), run([its_tens, its_states]), run([same_tens, same_states]),
    ):  # fmt: skip
        assert [r[:, 0].tolist() for r in results] == [[0, 10, 20], [1, 2, 3]]
    # The order of what a step gets.
    entries = {"sequences": [np.arange(3.0)], "non_sequences": [10.0]}
    (chained, _) = gibbs_chain(lambda state, entry, same: same * state + entry, start, **entries)
    scanned = pytensor.scan(
        lambda entry, state, same: same * state + entry, outputs_info=[start],
        return_updates=False, **entries,
    )  # fmt: skip
    for states in run([chained, scanned]):
        assert states[:, 0].tolist() == [0, 1, 12]
    with pytest.raises(TypeError, match=r"chain_start\[0\]: .*taps"):
        gibbs_chain(step, [{"initial": start, "taps": [-2]}, None], n_steps=3)

    def sample(state):
        return MRG_RandomStreams(1).binomial(size=state.shape, p=0.5)

    with pytest.raises(TypeError, match="must be of its start's type"):
        gibbs_chain(sample, start, n_steps=2)
    with pytest.raises(ValueError, match=r"has dtype float64.* has dtype int64"):
        pytensor.scan(sample, outputs_info=[start], n_steps=2)


@row("`n_steps=k`")
def test_a_state_keeps_its_dtype():
    start = pytensor.shared(ZEROS)

    def step(state):
        return pt.cast(state + 1, "int64")

    one_step, _ = scan_by_hand(step, outputs_info=[start], n_steps=1)
    assert one_step.dtype == "int64" and run(one_step).tolist() == [[1, 1]]
    with pytest.raises(ValueError, match=r"has dtype float64.* has dtype int64"):
        pytensor.scan(step, outputs_info=[start], n_steps=2)
    for n_steps in (1, 2):
        with pytest.raises(TypeError, match="must be of its start's type"):
            gibbs_chain(step, start, n_steps)


@row("`nv_samples[-1]`")
def test_the_first_axis_counts_the_steps():
    start = pytensor.shared(ZEROS)
    for n_steps in (1, 3):
        chain, _ = gibbs_chain(lambda x: x + 1, start, n_steps)
        by_hand, _ = scan_by_hand(lambda x: x + 1, outputs_info=[start], n_steps=n_steps)
        listed, _ = scan_by_hand(lambda x: [x + 1], outputs_info=[start], n_steps=n_steps)
        for states in run([chain, by_hand, listed]):
            assert states.shape == (n_steps, 2) and states[-1].tolist() == [n_steps] * 2
    assert isinstance(gibbs_chain(lambda x: [x + 1], start, 3)[0], list)


@row("`updates` as returned by `theano.scan`")
def test_updates_are_a_dict_that_may_be_forgotten_with_gibbs_chain_only():
    for streams in STREAMS:
        W = pytensor.shared(ZEROS)
        chain, updates = gibbs_chain(draw_in(streams(5)), W, n_steps=2)
        by_hand, its_updates = scan_by_hand(draw_in(streams(5)), outputs_info=[W], n_steps=2)
        forgetful = pytensor.function([], chain, mode=PYTHON)
        assert not np.intersect1d(forgetful(), forgetful()).size
        with pytest.raises(RuntimeError, match="would repeat its draws"):
            run(by_hand)
        for given in (updates, its_updates):
            assert type(given) is dict
            with pytest.raises(TypeError, match="unsupported operand"):
                given + given
            given[W] = W + 1
            given.update({W: W + 2})
            run([], updates=given)
        assert W.get_value().tolist() == [4, 4]


@row("a sample drawn before the scan and used in `step`")
@pytest.mark.slow
def test_a_sample_drawn_before_a_chain_is_refused():
    start = pytensor.shared(ZEROS)
    for streams in STREAMS:
        for mode in (PYTHON, None):
            noise = streams(5).uniform(size=(2,))
            states, updates = scan_by_hand(lambda x: noise + 0 * x, outputs_info=[start], n_steps=3)  # noqa: B023
            first, second, third = run(states, updates=updates, mode=mode)
            assert first.tolist() == second.tolist() == third.tolist()
        with pytest.raises(ValueError, match=r"step: .*made outside of it"):
            gibbs_chain(lambda x: noise + 0 * x, start, n_steps=3)  # noqa: B023
        inside, updates = gibbs_chain(draw_in(streams(5)), start, n_steps=3)
        assert len(set(run(inside, updates=updates).ravel())) == 6


# Random streams.


@row("`theano.tensor.shared_randomstreams.RandomStreams(seed)`")
def test_shared_streams_draw_what_theano_drew():
    # Theano 1.0.5 drew these, here and in the next row.
    rng = RandomStreams(5)
    draw = pytensor.function([], rng.uniform(size=(2,)), mode=PYTHON)
    assert np.allclose(draw(), [0.28602599, 0.36567373], rtol=0, atol=1e-8)
    assert np.allclose(draw(), [0.37185487, 0.54492723], rtol=0, atol=1e-8)
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("pytensor.tensor.shared_randomstreams")
    with pytest.warns(FutureWarning, match="RandomStream is deprecated"):
        pytensors = pt.random.utils.RandomStream(5)
    with pytest.warns(DeprecationWarning):
        draws = pytensors.uniform(size=(2,))
    assert not np.allclose(run(draws), [0.28602599, 0.36567373], rtol=0, atol=1e-3)


@row("`theano.sandbox.rng_mrg.MRG_RandomStreams(seed)`")
def test_mrg_streams_draw_what_theano_drew():
    draw = pytensor.function([], MRG_RandomStreams(5).uniform(size=(2,)), mode=PYTHON)
    assert np.allclose(draw(), [0.00961334, 0.68175926], rtol=0, atol=1e-8)
    assert np.allclose(draw(), [0.00956428, 0.94611662], rtol=0, atol=1e-8)
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("pytensor.sandbox")
    with pytest.raises(ValueError, match="seed: 0 is out of range"):
        MRG_RandomStreams(0)


@row("`rng.binomial(size=, n=1, p=, dtype=)`")
def test_a_binomial_is_int64_unless_asked_otherwise():
    with in_float32():
        floatX = pytensor.config.floatX
        for streams in STREAMS:
            rng = streams(5)
            sample = rng.binomial(size=(3, 4), n=1, p=0.5)
            assert sample.dtype == "int64" and (pt.matrix() * sample).dtype == "float64"
            sample = rng.binomial(size=(3, 4), n=1, p=0.5, dtype=floatX)
            assert sample.dtype == "float32" and set(run(sample).ravel()) == {0, 1}
    assert set(run(RandomStreams(5).binomial(size=(99,), n=2, p=0.5))) == {0, 1, 2}
    with pytest.raises(NotImplementedError, match="n: MRG_RandomStreams draws binomials of n=1"):
        MRG_RandomStreams(5).binomial(size=(99,), n=2, p=0.5)


@row("`rng.binomial(size=, n=1, prob=)` (old versions)")
def test_a_binomial_knows_no_prob():
    for streams in STREAMS:
        with pytest.raises(TypeError, match="unexpected keyword argument 'prob'"):
            streams(5).binomial(size=(2,), n=1, prob=0.5)


@row("`rng.uniform(size=, low=, high=)`")
def test_uniform_draws_are_of_the_default_precision_and_each_call_makes_a_stream():
    x = pt.matrix()
    for streams in STREAMS:
        assert dtypes(lambda: streams(5).uniform(size=(2,))) == ["float32", "float64"]  # noqa: B023
        rng = streams(5)
        a, b = (rng.uniform(size=x.shape, low=2.0, high=3.0) for _ in range(2))
        same, other = run([a - a, a - b], [x], [np.zeros((2, 3))])
        assert same.shape == (2, 3) and not same.any() and other.all()
        low = run(a, [x], [np.zeros((2, 3))])
        assert low.min() >= 2 and low.max() <= 3
    with pytest.raises(TypeError, match="size: a tuple or an integer vector"):
        MRG_RandomStreams(5).uniform(size=[2, 3])


@row("`rng.normal(size=, avg=, std=)`")
def test_normal_draws_know_avg_and_std_only():
    for streams in STREAMS:
        draws = run(streams(5).normal(size=(1000,), avg=10.0, std=2.0))
        assert abs(draws.mean() - 10) < 0.5 and abs(draws.std() - 2) < 0.3
        for name in ("loc", "scale"):
            with pytest.raises(TypeError, match=f"unexpected keyword argument '{name}'"):
                streams(5).normal(size=(2,), **{name: 1.0})


@row("`rng.seed(seed)`")
def test_a_seed_restarts_all_streams():
    for streams in STREAMS:
        rng = streams(5)
        draws = [rng.uniform(size=(2,)) for _ in range(2)]
        draw = pytensor.function([], draws, mode=PYTHON)
        first = draw()
        assert not np.array_equal(draw(), first)
        rng.seed(6)
        other = draw()
        assert not np.array_equal(other, first)
        rng.seed(6)
        assert np.array_equal(draw(), other)
        rng.seed()
        assert np.array_equal(draw(), first)


# Gradients.


@row("`T.grad(cost, params)`")
def test_a_gradient_is_of_a_scalar_that_depends_on_the_parameters():
    W, b = pytensor.shared(np.ones(2), name="W"), pytensor.shared(1.0, name="b")
    gradients = pt.grad((W**2).sum() * b, [W, b])
    assert isinstance(gradients, list)
    assert [g.tolist() for g in run(gradients)] == [[2, 2], 2]
    assert isinstance(pt.grad(b**2, b), pt.TensorVariable)
    with pytest.raises(TypeError, match="Cost must be a scalar"):
        pt.grad(W**2, W)
    with pytest.raises(DisconnectedInputError):
        pt.grad(b**2, W)


@row("`T.grad(cost=, wrt=)`")
def test_a_gradient_takes_cost_and_wrt():
    W = pytensor.shared(np.ones(2))
    assert run(pt.grad(cost=(W**2).sum(), wrt=W)).tolist() == [2, 2]


@row("`T.grad(cost, params, consider_constant=[chain_end])`")
def test_a_sample_must_be_held_constant():
    for streams in STREAMS:
        rbm = RBM(n_visible=4, n_hidden=3, theano_rng=streams(5))
        for n_steps in (2, 1):
            (*_, nv_samples), _ = gibbs_chain(rbm.gibbs_vhv, rbm.input, n_steps)
            chain_end = nv_samples[-1]
            cost = pt.mean(rbm.free_energy(chain_end))
            for constants in (None, [nv_samples[-1]]):
                with pytest.raises(NullTypeGradError):
                    pt.grad(cost, rbm.params, consider_constant=constants)
        gradients = [
            pt.grad(cost, rbm.params, consider_constant=[chain_end]),
            pt.grad(pt.mean(rbm.free_energy(disconnected_grad(chain_end))), rbm.params),
        ]
        g_W, _, g_vbias, same_W, _, same_vbias, end = run(
            [*gradients[0], *gradients[1], chain_end], [rbm.input], [np.eye(4)]
        )
        assert np.allclose(g_vbias, -end.mean(axis=0)) and np.allclose(g_W, same_W)
        assert np.allclose(g_vbias, same_vbias) and g_W.any()


# Printing and debugging.


@row("`theano.printing.debugprint(x)`")
def test_debugprint_prints_or_returns_text(capsys):
    x = pt.matrix("x")
    text = pytensor.printing.debugprint(x + 1, file="str")
    assert capsys.readouterr().out == "" and "Add [id A]" in text and "x [id B]" in text
    for print_it in (pytensor.printing.debugprint, pytensor.dprint):
        print_it(x + 1)
        assert capsys.readouterr().out.strip() == text.strip()


@row("`theano.printing.pydotprint(x, outfile=)`")
def test_pydotprint_needs_pydot(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pydot", None)
    with pytest.raises(ImportError, match="You must install graphviz and pydot"):
        pytensor.printing.pydotprint(pt.matrix("x") + 1, outfile=tmp_path / "graph.png")


@row("`theano.pp(x)`, `theano.printing.pp(x)`")
def test_pp_is_in_printing_only():
    assert pytensor.printing.pp(pt.matrix("x") + 1) == "(x + 1)"
    with no_attribute("pp"):
        pytensor.pp  # noqa: B018


@row("`theano.printing.Print('message')(x)`")
def test_print_falls_back_to_python(capsys):
    x = pt.scalar("x")
    shown = pytensor.printing.Print("message")(x)
    assert run(2 * shown, [x], [3.0]) == 6
    assert capsys.readouterr().out.startswith("message __str__ = 3")
    with pytest.warns(UserWarning, match="Numba will use object mode to run Print"):
        assert run(2 * shown, [x], [3.0], mode=None) == 6
    assert "message __str__ = 3" in capsys.readouterr().out


# Python 2.


@row("`cPickle.load(file)`")
def test_a_pickle_of_python_2_is_read_without_running_it(tmp_path):
    path = tmp_path / "mnist.pkl"
    write_digits(path, pickle_of_python_2)
    (x, y), _, _ = load_data(path)
    assert x.get_value()[0].tolist() == [0, 0.25, 0.5, 0.75] and run(y).tolist() == [0, 1]
    # What a file that is unpickled can say, and load_data does not do.
    path.write_bytes(b"cos\nmkdir\n(V" + str(tmp_path / "made").encode() + b"\ntR.")
    with pytest.raises(ValueError, match="mkdir"):
        load_data(path)
    assert not (tmp_path / "made").exists()


def pickle_of_python_2(data):
    """Pickled as Python 2 did: bytes as its str, and NumPy's modules of that time."""
    pickled = io.BytesIO()
    Python2Pickler(pickled, protocol=2).dump(data)
    return pickled.getvalue().replace(b"numpy._core.", b"numpy.core.")


class Python2Pickler(pickle._Pickler):
    def save_str_of_python_2(self, data):
        self.write(pickle.BINSTRING + len(data).to_bytes(4, "little") + data)

    dispatch = pickle._Pickler.dispatch | {bytes: save_str_of_python_2}
