#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The text of arrays of all types, from random bits: does numpy read from it what it had written?

    numpy_reads_text.py PRINT_TEXT      the helper built from print_text.c
"""
import csv
import io
import itertools
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import warnings

try:
    import numpy
except ImportError:
    print("no numpy here")
    sys.exit(77)  # Meson's "skipped"

warnings.simplefilter("ignore")

RNG = numpy.random.default_rng(3)
NUMBERS = ["?", "i1", "u1", "<i2", ">i2", "<u2", "<i4", ">u4", "<i8", ">i8", "<u8", "<f2", ">f2", "<f4", ">f4", "<f8",
           ">f8", "<f16", "<c8", ">c8", "<c16", "<c32"]
UNITS = ["Y", "M", "W", "D", "h", "m", "s", "ms", "us", "ns", "ps", "fs", "as", "25s", "10us", "7D"]
TIMES = [order + "M8[" + unit + "]" for unit in UNITS for order in "<>"] + ["<m8[s]", ">m8[ns]", "<m8"]
STRINGS = ["S0", "S1", "S7", "<U0", "<U1", ">U5", "V1", "V4"]
SHAPES = [(), (0,), (1,), (17,), (4, 5), (5, 0), (0, 5), (2, 3, 4), (3, 1, 2, 2), (1, 200, 3), (200, 2, 2), (3, 400)]
STRUCTURES = [
    [("a", "<f4"), ("b", ">i2")],
    [("a name", "i1"), ("é", "<c8", (2,)), ("n", [("x", ">f8"), ("y", [("z", "S3")], (2, 2))])],
    {"names": ["p", "q"], "formats": ["u1", "<f8"], "offsets": [3, 9], "itemsize": 40},
    [("back\\slash", "<U2"), ("new\nline", "<M8[s]"), ("#", "?"), ("\u2028", "V2"), ("empty", "<f4", (0, 3))],
    [("image", "u1", (20, 30)), ("t", "<f8")],
]
PRINT_TEXT = sys.argv[1]


def texts_of(arrays):
    """The text views of files that numpy has written. No line but the first begins so."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        paths = [os.path.join(folder, f"{number}.npy") for number in range(len(arrays))]
        for path, array in zip(paths, arrays):
            numpy.save(path, array)
        out = subprocess.run([PRINT_TEXT, *paths], stdout=subprocess.PIPE, check=True).stdout.decode()
    texts = re.split("^(?=# dtype=)", out, flags=re.MULTILINE)[1:]
    assert len(texts) == len(arrays), f"{len(texts)} texts of {len(arrays)} files"
    return texts


def text_of(array):
    return texts_of([array])[0]


def body_of(text):
    return [line for line in text.split("\n")[:-1] if not line.startswith("#")]


def cells_of(line):
    """The cells of a line: blanks part them, but not in quotes."""
    return next(csv.reader([line.strip()], delimiter=" ", skipinitialspace=True), [])


def random_characters(n, width):
    """Code points of which some are no characters, some are quotes, and some are the NULs of short strings."""
    letters = RNG.choice([0, 0x20, 0x22, 0x23, 0x27, 0x41, 0x5c, 0x7a, 0xe9, 0x3b1, 0x1f600, 0x10ffff], (n, width))
    junk = RNG.integers(0, 0x120000, (n, width))
    return numpy.where(RNG.random((n, width)) < 0.8, letters, junk).astype("u4")


def special_bits(dtype):
    """Extremes and edges of floats and integers, by their bits."""
    size = dtype.itemsize
    patterns = [0, 1, (1 << 8 * size) - 1, 1 << (8 * size - 1), (1 << (8 * size - 1)) - 1, (1 << (8 * size - 1)) + 1]
    if dtype.kind == "f" and size <= 8:
        info = numpy.finfo(dtype)
        fraction, exponents = info.nmant, (1 << info.nexp) - 1
        patterns += [e << fraction for e in range(exponents + 1)]
        patterns += [(e << fraction) - 1 for e in range(1, exponents + 1)]
        patterns += [((exponents << fraction) | 1), 1 << (fraction - 1)]
    return b"".join(p.to_bytes(size, "big" if dtype.byteorder == ">" else "little") for p in patterns)


