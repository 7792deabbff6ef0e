"""libsegfs from Python, as far as the measurements need it, through ctypes."""
import ctypes
import os

import bench

lib = ctypes.CDLL(str(bench.BUILD / "core" / "libsegfs.so"))
P, U64, I64 = ctypes.c_void_p, ctypes.c_uint64, ctypes.c_int64
for function, arguments, result in (
    ("ring_open", [ctypes.c_int, P], ctypes.c_int), ("ring_close", [P], P), ("ring_attach", [P], ctypes.c_int),
    ("ring_join", [P, ctypes.c_int], ctypes.c_int), ("ring_reserve", [P, U64, I64, I64, P], ctypes.c_ssize_t),
    ("ring_commit", [P, U64], ctypes.c_int), ("ring_acquire", [P, U64, U64, I64, I64, P, P], ctypes.c_ssize_t),
    ("ring_release", [P, U64], ctypes.c_ssize_t), ("table_open", [ctypes.c_int, P], ctypes.c_int), ("table_close", [P], P),
    ("table_write", [P, ctypes.c_uint, P, I64], ctypes.c_int), ("table_snapshot", [P, P, I64], ctypes.c_int),
):
    getattr(lib, "segfs_" + function).argtypes = arguments
    getattr(lib, "segfs_" + function).restype = result


def check(result):
    if result < 0:
        raise OSError(-result, os.strerror(-result))
    return result


def make(path, attribute, value):
    """A new segment of a kind, made by setting one attribute."""
    with open(path, "xb"):
        os.setxattr(path, attribute, value.encode())


def attach(kind, path):
    """A handle of the ring or table in a segment."""
    handle, fd = P(), os.open(path, os.O_RDWR)
    try:
        check(getattr(lib, f"segfs_{kind}_open")(fd, ctypes.byref(handle)))
    finally:
        os.close(fd)
    return handle
