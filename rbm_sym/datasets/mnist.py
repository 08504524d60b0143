"""MNIST, from the cache folder or from the network."""

import hashlib
import http.client
import os
import sys
import urllib.request
from pathlib import Path

from rbm_sym.datasets.idx import sets_from_idx
from rbm_sym.datasets.reading import gunzip, read_bytes
from rbm_sym.internal.files import whole_file
from rbm_sym.internal.reading import in_short, read_to_end

MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
MNIST_SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
MOST_DOWNLOADED_BYTES = 64 * 2**20
TIMEOUT_SECONDS = 30


def read_mnist():
    """The three sets of MNIST."""
    folder = cache_folder()
    return sets_from_idx(*((name, read_mnist_file(folder, name)) for name in MNIST_SHA256))


def cache_folder():
    """The folder where downloaded files are kept."""
    if own := os.environ.get("RBM_SYM_DATA"):
        return Path(own)
    caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(caches) / "rbm_sym"


def read_mnist_file(folder, name):
    """The bytes of one of MNIST's four files, from the cache folder or else from the network."""
    for path in (folder / name, folder / f"{name}.gz"):
        if path.exists():
            data = read_bytes(path)
            if not is_genuine(name, data):
                raise ValueError(
                    f"{path}: not MNIST's file, its SHA-256 differs; "
                    "delete it and it will be downloaded again"
                )
            return data
    return download(folder, name)


def is_genuine(name, data):
    return hashlib.sha256(data).hexdigest() == MNIST_SHA256[name]


def download(folder, name):
    """The bytes of one of MNIST's four files, from the first mirror with the right file."""
    failure = "no mirror is known"
    for mirror in MIRRORS:
        url = f"{mirror}{name}.gz"
        try:
            packed = fetch(url)
            data = gunzip(packed, url, MOST_DOWNLOADED_BYTES)
        except (OSError, ValueError, http.client.HTTPException) as problem:
            failure = f"{url}: {in_short(problem)}"
            continue
        if is_genuine(name, data):
            keep(folder / f"{name}.gz", packed)
            return data
        failure = f"{url}: its SHA-256 is not that of MNIST's file"
    raise ConnectionError(
        f"MNIST cannot be downloaded ({failure}); put {', '.join(MNIST_SHA256)} or their .gz "
        f'into {folder} by hand, or use "digits", which needs no network'
    )


def fetch(url):
    """The bytes at an https address."""
    with https_opener().open(url, timeout=TIMEOUT_SECONDS) as response:
        length = int(response.headers.get("Content-Length", 0))
        return read_to_end(response, url, MOST_DOWNLOADED_BYTES, progress_report(url, length))


def progress_report(url, length):
    """A function that reports on standard error how many bytes there are so far."""
    if not (sys.stderr.isatty() and length):
        print(f"downloading {url}", file=sys.stderr)
        return lambda done: None

    def report(done):
        end = "\n" if done >= length else ""
        print(f"\rdownloading {url} {100 * done // length} %", end=end, file=sys.stderr, flush=True)

    return report


def https_opener():
    """An opener for https only, so that no redirection can lead to another protocol."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPRedirectHandler,
        urllib.request.HTTPErrorProcessor,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.UnknownHandler,
    ):
        opener.add_handler(handler())
    return opener


def keep(path, packed):
    """Put a downloaded file into the cache folder."""
    try:
        with whole_file(path) as unfinished:
            path.parent.mkdir(parents=True, exist_ok=True)
            unfinished.write_bytes(packed)
    except OSError as problem:
        raise OSError(f"{problem}; set RBM_SYM_DATA to a folder that can be written") from problem
