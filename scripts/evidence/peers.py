"""The tutorial's training by rbm_sym, and as an expert would write it by hand in other libraries.

Each is a function

    contestant(data, n_hidden, batch_size, k, persistent=True, monitoring=True) -> update

where `data` is a (examples, visible units) float32 array. `update(index)` trains on one minibatch,
by PCD-k or CD-k with the learning rate of the tutorial. It returns the monitoring cost: the
stochastic pseudo-likelihood for PCD, the reconstruction cross-entropy for CD, or None without
monitoring. Each library is used in its fastest way: float32 throughout, results written in place,
the whole update in one compiled function. This file also runs on Theano's Python 3.8.
"""

import time

# Before all other imports, since they are part of the time until the first result.
BEGAN = time.perf_counter()

import json  # noqa: E402
import sys  # noqa: E402
from contextlib import contextmanager, nullcontext  # noqa: E402

import numpy as np  # noqa: E402

LEARNING_RATE = 0.1


def initial_weights(n_visible, n_hidden):
    """The tutorial's weights, with which all peers start: (n_visible, n_hidden) float32."""
    bound = 4 * np.sqrt(6.0 / (n_hidden + n_visible))
    weights = np.random.RandomState(123).uniform(-bound, bound, (n_visible, n_hidden))
    return weights.astype("float32")


def rbm_sym_graph(*arguments, **options):
    """This package, used as in the tutorial."""
    update, _, _ = rbm_sym_training(*arguments, **options)
    return update


def rbm_sym_training(
    data, n_hidden, batch_size, k,
    persistent=True, monitoring=True, left_out=None, dtype="float32",
):  # fmt: skip
    """The update, the RBM and the persistent chain; `left_out` is a rewrite, or ALL of them."""
    import pytensor
    import pytensor.tensor as pt

    import rbm_sym

    pytensor.config.floatX = dtype
    rbm = rbm_sym.RBM(
        n_visible=data.shape[1], n_hidden=n_hidden, numpy_rng=np.random.RandomState(123)
    )
    chain = None
    if persistent:
        chain = pytensor.shared(np.zeros((batch_size, n_hidden), dtype))
    cost, updates = rbm.get_cost_updates(lr=LEARNING_RATE, persistent=chain, k=k)
    index = pt.lscalar("index")
    batch = pytensor.shared(data.astype(dtype))[index * batch_size : (index + 1) * batch_size]
    with leave_out(left_out):
        update = pytensor.function(
            [index], cost if monitoring else None, updates=updates, givens={rbm.input: batch}
        )
    return update, rbm, chain


