"""Makes the environment of the peers: CPython 3.11 with PyTorch and Brevitas, locked.

Usage::

    python benchmarks/peers/set_up.py

Runs on any CPython from 3.6 and needs the standard library only.  It is fast when nothing changed.
Nothing but ``training_peers.py`` needs this environment: not the tests, and not the project.
"""

import hashlib
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../tools"))

import bootstrap

LOCK = os.path.join(bootstrap.ROOT, "requirements", "peers.txt")
FOLDER = os.path.join(bootstrap.ROOT, ".venv-peers")
PYTHON_VERSION = "3.11"


def main():
    """Make the environment; return the exit status."""
    with open(LOCK, "rb") as stream:
        wanted = hashlib.sha256(stream.read()).hexdigest()
    stamp = os.path.join(FOLDER, ".set-up-stamp")
    if os.path.exists(stamp) and bootstrap.read(stamp) == wanted:
        return 0
    python = bootstrap.find_python(PYTHON_VERSION, bootstrap.find_uv())
    if python is None:
        print(bootstrap.missing_python(PYTHON_VERSION), file=sys.stderr)
        return 1
    print(f"making {os.path.relpath(FOLDER, bootstrap.ROOT)} with {python}", file=sys.stderr)
    bootstrap.run([python, "-m", "venv", "--clear", FOLDER])
    # pip, not uv: only pip looks where the machine's own settings say that PyTorch lies.
    pip = [bootstrap.python_of(FOLDER), "-m", "pip", "install", "-qq"]
    status = subprocess.call([*pip, "--no-deps", "--require-hashes", "-r", LOCK])
    if status:
        print(
            "pip could not install requirements/peers.txt.\n"
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
    sys.exit(main())
