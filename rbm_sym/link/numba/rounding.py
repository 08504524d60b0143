"""How numbers are rounded, which must not depend on what else is compiled in a process.

By default PyTensor lets LLVM add numbers up in whatever order is fastest. Of two functions with
one part in common, which of the part's two versions is called then depends on which function was
made first, and whether just now or read from the disk: the same run may give other bits in its
second process. So this is turned off, here, before anything is compiled. Nothing of ours gets
slower: kernels are compiled alone, once, and keep that liberty where it pays.

Graphs that need speed more than repetition, with sums that are none of ours, can have it back after
the import:

    pytensor.config.numba__fastmath = True
"""

import pytensor

pytensor.config.numba__fastmath = False
