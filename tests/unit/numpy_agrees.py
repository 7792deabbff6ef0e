#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Types and .npy headers made by numpy: does libsegfs see in them what numpy does?

    numpy_agrees.py DESCRIBE        the helper built from describe.c
"""
import io
import itertools
import os
import random
import subprocess
import sys
import tempfile
import warnings

try:
    import numpy
    from numpy.lib import format as npy_format
except ImportError:
    print("no numpy here")
    sys.exit(77)  # Meson's "skipped"

warnings.simplefilter("ignore")

ORDERS = ["", "<", ">", "=", "|"]
SIZED = ["b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "f16", "c8", "c16", "c32",
         "S", "S0", "S1", "S10", "U", "U0", "U5", "V", "V8", "M8", "m8"]
CODES = "? b h i l q p B H I L Q P e f d g F D G c S U V M m".split()
UNITS = ["Y", "M", "W", "D", "h", "m", "s", "ms", "us", "ns", "ps", "fs", "as", "generic"]
NAMES = """bool bool_ int8 int16 int32 int64 uint8 uint16 uint32 uint64 byte ubyte short ushort intc uintc int uint
           int_ intp uintp long ulong longlong ulonglong float16 float32 float64 float128 half single double float
           longdouble complex64 complex128 complex256 csingle cdouble complex clongdouble bytes bytes_ str str_ void
           datetime64 timedelta64""".split()
REFUSED = """i3 i16 f1 f3 f12 b2 c4 c64 Sx f8x M4 M[s] M8[ M8[] M8[s M8[s]x M8[5] M8[B] M8[-1s] <float64 <bool
             int128 float80 bfloat integer generic None < > <> []x [('a',)] [('a','<f4',-1)] [('a','i4'),('a','i4')]
             [(('a','a'),'i4')] [('a','S0',(3,))] [('a','i4',(2147483648,))] [('a','i4','x')] [(5,'i4')]""".split() + [""]
FIELD_NAMES = ["x", "longer name", "é", "日本", "it's", 'say "hi"', "both ' and \"", "back\\slash", "new\nline", "tab\t",
               "\x01\x7f\x80\xa0\xad", "\u200b\u2028\u3000\ufeff", "\U0001f600", "\U000e0001", "[('a', '<f4')]", "🜨é\r"]


def simple_types():
    yield from (order + text for order in ORDERS for text in SIZED + CODES)
    yield from NAMES
    for base, unit, count in itertools.product(["M8", "m8", ">M8", "datetime64", "timedelta64"], UNITS, ["", "25"]):
        if (unit, count) != ("generic", "25"):
            yield f"{base}[{count}{unit}]"


def random_field_type(random_source, depth):
    """What a field holds: a type, and perhaps a shape."""
    if depth > 0 and random_source.random() < 0.3:
        base = random_structure(random_source, depth - 1)
    else:
        base = numpy.dtype(random_source.choice(ORDERS) + random_source.choice(SIZED[:16] + ["S7", "U3", "V5", "M8[25s]"]))
    shape = random_source.choice([None, None, (1,), (3,), (2, 3), (0, 2)])
    return (base, shape) if shape else base


def random_structure(random_source, depth=3):
    names = random_source.sample(FIELD_NAMES, random_source.randint(1, 4))
    fields = {
        "names": names,
        "formats": [random_field_type(random_source, depth) for _ in names],
        "titles": [f"title of {i}" if random_source.random() < 0.2 else None for i in range(len(names))],
    }
    if random_source.random() < 0.3:
        return numpy.dtype(fields, align=True)
    dtype = numpy.dtype(fields)
    gap = random_source.choice([0, 0, 1, 6])
    fields["offsets"] = [dtype.fields[name][1] + gap * i for i, name in enumerate(names)]
    fields["itemsize"] = dtype.itemsize + gap * len(names)
    return numpy.dtype(fields)


def structures():
    random_source = random.Random(1)  # the same ones in each run
    return [random_structure(random_source) for _ in range(300)]


def describe_dtype(dtype):
    """As describe.c prints it. A structure's alignment is 1: what descr says of it is packed."""
    offsets = [dtype.fields[name][1] for name in dtype.names] if dtype.names else []
    alignment = 1 if dtype.names else dtype.alignment
    return f"{npy_format.dtype_to_descr(dtype)}\t{dtype.itemsize}\t{alignment}\t" + "".join(f"{o} " for o in offsets)


def arrays():
    shapes = [(), (0,), (1,), (7,), (2, 3), (3, 0, 2), (1, 2, 3, 4)]
    dtypes = [numpy.dtype(text) for text in ["<f8", ">f4", "|u1", "?", "<c16", "S5", "<U3", ">M8[25s]", "<m8", "V3"]]
    for dtype, shape, order in itertools.product(dtypes + structures()[:60], shapes, "CF"):
        yield numpy.empty(shape, dtype, order)


def write_npy(array, version):
    """The bytes of the file, or None where the version cannot hold the array's field names."""
    out = io.BytesIO()
    try:
        npy_format.write_array(out, array, version=version)
    except (UnicodeEncodeError, ValueError):
        return None
    return out.getvalue()


def describe_npy(data):
    """What numpy itself reads back from the file."""
    stream = io.BytesIO(data)
    version = npy_format.read_magic(stream)
    shape, fortran, dtype = npy_format._read_array_header(stream, version)
    order = "F" if fortran else "C"
    return f"{describe_dtype(dtype)}\t{','.join(map(str, shape))}\t{order}\t{stream.tell()}"


def run(describe, what, arguments):
    result = subprocess.run([describe, what, *arguments], stdout=subprocess.PIPE, check=True)
    lines = result.stdout.decode().split("\n")[:-1]
    assert len(lines) == len(arguments), f"{len(lines)} lines for {len(arguments)} questions"
    return lines


def compare(what, questions, expected, got):
    wrong = [(q, e, g) for q, e, g in zip(questions, expected, got) if e != g]
    for question, numpys, ours in wrong[:20]:
        print(f"{what} {question!r}:\n  numpy {numpys}\n  segfs {ours}")
    print(f"{what}: {len(questions) - len(wrong)} of {len(questions)} agree")
    return not wrong


def check_dtypes(describe):
    questions = list(simple_types())
    expected = [describe_dtype(numpy.dtype(text)) for text in questions]
    for dtype in structures():
        questions.append(str(npy_format.dtype_to_descr(dtype)))
        expected.append(describe_dtype(dtype))
    return compare("type", questions, expected, run(describe, "dtype", questions))


def check_refused(describe):
    for text in REFUSED:
        try:
            npy_format.descr_to_dtype(eval(text) if text.startswith("[(") else text)
        except (TypeError, ValueError):
            continue
        sys.exit(f"numpy takes {text!r}: it does not belong in REFUSED")
    refused = [line.startswith("-") for line in run(describe, "dtype", REFUSED)]
    return compare("refusal of", REFUSED, [True] * len(REFUSED), refused)


def describe_files(describe, files):
    """One line for each of the files, which are given as bytes."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [os.path.join(folder, f"{i}.npy") for i in range(len(files))]
        for path, data in zip(paths, files):
            with open(path, "wb") as file:
                file.write(data)
        return run(describe, "npy", paths)


def npy_files():
    files = [write_npy(array, version) for array in arrays() for version in [(1, 0), (2, 0), (3, 0)]]
    return [data for data in files if data is not None]


def check_npy(describe):
    files = npy_files()
    return compare("file", files, [describe_npy(data) for data in files], describe_files(describe, files))


def spoil(random_source, data):
    """Overwrite, delete or repeat one byte of the header's text, the padding taking up the difference."""
    at = random_source.randrange(12, data.index(b"}", 12))
    other = bytes([random_source.choice(b"\0 '\"()[],:\\-0L\xe9x")])
    changed = data[:at] + random_source.choice([b"", data[at:at + 1] * 2, other, other]) + data[at + 1:]
    end, new_end = data.index(b"\n", 12), changed.index(b"\n", 12)
    return changed[:new_end][:end].ljust(end) + changed[new_end:]


def check_spoiled(describe):
    """What numpy refuses we refuse, and what both take means the same. We may refuse more."""
    random_source = random.Random(2)
    files = [spoil(random_source, data) for data in random_source.choices(npy_files(), k=1500)]
    got = describe_files(describe, files)
    expected = []
    for data, line in zip(files, got):
        try:
            expected.append(line if line.startswith("-") else describe_npy(data))
        except Exception as error:  # numpy lets many kinds through: TypeError, tokenize.TokenError, MemoryError
            expected.append(f"{type(error).__name__}: {error}")
    print(sum(not line.startswith("-") for line in got), "spoiled files are still valid")
    return compare("spoiled file", files, expected, got)


def main():
    describe = sys.argv[1]
    checks = [check_dtypes, check_refused, check_npy, check_spoiled]
    results = [check(describe) for check in checks]
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
