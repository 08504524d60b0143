"""How numbers are rounded, which must not depend on what else is compiled in a process.

By default PyTensor lets LLVM add up numbers in whatever order is fastest. If two compiled functions
have a part in common, there are two versions of this part. Which one is called depends on which
function was made first, and on whether it was compiled or read from the disk. So the same run may
give other bits in its second process.

Therefore this setting is turned off here, before anything is compiled. Nothing in this package
becomes slower: kernels are compiled once and separately, and keep the free order of sums where it
is faster.

If a graph has other sums, and speed matters more than the same bits, turn it on again after the
import:

    pytensor.config.numba__fastmath = True
"""

import pytensor

pytensor.config.numba__fastmath = False
