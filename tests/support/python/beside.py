"""A program with a traced and an untraced TLS library. Arguments: `now` or `later`, number of children, path of
the untraced one.

With `later` it loads the untraced one at the first line on stdin. It forks the children after that.
"""

import ctypes
import os
import ssl  # noqa: F401
import sys

when, children, library = sys.argv[1], int(sys.argv[2]), sys.argv[3]


def load():
    ctypes.CDLL(library)
    for _ in range(children):
        if os.fork() == 0:
            sys.stdin.read()
            os._exit(0)


if when == "now":
    load()
print("up", flush=True)
sys.stdin.readline()
if when == "later":
    load()
print("loaded", flush=True)
sys.stdin.read()
