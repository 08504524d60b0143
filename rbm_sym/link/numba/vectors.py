"""Vector instructions, for loops that LLVM does not vectorise by itself.

Each is written with LLVM vectors of the size of a cache line, which LLVM splits if the processor
has shorter ones. Addresses in memory are integers.
"""

import functools

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

from rbm_sym.link.numba.layouts import CACHE_LINE

# Numbers that are compared with zero together.
WORD = 64

# Square tiles of this size are transposed in registers.
TILE = 8


def _pointer(builder, address, pointee):
    return builder.inttoptr(address, pointee.as_pointer())


def _load(builder, address, vector, alignment):
    loaded = builder.load(_pointer(builder, address, vector))
    loaded.align = alignment
    return loaded


def _advance(builder, address, n_bytes):
    return builder.add(address, ir.Constant(address.type, n_bytes))


@intrinsic
def address(typingctx, array):
    """Where the first number of an array lies.

    Numba frees an array after its last use, and does not count the use of its address: whoever
    works with one takes the array as an argument, which the caller keeps.
    """

    def get(context, builder, signature, arguments):
        data = make_array(signature.args[0])(context, builder, arguments[0]).data
        return builder.ptrtoint(data, context.get_value_type(types.intp))

    return types.intp(array), get


@intrinsic
def nonzero_bits(typingctx, numbers, first):
    """Bit i is set where numbers[first + i] is not zero: WORD of them, of a contiguous vector."""

    def compare(context, builder, signature, arguments):
        number = context.get_data_type(signature.args[0].dtype)
        array = make_array(signature.args[0])(context, builder, arguments[0])
        start = builder.gep(array.data, [arguments[1]])
        loaded = builder.load(builder.bitcast(start, ir.VectorType(number, WORD).as_pointer()))
        loaded.align = context.get_abi_sizeof(number)
        nonzero = builder.fcmp_unordered("!=", loaded, ir.Constant(loaded.type, None))
        return builder.bitcast(nonzero, ir.IntType(WORD))

    return types.uint64(numbers, types.intp), compare


@intrinsic
def lowest_bit(typingctx, bits):
    """The position of the lowest bit that is set. At least one bit must be set."""

    def count_zeros(context, builder, signature, arguments):
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.uint64(types.uint64), count_zeros


@intrinsic
def copy_line(typingctx, source, target):
    """Copy CACHE_LINE bytes from one address to another."""

    def copy(context, builder, signature, arguments):
        line = ir.VectorType(ir.IntType(8), CACHE_LINE)
        source, target = arguments
        builder.store(_load(builder, source, line, 1), _pointer(builder, target, line)).align = 1
        return context.get_dummy_value()

    return types.void(types.intp, types.intp), copy


