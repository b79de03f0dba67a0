"""How the worker of each library is started, and with what settings of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
SCRATCH = ROOT / "target" / "peers"

OURS = "lossgrad"
# Interpreters that have the libraries.
MODERN = sys.executable
MXNET = os.environ.get("PEERS_MXNET_PYTHON") or str(SCRATCH / "mxnet" / "bin" / "python")

# Interpreter, script and arguments besides the number of threads, and what it imports.
PEERS = {
    "torch": (MODERN, ["torch_.py"], ["torch"]),
    "torch.compile": (MODERN, ["torch_.py", "compile"], ["torch"]),
    "jax": (MODERN, ["jax_.py"], ["jax", "optax"]),
    "sklearn": (MODERN, ["sklearn_.py"], ["sklearn"]),
    "mxnet": (MXNET, ["mxnet_.py"], ["mxnet"]),
}


def version(peer):
    """What is installed, None where it cannot be imported."""
    python, _, modules = PEERS[peer]
    modules = ", ".join(modules)
    code = f"import {modules}\nfor m in [{modules}]: print(m.__name__, m.__version__)"
    try:
        found = subprocess.run(
            [python, "-c", code], env=environment(1), capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return ", ".join(found.stdout.splitlines())


def build():
    """Compiles this library's worker, and returns its path."""
    command = ["cargo", "bench", "--bench", "peers", "--no-run", "--message-format=json"]
    built = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    messages = map(json.loads, built.stdout.splitlines())
    paths = [m["executable"] for m in messages if m.get("executable")]
    return paths[-1]


def command(library, threads, ours):
    if library == OURS:
        return [ours, "--threads", str(threads)]
    python, (script, *arguments), _ = PEERS[library]
    return [python, str(HERE / "workers" / script), str(threads), *arguments]


def environment(threads):
    """Threads as each library is told them, and memory that malloc keeps between calls."""
    threads = str(threads)
    kept = os.environ.copy()
    # These choose other kernels than those for the processor.
    for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
        kept.pop(name, None)
    return kept | {
        "OMP_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
        "OPENBLAS_NUM_THREADS": threads,
        "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=" + ("false" if threads == "1" else "true"),
        "JAX_PLATFORMS": "cpu",
        "CUDA_VISIBLE_DEVICES": "",
        "TORCHINDUCTOR_CACHE_DIR": str(SCRATCH / "inductor"),
        # Without these, arrays of some megabytes are new pages of the system in every call.
        "MALLOC_ARENA_MAX": "1",
        "MALLOC_MMAP_MAX_": "0",
        "MALLOC_TRIM_THRESHOLD_": str(1 << 40),
    }
