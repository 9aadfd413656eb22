"""Makes an environment of peers, CPython 3.11 with what is locked in ``requirements``.

Usage::

    python benchmarks/peers/set_up.py [peers | nncf]

``peers`` (the default) has PyTorch and Brevitas, for ``training_peers.py``; ``nncf`` has NNCF, for
``ptq_accuracy.py``.  Runs on any CPython from 3.6 and needs the standard library only.  It is fast
when nothing changed.  Nothing else needs these environments: not the tests, and not the project.
"""

import hashlib
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../tools"))

import bootstrap

ENVIRONMENTS = ("peers", "nncf")
PYTHON_VERSION = "3.11"


def main(arguments):
    """Make the environment; return the exit status."""
    name = arguments[0] if arguments else ENVIRONMENTS[0]
    if len(arguments) > 1 or name not in ENVIRONMENTS:
        print("usage: set_up.py [{}]".format(" | ".join(ENVIRONMENTS)), file=sys.stderr)
        return 2
    lock = os.path.join(bootstrap.ROOT, "requirements", f"{name}.txt")
    folder = os.path.join(bootstrap.ROOT, f".venv-{name}")
    with open(lock, "rb") as stream:
        wanted = hashlib.sha256(stream.read()).hexdigest()
    stamp = os.path.join(folder, ".set-up-stamp")
    if os.path.exists(stamp) and bootstrap.read(stamp) == wanted:
        return 0
    python = bootstrap.find_python(PYTHON_VERSION, bootstrap.find_uv())
    if python is None:
        print(bootstrap.missing_python(PYTHON_VERSION), file=sys.stderr)
        return 1
    print(f"making {os.path.relpath(folder, bootstrap.ROOT)} with {python}", file=sys.stderr)
    bootstrap.run([python, "-m", "venv", "--clear", folder])
    # pip, not uv: only pip looks where the machine's own settings say that PyTorch lies.
    pip = [bootstrap.python_of(folder), "-m", "pip", "install", "-qq"]
    status = subprocess.call([*pip, "--no-deps", "--require-hashes", "-r", lock])
    if status:
        print(
            f"pip could not install requirements/{name}.txt.\n"
            "If it found no 'torch', tell it where the CPU builds of PyTorch are: set\n"
            "PIP_EXTRA_INDEX_URL to the index that pytorch.org names for CPU, or PIP_FIND_LINKS\n"
            "to a folder with the wheel.",
            file=sys.stderr,
        )
        return status
    with open(stamp, "w") as stream:
        stream.write(wanted)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