def rbm_sym_samples(data, n_hidden, batch_size, k, left_out=None):
    """No training, but `k` steps of `gibbs_vhv` from pictures, in a briefly trained model."""
    import pytensor

    import rbm_sym

    update, rbm, _ = rbm_sym_training(data, n_hidden, batch_size, k=1)
    for i in range(min(500, len(data) // batch_size)):
        update(i)
    chain = pytensor.shared(data[:batch_size])
    steps, updates = rbm_sym.gibbs_chain(rbm.gibbs_vhv, chain, k)
    mean, sample = steps[4][-1], steps[5][-1]
    with leave_out(left_out):
        sampling = pytensor.function([], mean, updates=updates | {chain: sample})
    return lambda index: sampling()


@contextmanager
def leave_out(name):
    """A context in which functions are compiled without this rewrite, or without ALL.

    None leaves out nothing.

    Without all of them, PyTensor's own sums may add up numbers in any order, as is its default.
    """
    import pytensor

    from rbm_sym.rewrites import ALL, without

    with (
        without(name) if name else nullcontext(),
        pytensor.config.change_flags(numba__fastmath=name == ALL),
    ):
        yield


def numpy_by_hand(data, n_hidden, batch_size, k, persistent=True, monitoring=True):
    """NumPy: matrix products into buffers, the sigmoid in place, random float32 from SFC64."""
    n_visible = data.shape[1]
    rng = np.random.Generator(np.random.SFC64(123))
    W = initial_weights(n_visible, n_hidden)
    hbias, vbias = np.zeros(n_hidden, "float32"), np.zeros(n_visible, "float32")
    hidden = np.zeros((batch_size, n_hidden), "float32")
    visible = np.empty((batch_size, n_visible), "float32")
    uniform_h, uniform_v = np.empty_like(hidden), np.empty_like(visible)
    mean_h, pre_sigmoid_v = np.empty_like(hidden), np.empty_like(visible)
    positive_h = np.empty_like(hidden)
    bit = 0

    def sigmoid_in_place(x):
        np.negative(x, out=x)
        np.exp(x, out=x)
        x += 1
        np.reciprocal(x, out=x)

    def hidden_mean(v, out):
        np.dot(v, W, out=out)
        out += hbias
        sigmoid_in_place(out)

    def sample(mean, uniform, out):
        rng.random(out=uniform, dtype="float32")
        np.less(uniform, mean, out=out, casting="unsafe")

    def free_energy(v, pre_sigmoid):
        return -np.logaddexp(0, pre_sigmoid, dtype="float32").sum(axis=1) - v @ vbias

    def pseudo_likelihood(x):
        nonlocal bit
        rounded = np.round(x)
        pre_sigmoid = rounded @ W + hbias
        before = free_energy(rounded, pre_sigmoid)
        change = 1 - 2 * rounded[:, bit]
        pre_sigmoid += np.outer(change, W[bit])
        rounded[:, bit] += change
        after = free_energy(rounded, pre_sigmoid)
        bit = (bit + 1) % n_visible
        return -n_visible * np.logaddexp(0, before - after).mean()

    def cross_entropy(x):
        softplus = np.logaddexp(0, -pre_sigmoid_v, dtype="float32")
        return -(softplus + (1 - x) * pre_sigmoid_v).sum(axis=1).mean()

    def update(index):
        nonlocal W, hbias, vbias
        x = data[index * batch_size : (index + 1) * batch_size]
        # The cost is the model's before the update, as in the tutorial.
        cost = pseudo_likelihood(x) if monitoring and persistent else None
        hidden_mean(x, positive_h)
        if not persistent:
            sample(positive_h, uniform_h, hidden)
        for _ in range(k):
            np.dot(hidden, W.T, out=pre_sigmoid_v)
            pre_sigmoid_v[...] += vbias
            mean_v = np.copy(pre_sigmoid_v) if monitoring and not persistent else pre_sigmoid_v
            sigmoid_in_place(mean_v)
            sample(mean_v, uniform_v, visible)
            hidden_mean(visible, mean_h)
            sample(mean_h, uniform_h, hidden)
        if monitoring and not persistent:
            cost = cross_entropy(x)
        rate = np.float32(LEARNING_RATE / batch_size)
        W += rate * (x.T @ positive_h - visible.T @ mean_h)
        hbias += rate * (positive_h - mean_h).sum(axis=0)
        vbias += rate * (x - visible).sum(axis=0)
        return cost

    return update


def pytorch_by_hand(data, n_hidden, batch_size, k, persistent=True, monitoring=True):
    """PyTorch: addmm and bernoulli_, results into buffers, no autograd."""
    import torch
    from torch.nn.functional import softplus

    n_visible = data.shape[1]
    torch.manual_seed(123)
    data = torch.from_numpy(data)
    W = torch.from_numpy(initial_weights(n_visible, n_hidden))
    hbias, vbias = torch.zeros(n_hidden), torch.zeros(n_visible)
    hidden, visible = torch.zeros(batch_size, n_hidden), torch.empty(batch_size, n_visible)
    mean_h, mean_v = torch.empty_like(hidden), torch.empty_like(visible)
    pre_sigmoid_v = torch.empty_like(visible)
    positive_h = torch.empty_like(hidden)
    bit = 0

    def hidden_mean(v, out):
        torch.addmm(hbias, v, W, out=out).sigmoid_()

    def pseudo_likelihood(x):
        nonlocal bit
        rounded = torch.round(x)
        pre_sigmoid = torch.addmm(hbias, rounded, W)
        change = 1 - 2 * rounded[:, bit]
        flipped = torch.addr(pre_sigmoid, change, W[bit])
        difference = (softplus(pre_sigmoid) - softplus(flipped)).sum(1) - change * vbias[bit]
        bit = (bit + 1) % n_visible
        return -n_visible * softplus(-difference).mean()

    def cross_entropy(x):
        total = softplus(-pre_sigmoid_v) + (1 - x) * pre_sigmoid_v
        return -total.sum(1).mean()

    @torch.no_grad()
    def update(index):
        x = data[index * batch_size : (index + 1) * batch_size]
        cost = pseudo_likelihood(x) if monitoring and persistent else None
        hidden_mean(x, positive_h)
        if not persistent:
            torch.bernoulli(positive_h, out=hidden)
        for _ in range(k):
            torch.addmm(vbias, hidden, W.T, out=pre_sigmoid_v)
            torch.sigmoid(pre_sigmoid_v, out=mean_v)
            torch.bernoulli(mean_v, out=visible)
            hidden_mean(visible, mean_h)
            torch.bernoulli(mean_h, out=hidden)
        if monitoring and not persistent:
            cost = cross_entropy(x)
        rate = LEARNING_RATE / batch_size
        W.addmm_(x.T, positive_h, alpha=rate).addmm_(visible.T, mean_h, alpha=-rate)
        hbias.add_((positive_h - mean_h).sum(0), alpha=rate)
        vbias.add_((x - visible).sum(0), alpha=rate)
        return None if cost is None else float(cost)

    return update


def jax_by_hand(data, n_hidden, batch_size, k, persistent=True, monitoring=True):
    """JAX: the whole update in one jit, lax.scan over the steps, threefry random numbers."""
    import jax
    import jax.numpy as jnp
    from jax import lax
    from jax.nn import sigmoid, softplus

    n_visible = data.shape[1]
    data = jnp.asarray(data)

    def uniform_below(key, mean):
        return (jax.random.uniform(key, mean.shape) < mean).astype(mean.dtype)

    def pseudo_likelihood(state, x):
        W, hbias, vbias, bit = (state[name] for name in ("W", "hbias", "vbias", "bit"))
        rounded = jnp.round(x)
        pre_sigmoid = rounded @ W + hbias
        change = 1 - 2 * rounded[:, bit]
        flipped = pre_sigmoid + change[:, None] * W[bit]
        difference = (softplus(pre_sigmoid) - softplus(flipped)).sum(1) - change * vbias[bit]
        return -n_visible * softplus(-difference).mean()

    def one_update(state, index):
        W, hbias, vbias = state["W"], state["hbias"], state["vbias"]
        x = lax.dynamic_slice_in_dim(data, index * batch_size, batch_size)
        positive_h = sigmoid(x @ W + hbias)
        key, start_key, chain_key = jax.random.split(state["key"], 3)
        hidden = state["hidden"] if persistent else uniform_below(start_key, positive_h)

        def gibbs_step(carry, step_key):
            hidden = carry[0]
            key_v, key_h = jax.random.split(step_key)
            pre_sigmoid_v = hidden @ W.T + vbias
            visible = uniform_below(key_v, sigmoid(pre_sigmoid_v))
            mean_h = sigmoid(visible @ W + hbias)
            return (uniform_below(key_h, mean_h), visible, mean_h, pre_sigmoid_v), None

        start = (hidden, jnp.zeros_like(x), jnp.zeros_like(positive_h), jnp.zeros_like(x))
        keys = jax.random.split(chain_key, k)
        (hidden, visible, mean_h, pre_sigmoid_v), _ = lax.scan(gibbs_step, start, keys)
        cost = 0.0
        if monitoring and persistent:
            cost = pseudo_likelihood(state, x)
        elif monitoring:
            cost = -(softplus(-pre_sigmoid_v) + (1 - x) * pre_sigmoid_v).sum(1).mean()
        rate = LEARNING_RATE / batch_size
        return {
            "W": W + rate * (x.T @ positive_h - visible.T @ mean_h),
            "hbias": hbias + rate * (positive_h - mean_h).sum(0),
            "vbias": vbias + rate * (x - visible).sum(0),
            "hidden": hidden,
            "key": key,
            "bit": (state["bit"] + 1) % n_visible,
        }, cost

    compiled = jax.jit(one_update, donate_argnums=0)
    state = {
        "W": jnp.asarray(initial_weights(n_visible, n_hidden)),
        "hbias": jnp.zeros(n_hidden),
        "vbias": jnp.zeros(n_visible),
        "hidden": jnp.zeros((batch_size, n_hidden)),
        "key": jax.random.key(123),
        "bit": jnp.asarray(0),
    }

    def update(index):
        nonlocal state
        state, cost = compiled(state, index)
        jax.block_until_ready(state["hbias"])
        return float(cost) if monitoring else None

    return update


def scikit_learn(data, n_hidden, batch_size, k, persistent=True, monitoring=True):
    """scikit-learn's BernoulliRBM, which has only PCD-1 without monitoring."""
    from sklearn.neural_network import BernoulliRBM

    if (k, persistent, monitoring) != (1, True, False):
        raise NotImplementedError("BernoulliRBM trains by PCD-1, without monitoring")
    model = BernoulliRBM(
        n_components=n_hidden, learning_rate=LEARNING_RATE, batch_size=batch_size, random_state=123
    )
    model.partial_fit(data[:batch_size])

    def update(index):
        model.partial_fit(data[index * batch_size : (index + 1) * batch_size])

    return update


def rbms_library(data, n_hidden, batch_size, k, persistent=True, monitoring=True):
    """The PyTorch library rbms: PCD without monitoring, its gradients not centered."""
    if not persistent or monitoring:
        raise NotImplementedError("rbms trains by PCD, without monitoring")
    import torch
    from rbms.bernoulli_bernoulli.classes import BBRBM
    from rbms.training.pcd import fit_batch_pcd

    torch.manual_seed(123)
    data = torch.from_numpy(data)
    W = torch.from_numpy(initial_weights(data.shape[1], n_hidden))
    model = BBRBM(W, vbias=torch.zeros(data.shape[1]), hbias=torch.zeros(n_hidden))
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer = torch.optim.SGD(model.parameters(), lr=LEARNING_RATE, maximize=True)
    chains = model.init_chains(batch_size)
    weights = torch.ones(batch_size)

    @torch.no_grad()
    def update(index):
        nonlocal chains
        optimizer.zero_grad(set_to_none=False)
        batch = data[index * batch_size : (index + 1) * batch_size], weights
        chains, _ = fit_batch_pcd(batch, chains, model, gibbs_steps=k, beta=1.0, centered=False)
        optimizer.step()

    return update


def theano(data, n_hidden, batch_size, k, persistent=True, monitoring=True):
    """The tutorial's model on Theano, with MRG streams."""
    from pathlib import Path

    sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "reference"))
    import theano
    import theano.tensor as T  # noqa: N812 (Theano's usual name)
    from theano.sandbox.rng_mrg import MRG_RandomStreams
    from theano_rbm import RBM

    theano.config.floatX = "float32"
    x, index = T.matrix("x"), T.lscalar("index")
    rng = np.random.RandomState(123)
    rbm = RBM(
        input=x, n_visible=data.shape[1], n_hidden=n_hidden, numpy_rng=rng,
        theano_rng=MRG_RandomStreams(rng.randint(2**30)),
    )  # fmt: skip
    chain = None
    if persistent:
        chain = theano.shared(np.zeros((batch_size, n_hidden), "float32"), borrow=True)
    cost, updates = rbm.get_cost_updates(lr=LEARNING_RATE, persistent=chain, k=k)
    batch = theano.shared(data)[index * batch_size : (index + 1) * batch_size]
    return theano.function(
        [index], cost if monitoring else None, updates=updates, givens={x: batch}
    )