def random_array(dtype, shape):
    """Any bits, but for what numpy itself does not take: booleans other than 0 and 1, and no characters."""
    dtype = numpy.dtype(dtype)
    n = int(numpy.prod(shape))
    if dtype.names:
        array = numpy.zeros(shape, dtype)
        for name in dtype.names:
            field = dtype[name]
            array[name] = random_array(field.base, shape + field.shape)
        return array
    if dtype.kind == "b":
        return RNG.integers(0, 2, shape).astype(dtype)
    if dtype.kind == "U" and dtype.itemsize > 0:
        codes = random_characters(n, dtype.itemsize // 4)
        codes[(codes >= 0xd800) & (codes < 0xe000) | (codes > 0x10ffff)] = 0x2028
        return codes.astype(dtype.byteorder + "u4").view(dtype).reshape(shape)
    data = RNG.bytes(n * dtype.itemsize)
    if dtype.kind == "S":
        data = bytes(random.Random(n).choice(b'\0 "#A\\\'\xc3\xa9\n\x7f') for _ in data)
    if dtype.kind in "fiu":
        edges = special_bits(dtype)
        data = (edges + data)[:len(data)] if n > 1000 else data
    if dtype.itemsize == 0:
        return numpy.zeros(shape, dtype)
    if dtype.itemsize in (16, 32) and dtype.char in "gG":
        return random_long_doubles(n, dtype).reshape(shape)
    return numpy.frombuffer(data, dtype)[:n].reshape(shape).copy()


def random_long_doubles(n, dtype):
    """Ten bytes of sixteen; among them what is no number to the processor, and the smallest ones."""
    parts = n * (dtype.itemsize // 16)
    raw = numpy.zeros((parts, 16), "u1")
    raw[:, :10] = RNG.integers(0, 256, (parts, 10))
    raw[::3, 7] |= 0x80
    raw[::5, 8] = 0
    raw[::5, 9] &= 0x80
    return raw.reshape(-1).view(dtype)


def display(text):
    """What cell.h says of characters."""
    return "".join("?" if ord(c) < 0x20 or 0x7f <= ord(c) < 0xa0 or c in "\u2028\u2029" else c for c in text)


def decode(data):
    """One `?` for each byte that is not UTF-8."""
    return data.decode("utf-8", "surrogateescape").translate({0xdc00 + i: "?" for i in range(256)})


def expected_text(value, dtype):
    """What a cell must be, where numpy cannot read it."""
    if dtype.kind == "V":
        return value.tobytes().hex()
    if dtype.kind == "S":
        return display(decode(bytes(value)))
    return display(str(value))


def is_same(cell, value, dtype):
    if dtype.kind in "SUV":
        return cell == expected_text(value, dtype)
    if dtype.kind == "b":
        return cell == str(int(value))
    if dtype.kind in "iu":
        return cell == str(int(value))
    if dtype.kind == "m":
        return cell == ("NaT" if numpy.isnat(value) else str(value.astype("i8")))
    if dtype.kind == "M":
        return is_same_datetime(cell, value)
    if dtype.kind == "c":
        return is_same_complex(cell, value, dtype)
    return is_same_float(cell, value, dtype)


def is_same_float(cell, value, dtype):
    read = numpy.dtype(dtype.type).type(cell)
    if numpy.isnan(value):
        return cell == "nan"
    return read == value and numpy.signbit(read) == numpy.signbit(value)


def is_same_complex(cell, value, dtype):
    if dtype.char == "G":  # Python's complex has doubles; no exponent's sign is followed by a second one
        middle = max(cell.rfind("+", 0, -1), cell.rfind("-", 0, -1))
        if cell[middle - 1] == "e":
            middle = max(cell.rfind("+", 0, middle - 1), cell.rfind("-", 0, middle - 1))
        parts = cell[:middle], cell[middle:-1].lstrip("+")
    else:
        read = complex(cell)
        parts = repr(read.real), repr(read.imag)
    part = value.real.dtype
    return is_same_float(parts[0], value.real, part) and is_same_float(parts[1], value.imag, part)


def is_same_datetime(cell, value):
    if numpy.isnat(value):
        return cell == "NaT"
    unit, count = numpy.datetime_data(value.dtype)
    if abs(int(value.astype("i8"))) * count * {"W": 7}.get(unit, 1) >= 1 << 62 and (count > 1 or unit in "YMW"):
        return True  # numpy's own 64 bits overflow
    return cell == str(value) and numpy.datetime64(cell, (unit, count)) == value


def leaves(value, dtype):
    """The scalars of one element, with their types."""
    if dtype.names:
        for name in dtype.names:
            field = dtype[name]
            for inner in numpy.ndindex(field.shape):
                yield from leaves(value[name][inner] if field.shape else value[name], field.base)
    else:
        yield value, dtype


def names_of(dtype, outer=""):
    if not dtype.names:
        yield outer
        return
    for name in dtype.names:
        field = dtype[name]
        escaped = repr(name)[1:-1].replace(" ", "\\x20")
        for inner in numpy.ndindex(field.shape):
            index = f"[{','.join(map(str, inner))}]" if field.shape else ""
            yield from names_of(field.base, f"{outer}.{escaped}{index}" if outer else escaped + index)


def rows_of(array):
    """What is on each line, an empty one as nothing."""
    if array.dtype.names:
        array = array.reshape(array.shape + (1,))
    if array.ndim < 2:
        array = array.reshape(-1, 1)
    blocks = array.reshape((-1,) + array.shape[-2:]) if array.size else []
    for number, block in enumerate(blocks):
        if number > 0:
            yield []
        yield from block


def check_array(array, text):
    """Every cell, one by one. Returns what is wrong."""
    body, rows = body_of(text), list(rows_of(array))
    header = text.split("\n")[0]
    if array.dtype.names and text.split("\n")[1].lstrip("#").split() != list(names_of(array.dtype)):
        return f"names {text.split(chr(10))[1]!r}"
    if len({len(line.encode()) for line in body if line}) > 1 or len(body) != len(rows):
        return f"{header}: {len(body)} lines of lengths {sorted({len(line) for line in body})}"
    for line, row in zip(body, rows):
        cells = cells_of(line)
        wanted = [leaf for value in row for leaf in leaves(value, array.dtype)]
        if len(cells) != len(wanted):
            return f"{header}: {len(cells)} cells, not {len(wanted)}: {line!r}"
        for cell, (value, dtype) in zip(cells, wanted):
            if not is_same(cell, value, dtype):
                return f"{header}: {cell!r} for {value!r}"
    return None


def check_all():
    """All types, shapes and orders, a cell at a time."""
    for dtype in NUMBERS + TIMES + STRINGS + STRUCTURES:
        arrays = [numpy.asarray(random_array(dtype, shape), order=order) for shape in SHAPES for order in "CF"]
        yield from map(check_array, arrays, texts_of(arrays))


def same_bits(array, read):
    """Of two arrays of one type. NaNs are all alike."""
    if array.shape != read.shape or array.dtype.newbyteorder("=") != read.dtype.newbyteorder("="):
        return False
    if array.dtype.kind not in "fc":
        return bool((array == read).all())
    parts = [(array.real, read.real), (array.imag, read.imag)]
    return all((((a == b) & (numpy.signbit(a) == numpy.signbit(b))) | (numpy.isnan(a) & numpy.isnan(b))).all()
               for a, b in parts)


def check_loadtxt():
    """numpy.loadtxt() reads the text as it is, and many more values. It takes each part of a c32 for a double."""
    for dtype, order in itertools.product([dtype for dtype in NUMBERS if dtype != "<c32"], "CF"):
        array = numpy.asarray(random_array(dtype, (20000, 3)), order=order)
        read_as = array.dtype.newbyteorder("=")
        read = numpy.loadtxt(io.StringIO(text_of(array)), dtype="u1" if dtype == "?" else read_as, ndmin=2)
        if not same_bits(array, read.astype(read_as)):
            yield f"loadtxt: {dtype} {order}"


def check_loadtxt_columns():
    """Each column of a structure by itself."""
    dtype = numpy.dtype([("i", ">i8"), ("f", "<f4"), ("s", "S5"), ("u", "<U3"), ("m", "<f8", (2,)), ("z", "<c16")])
    array = random_array(dtype, (500,))
    array["s"] = [b'"a b"', b"# c", b"", b"d\\'", b"xxxxx"] * 100
    array["u"] = ['""', "# ", "", "\xe9\u03b1 ", "x y"] * 100
    text = text_of(array)
    columns = [array["i"], array["f"], array["s"], array["u"], array["m"][:, 0], array["m"][:, 1], array["z"]]
    for number, column in enumerate(columns):
        read = numpy.loadtxt(io.StringIO(text), dtype=column.dtype.newbyteorder("="), usecols=number, quotechar='"')
        if not same_bits(column, read):
            yield f"loadtxt of column {number}: {column[:9]} {read[:9]}"


def significant_digits(text):
    return text.split("e")[0].strip(" -").replace(".", "").strip("0")


def is_near_half(text, value):
    """Is this decimal half way between two floats, but for the last place of the next wider type?"""
    wider = {"f2": numpy.float32, "f4": numpy.float64}.get(value.dtype.str[1:])
    if wider is None:
        return False
    neighbours = [numpy.nextafter(value, value.dtype.type(to)) for to in (-numpy.inf, numpy.inf)]
    halves = [(wider(value) + wider(neighbour)) / 2 for neighbour in neighbours]
    return any(abs(wider(text) - half) <= abs(numpy.spacing(half)) for half in halves)


def check_shortest():
    """The digits that numpy and Python print."""
    for dtype in ["<f8", "<f4", "<f2"]:
        array = random_array(dtype, (100000,))
        array = array[numpy.isfinite(array)]
        for cell, value in zip(body_of(text_of(array)), array):
            numpys = numpy.format_float_scientific(value)
            if significant_digits(cell) != significant_digits(numpys) and not is_near_half(numpys, value):
                yield f"{dtype}: {cell} is not {numpys}"
    few = ["0.1", "-1e-4950", "123.456", "4e-4951", "1.189731495357231765e+4932"]
    if [line.strip() for line in body_of(text_of(numpy.array([numpy.longdouble(text) for text in few])))] != few:
        yield "long doubles"


def check_all_16_bits():
    """Every half, and every bfloat16, which numpy has not: also if read as a wider float and rounded."""
    halves = numpy.arange(1 << 16, dtype="u2").view("f2")
    cells = numpy.array(body_of(text_of(halves)))
    for wider in ["f4", "f8"]:
        if not same_bits(halves, cells.astype(wider).astype("f2")):
            yield f"halves read as {wider}"
    bits = numpy.arange(1 << 16, dtype="u4")
    cells = numpy.array(body_of(text_of_bfloat16(bits)))
    read = cells.astype("f4").view("u4")
    rounded = (read + 0x7fff + (read >> 16 & 1)) >> 16
    wrong = (rounded != bits) & ~numpy.isnan(cells.astype("f4"))
    if wrong.any() or (numpy.isnan(cells.astype("f4")) != numpy.isnan((bits << 16).view("f4"))).any():
        yield f"bfloat16: {cells[wrong]}"


def text_of_bfloat16(bits):
    header = f"{{'descr': 'bfloat16', 'fortran_order': False, 'shape': ({bits.size},), }}".ljust(117) + "\n"
    with tempfile.NamedTemporaryFile() as file:
        file.write(b"\x93NUMPY\1\0" + len(header).to_bytes(2, "little") + header.encode() + bits.astype("<u2").tobytes())
        file.flush()
        return subprocess.run([PRINT_TEXT, file.name], stdout=subprocess.PIPE, check=True).stdout.decode()


def run_if_installed(program, arguments, text):
    if not shutil.which(program):
        print(program, "is not installed")
        return None
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write(text)
        file.flush()
        arguments = [argument.replace("FILE", file.name) for argument in arguments]
        result = subprocess.run([program, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        return result.stdout.decode()


def check_awk():
    array = numpy.arange(600.0).reshape(3, 4, 50) / 8
    out = run_if_installed("awk", ["!/^#/ && NF {n++; s += $7} END {print n, s}", "FILE"], text_of(array))
    if out is not None and out.split() != ["12", str(array[:, :, 6].sum())]:
        yield f"awk: {out}"


def check_gnuplot():
    """Three blocks of four lines, which two empty lines part; the middle column."""
    array = numpy.arange(36.0).reshape(3, 4, 3) / 8
    out = run_if_installed("gnuplot", ["-e", "stats 'FILE' using 2 nooutput; print STATS_records, STATS_blank, STATS_sum"],
                           text_of(numpy.asfortranarray(array)))
    if out is not None and out.split() != ["12", "2", str(array[:, :, 1].sum())]:
        yield f"gnuplot: {out}"


def main():
    wrong = 0
    for check in [check_all, check_loadtxt, check_loadtxt_columns, check_shortest, check_all_16_bits, check_awk,
                  check_gnuplot]:
        found = [error for error in check() if error]
        print(f"{check.__name__}: {len(found)} wrong", *found[:10], sep="\n  ")
        wrong += len(found)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
