"""The bytes of a file, compressed by gzip or not."""

import gzip
import io
import zlib

from rbm_sym.internal.reading import MOST_BYTES, in_short, read_to_end


def read_bytes(path):
    """The bytes of a file, unpacked if it begins like a gzip file."""
    with open(path, "rb") as file:
        data = read_to_end(file, path, MOST_BYTES)
    return gunzip(data, path, MOST_BYTES) if data.startswith(b"\x1f\x8b") else data


def gunzip(packed, source, most):
    """The unpacked bytes. They are read to the end, where the checksum is compared."""
    try:
        return read_to_end(gzip.GzipFile(fileobj=io.BytesIO(packed)), source, most)
    except (OSError, EOFError, zlib.error) as problem:
        raise ValueError(
            f"{source}: truncated or damaged gzip ({in_short(problem)}); get the file again"
        ) from problem
