"""Answers compare.py, for the workers in Python."""

import ctypes
import os
import sys
import time

import numpy as np

TYPES = {"f32": np.float32, "i32": np.int32}


def serve(library):
    """Reads requests until there are none.

    `library` has `prepare(loss, inputs)`, which gives a function of no arguments that returns loss
    and gradients once they are computed (None for a loss it lacks), and `totals(loss, loss and
    gradients)`, which makes the numbers that are compared of them.
    """
    # What libraries print is no reply.
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    step = None
    for line in sys.stdin:
        request, *words = line.split()
        try:
            if request == "prepare":
                step = library.prepare(words[0], read(words[1], words[2:]))
                if step is None:
                    reply = "lacks"
                else:
                    loss, gradient = library.totals(words[0], *step())
                    reply = f"ok {loss} {gradient}"
            elif request == "time":
                reply = f"ok {seconds(step, int(words[0]))}"
            else:
                step = None
                give_back()
                reply = "ok"
        except Exception as error:
            step = None
            reply = "failed " + reason(error)
        print(reply, file=replies, flush=True)


def read(directory, arrays):
    inputs = {}
    for array in arrays:
        name, element, shape = array.split(":")
        values = np.fromfile(os.path.join(directory, name), TYPES[element])
        inputs[name] = values.reshape([int(extent) for extent in shape.split(",")])
    return inputs


def seconds(step, calls):
    start = time.perf_counter()
    for _ in range(calls):
        step()
    return time.perf_counter() - start


def give_back():
    """Freed memory goes back to the system, which compare.py tells malloc not to do by itself."""
    ctypes.CDLL(None).malloc_trim(0)


def reason(error):
    text = " ".join(str(error).split())
    for words in ("memory", "RESOURCE_EXHAUSTED", "bad_alloc"):
        if words in text or isinstance(error, MemoryError):
            return "out of memory"
    # MXNet puts a stack of calls in front.
    return "fails: " + text.rpartition("Check failed: ")[2][:160]
