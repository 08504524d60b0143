"""The bytes of files that may be damaged, or made to do harm."""

import io

from rbm_sym.internal.memory import free_memory

# No file is unpacked to more bytes than this, so that a small hostile one cannot fill the memory.
MOST_BYTES = 4 * 2**30


def read_to_end(stream, source, most=MOST_BYTES, report=lambda done: None):
    """All bytes of a stream; `report` is called with the number of bytes read so far.

    Raises
    ------
    ValueError
        if there are more than `most` bytes, or more than a third of the free memory; the error
        names `source`
    """
    free = free_memory()
    if free is not None:
        # The other two thirds are for the arrays made from these bytes.
        most = min(most, free // 3)
    data = io.BytesIO()
    # In small chunks, since some decompressors unpack a whole chunk at once.
    while chunk := stream.read(2**16):
        data.write(chunk)
        if data.tell() > most:
            raise ValueError(f"{source}: more than {most:,} bytes; too large to be read")
        report(data.tell())
    return data.getvalue()


def in_short(error):
    """An exception in one line."""
    return f"{type(error).__name__}: {error}".partition("\n")[0]
