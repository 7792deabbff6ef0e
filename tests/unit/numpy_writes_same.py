#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The .npy headers that libsegfs writes: are they numpy's, byte for byte?

    numpy_writes_same.py WRITE_NPY_HEADER        the helper built from write_npy_header.c
"""
import io
import subprocess
import sys

from numpy_agrees import arrays, compare, npy_format, numpy, simple_types, write_npy


def wide(name, n_fields):
    """A structure with so many fields that its header is long."""
    return numpy.empty((2, 3), [(f"{name}{i:0100}", "<f8") for i in range(n_fields)], "F")


def all_arrays():
    yield from arrays()
    yield from (numpy.empty((2, 3), text, "F") for text in simple_types())
    yield from (numpy.empty(shape, "<i2", order) for shape in [(1, 5), (5, 1), (1, 1, 1), (2, 1, 3)] for order in "CF")
    yield from (wide(name, n_fields) for name in ["x", "é", "日本"] for n_fields in [3, 500, 600])
    yield from (wide("x" * length, 555) for length in range(2, 12))  # from version 1.0 to 2.0
    yield from (numpy.empty(3, [("x" * length, "|u1")]) for length in range(1, 130))  # each length of padding


def question(array):
    """What of an array the helper is told."""
    order = "C" if array.flags.c_contiguous else "F"
    return (str(npy_format.dtype_to_descr(array.dtype)), ",".join(map(str, array.shape)), order)


def header(array):
    data = write_npy(array, None)
    return data[:len(data) - array.nbytes]


def large_shapes():
    """Those that no array can be made of."""
    for shape in [(10**6, 10**12), (2**63 - 1,), (1, 2**63 - 1), (2**62, 1)]:
        for order in ["C", "F"] if len(shape) > 1 and 1 not in shape else ["C"]:
            out = io.BytesIO()
            npy_format.write_array_header_1_0(out, {"descr": "|u1", "fortran_order": order == "F", "shape": shape})
            yield ("|u1", ",".join(map(str, shape)), order), out.getvalue()


def ask(helper, questions):
    """Some hundred questions at a time, as a command line has its limit."""
    for start in range(0, len(questions), 100):
        arguments = [text for question in questions[start:start + 100] for text in question]
        output = subprocess.run([helper, *arguments], stdout=subprocess.PIPE, check=True).stdout
        yield from map(bytes.fromhex, output.decode().split())


def main():
    known = [(question(array), header(array)) for array in all_arrays()] + list(large_shapes())
    questions, expected = zip(*known)
    got = list(ask(sys.argv[1], questions))
    assert len(got) == len(questions), f"{len(got)} lines for {len(questions)} questions"
    sys.exit(0 if compare("header", questions, expected, got) else 1)


if __name__ == "__main__":
    main()