def row_adder(n_lines, n_rows):
    """An intrinsic that adds chosen rows, weighted, to `n_lines` cache lines of numbers.

        total[:] += Σ_s weights[s] y[positions[s]],    first ≤ s < last

    The first `skip` numbers of `total` stay as they are. `total` and `y` are addresses; row j of y
    begins j * distance numbers after its address. Sums are kept in registers, and `n_rows` rows are
    added at a time.
    """

    @intrinsic
    def add_rows(typingctx, total, skip, y, distance, positions, weights, first, last):
        def in_registers(context, builder, signature, arguments):
            positions_type, weights_type = signature.args[4:6]
            total, skip, y, distance, positions, weights, first, last = arguments
            positions = make_array(positions_type)(context, builder, positions).data
            weights = make_array(weights_type)(context, builder, weights).data
            number = context.get_data_type(weights_type.dtype)
            size = context.get_abi_sizeof(number)
            line = ir.VectorType(number, CACHE_LINE // size)
            distance = builder.mul(distance, ir.Constant(distance.type, size))
            zero = ir.Constant(line, None)
            sums = [
                [cgutils.alloca_once_value(builder, zero) for _ in range(n_lines)]
                for _ in range(n_rows)
            ]

            def add_row(s, sums):
                position = builder.zext(builder.load(builder.gep(positions, [s])), distance.type)
                row = builder.add(y, builder.mul(position, distance))
                weight = _everywhere(builder, builder.load(builder.gep(weights, [s])), line)
                for i, sum_of_line in enumerate(sums):
                    part = _load(builder, _advance(builder, row, CACHE_LINE * i), line, size)
                    product = builder.fmul(part, weight, flags=("contract",))
                    new = builder.fadd(builder.load(sum_of_line), product, flags=("contract",))
                    builder.store(new, sum_of_line)

            count = builder.sub(last, first)
            step = ir.Constant(count.type, n_rows)
            whole = builder.sub(last, builder.urem(count, step))
            with cgutils.for_range_slice(builder, first, whole, step) as (s, _):
                for i in range(n_rows):
                    add_row(builder.add(s, ir.Constant(s.type, i)), sums[i])
            if n_rows > 1:
                one = ir.Constant(count.type, 1)
                with cgutils.for_range_slice(builder, whole, last, one) as (s, _):
                    add_row(s, sums[0])

            totals = []
            for parts in zip(*sums, strict=True):
                first_part, *other_parts = (builder.load(part) for part in parts)
                totals.append(functools.reduce(builder.fadd, other_parts, first_part))

            def add_to_total(i, part):
                target = _advance(builder, total, CACHE_LINE * i)
                new = builder.fadd(_load(builder, target, line, size), part)
                builder.store(new, _pointer(builder, target, line)).align = size

            # Most blocks are whole and need no comparison.
            nothing_skipped = builder.icmp_signed("==", skip, ir.Constant(skip.type, 0))
            with builder.if_else(nothing_skipped) as (all_numbers, some_numbers):
                with all_numbers:
                    for i, part in enumerate(totals):
                        add_to_total(i, part)
                with some_numbers:
                    places = ir.VectorType(ir.IntType(32), line.count)
                    skipped = _everywhere(builder, builder.trunc(skip, places.element), places)
                    for i, part in enumerate(totals):
                        place = ir.Constant(places, [line.count * i + j for j in range(line.count)])
                        counts = builder.icmp_signed(">=", place, skipped)
                        add_to_total(i, builder.select(counts, part, zero))
            return context.get_dummy_value()

        arguments = (total, types.intp, y, types.intp, positions, weights, types.intp, types.intp)
        return types.void(*arguments), in_registers

    return add_rows


def _everywhere(builder, number, vector):
    index = ir.IntType(32)
    first = builder.insert_element(ir.Constant(vector, ir.Undefined), number, index(0))
    return builder.shuffle_vector(
        first, first, ir.Constant(ir.VectorType(index, vector.count), None)
    )


@intrinsic
def transpose_tile(typingctx, source, target):
    """target[j, i] = source[i, j] for i, j < TILE; the rows of both are contiguous.

    TILE vectors are loaded. In each round, halves of pairs of vectors change places: first blocks
    of one number, then of two, then of four. At last the vectors are stored.
    """

    def in_registers(context, builder, signature, arguments):
        number = context.get_data_type(signature.args[0].dtype)
        size = context.get_abi_sizeof(number)
        vector = ir.VectorType(number, TILE)

        def addresses_of_rows(matrix_type, matrix):
            array = make_array(matrix_type)(context, builder, matrix)
            distance, _ = cgutils.unpack_tuple(builder, array.strides)
            first = builder.ptrtoint(array.data, distance.type)
            steps = [ir.Constant(distance.type, i) for i in range(TILE)]
            return [builder.add(first, builder.mul(distance, step)) for step in steps]

        sources, targets = map(addresses_of_rows, signature.args, arguments)
        rows = [_load(builder, row, vector, size) for row in sources]
        block = 1
        while block < TILE:
            upper = [j if not j & block else TILE + j - block for j in range(TILE)]
            lower = [j + block if not j & block else TILE + j for j in range(TILE)]
            masks = [ir.Constant(ir.VectorType(ir.IntType(32), TILE), m) for m in (upper, lower)]
            for i in range(TILE):
                if not i & block:
                    pair = rows[i], rows[i + block]
                    rows[i], rows[i + block] = (builder.shuffle_vector(*pair, m) for m in masks)
            block *= 2
        for target, turned in zip(targets, rows, strict=True):
            builder.store(turned, _pointer(builder, target, vector)).align = size
        return context.get_dummy_value()

    return types.void(source, target), in_registers
