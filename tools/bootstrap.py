"""Makes a virtual environment with everything locked, on a machine that has only pip and a Python.

Usage::

    python tools/bootstrap.py 3.9 .venv

Runs on any CPython from 3.6 and needs the standard library only.  It is fast when nothing changed.
"""

import glob
import hashlib
import os
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LOCK = os.path.join(ROOT, "requirements", "dev.txt")
UV_LOCK = os.path.join(ROOT, "requirements", "uv.txt")
DISTRIBUTIONS = (".", "plugins/amct_caffe", "plugins/ascend_backend", "plugins/cpu_sim_backend")


def main(arguments):
    """Make the environment; return the exit status."""
    if len(arguments) != 2:
        print("usage: bootstrap.py PYTHON_VERSION FOLDER", file=sys.stderr)
        return 2
    version, folder = arguments
    folder = os.path.join(ROOT, folder)
    wanted = fingerprint(version)
    stamp = os.path.join(folder, ".bootstrap-stamp")
    if os.path.exists(stamp) and read(stamp) == wanted:
        return 0
    uv = find_uv()
    python = find_python(version, uv)
    if python is None:
        print(missing_python(version), file=sys.stderr)
        return 1
    print("making {} with {}".format(os.path.relpath(folder, ROOT), python), file=sys.stderr)
    if uv is None:
        uv = install_uv()
    if os.path.isdir(folder):
        shutil.rmtree(folder)
    run(uv + ["venv", "--no-config", "--quiet", "--python", python, folder])
    inside = ["--no-config", "--quiet", "--python", python_of(folder)]
    run(uv + ["pip", "sync", "--require-hashes", LOCK] + inside)
    editable = [part for path in DISTRIBUTIONS for part in ("--editable", os.path.join(ROOT, path))]
    run(uv + ["pip", "install", "--no-deps", "--no-build-isolation"] + inside + editable)
    compile_bytecode(folder)
    with open(stamp, "w") as stream:
        stream.write(wanted)
    return 0


def compile_bytecode(folder):
    """Compile every module once.

    Otherwise each start pays for it where Python may not write (PYTHONDONTWRITEBYTECODE, a folder
    of somebody else's), and the first one everywhere.
    """
    sources = [os.path.join(ROOT, "amct_core"), os.path.join(ROOT, "plugins")]
    # A package may hold templates that are no valid Python: the status does not matter.
    subprocess.call([python_of(folder), "-m", "compileall", "-q", "-j", "2", folder] + sources)


def fingerprint(version):
    """Return a digest of everything that decides what the environment holds."""
    digest = hashlib.sha256(version.encode())
    files = [LOCK, os.path.abspath(__file__)]
    files += [os.path.join(ROOT, path, "pyproject.toml") for path in DISTRIBUTIONS]
    for path in files:
        with open(path, "rb") as stream:
            digest.update(stream.read())
    digest.update(ROOT.encode())
    return digest.hexdigest()


def find_uv():
    """Return the command of a uv that works, or None.

    A uv on PATH may be a shim of another Python version that fails when it is called.
    """
    found = shutil.which("uv")
    candidates = [[found]] if found else []
    candidates.append([sys.executable, "-m", "uv"])
    own = os.path.join(ROOT, ".uv", "bin", "uv")
    candidates.append([own])
    for command in candidates:
        if succeeds(command + ["--version"]):
            return command
    return None


def install_uv():
    """Install uv into a folder of its own with pip, and return its command."""
    folder = os.path.join(ROOT, ".uv")
    run([sys.executable, "-m", "venv", folder])
    run([python_of(folder), "-m", "pip", "install", "--quiet", "--require-hashes", "-r", UV_LOCK])
    return [os.path.join(folder, "bin", "uv")]


def find_python(version, uv=None):
    """Return the path of a CPython of ``version`` ("3.9"), or None.

    Looks where uv knows one, among pyenv's installed versions, beside the running interpreter, and
    on PATH.  Each candidate is run: a pyenv shim exists for versions that are switched off.
    """
    for candidate in candidates(version, uv):
        if is_python(candidate, version):
            return candidate
    return None


def candidates(version, uv=None):
    """Yield paths where a CPython of ``version`` may be."""
    name = "python" + version
    for folder in pyenv_roots():
        pattern = os.path.join(folder, "versions", version + ".*", "bin", name)
        for path in sorted(glob.glob(pattern), reverse=True):
            yield path
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        yield os.path.join(folder, name)
    if uv is not None:
        # Only what is there already: a download of an interpreter is the user's decision.
        path = output(uv + ["python", "find", "--no-config", "--no-python-downloads", version])
        if path:
            yield path


def pyenv_roots():
    """Return the folders that may be pyenv's root."""
    roots = [os.environ.get("PYENV_ROOT"), os.path.expanduser("~/.pyenv")]
    program = shutil.which("pyenv")
    if program:
        roots.append(os.path.dirname(os.path.dirname(os.path.realpath(program))))
    # <root>/versions/<version>/bin/python: the interpreter that runs this may be pyenv's own.
    base = os.path.realpath(sys.executable)
    roots.append(os.path.abspath(os.path.join(os.path.dirname(base), "..", "..", "..")))
    return [root for root in roots if root]


def is_python(path, version):
    """Return whether ``path`` runs and is a CPython of ``version``."""
    if not os.path.isfile(path):
        return False
    question = (
        "import sys, platform;"
        "print(platform.python_implementation(), '%d.%d' % sys.version_info[:2])"
    )
    return output([path, "-c", question]) == "CPython " + version


def missing_python(version):
    """Return what to tell a user who has no CPython of ``version``."""
    return (
        "CPython {0} was not found: not by uv, not in pyenv's versions, not on PATH.\n"
        "Install it with one of\n"
        "    uv python install {0}\n"
        "    pyenv install {0}\n"
        "    your system's package manager (package python{0} with its venv module)\n"
        "and run the command again."
    ).format(version)


def python_of(folder):
    """Return the interpreter of a virtual environment."""
    return os.path.join(folder, "bin", "python")


def run(command):
    """Run a command; end with its status if it fails."""
    environment = dict(os.environ)
    # uv brings certificates of its own; behind a company's proxy only the system's are right.
    environment.setdefault("UV_SYSTEM_CERTS", "1")
    status = subprocess.call(command, env=environment)
    if status:
        sys.exit(status)


def succeeds(command):
    """Return whether a command runs and succeeds."""
    return output(command) is not None


def output(command):
    """Return what a command prints, or None if it fails."""
    try:
        return subprocess.check_output(command, stderr=subprocess.DEVNULL).decode().strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def read(path):
    """Return the contents of a text file."""
    with open(path) as stream:
        return stream.read()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