CONTESTANTS = {
    "rbm_sym": rbm_sym_graph,
    "rbm_sym samples": rbm_sym_samples,
    "NumPy": numpy_by_hand,
    "PyTorch": pytorch_by_hand,
    "JAX": jax_by_hand,
    "scikit-learn": scikit_learn,
    "rbms": rbms_library,
    "Theano": theano,
}


def versions(contestant):
    """The versions of the libraries that a contestant uses."""
    modules = {
        "PyTorch": ("torch",), "JAX": ("jax", "jaxlib"), "scikit-learn": ("sklearn",),
        "rbms": ("torch",), "Theano": ("theano",),
    }.get(contestant, ("pytensor", "numba", "scipy"))  # fmt: skip
    python = "{}.{}.{}".format(*sys.version_info[:3])
    found = {"Python": python, "numpy": np.__version__}
    found.update((name, sys.modules[name].__version__) for name in modules if name in sys.modules)
    return found


def peak_memory():
    """The largest memory of this process so far, in MiB."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM"))


def main():
    """Answer the driver. It sends a line of settings first, then numbers of updates to time."""
    settings = json.loads(sys.stdin.readline())
    contestant, path = settings.pop("contestant"), settings.pop("data")
    data = np.load(path)
    n_batches = len(data) // settings["batch_size"]
    try:
        update = CONTESTANTS[contestant](data, **settings)
        update(0)
    except (ImportError, NotImplementedError) as error:
        supported = not isinstance(error, NotImplementedError)
        print(json.dumps({"missing": str(error), "supported": supported}), flush=True)
        return
    first = time.perf_counter() - BEGAN
    answer = {"first": first, "versions": versions(contestant), "memory": peak_memory()}
    print(json.dumps(answer), flush=True)
    done = 1
    for line in sys.stdin:
        n = int(line)
        began = time.perf_counter()
        for i in range(done, done + n):
            update(i % n_batches)
        seconds = time.perf_counter() - began
        done += n
        print(json.dumps({"ms": 1000 * seconds / n, "memory": peak_memory()}), flush=True)


if __name__ == "__main__":
    main()
