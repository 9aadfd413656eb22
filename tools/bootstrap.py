"""Makes a virtual environment with everything locked, on a machine that has only pip and a Python.

Usage::

    python tools/bootstrap.py 3.9 .venv

Where the machine has no CPython of that version, uv downloads one into ``.uv/python`` of the
checkout; with ``AMCT_PYTHON_DOWNLOADS=never`` in the environment it does not.

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
UV_FOLDER = os.path.join(ROOT, ".uv")
PYTHONS = os.path.join(UV_FOLDER, "python")
DISTRIBUTIONS = (
    ".",
    "plugins/amct_caffe",
    "plugins/ascend_backend",
    "plugins/cpu_sim_backend",
    "meta",
)


def main(arguments):
    """Make the environment; return the exit status."""
    if len(arguments) != 2:
        say("usage: bootstrap.py PYTHON_VERSION FOLDER")
        return 2
    version, folder = arguments
    folder = os.path.join(ROOT, folder)
    wanted = fingerprint(version)
    stamp = os.path.join(folder, ".bootstrap-stamp")
    # An environment outlives the interpreter it was made with; then it is of no use.
    if os.path.exists(python_of(folder)) and os.path.exists(stamp) and read(stamp) == wanted:
        return 0
    uv, python = find_tools(version)
    say("making {} with {}".format(os.path.relpath(folder, ROOT), python))
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


def find_tools(version):
    """Return the command of uv and the path of a CPython of ``version``.

    Brings what is missing.  Ends with a message if it cannot, and has removed nothing then.
    """
    uv = find_uv()
    python = find_python(version, uv)
    if python is None:
        if os.environ.get("AMCT_PYTHON_DOWNLOADS") == "never":
            sys.exit(missing_python(version))
        say(
            "CPython {} was not found: uv brings it, into .uv/python of this folder "
            "(AMCT_PYTHON_DOWNLOADS=never prevents that)".format(version)
        )
    if uv is None:
        uv = install_uv()
        # Now its own interpreters, in the user's home, can be found as well.
        python = python or find_python(version, uv)
    return uv, python or bring_python(version, uv)


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
    found = shutil.which("uv", path=os.pathsep.join(search_path()))
    candidates = [[found]] if found else []
    if not is_own(os.path.dirname(sys.executable)):
        candidates.append([sys.executable, "-m", "uv"])
    candidates.append([os.path.join(UV_FOLDER, "bin", "uv")])
    for command in candidates:
        if succeeds(command + ["--version"]):
            return command
    return None


def install_uv():
    """Install uv into a folder of its own with pip, and return its command."""
    run([sys.executable, "-m", "venv", UV_FOLDER])
    pip = [python_of(UV_FOLDER), "-m", "pip"]
    run(
        pip + ["install", "--quiet", "--require-hashes", "-r", UV_LOCK],
        "pip could not install uv, which installs the rest; it says why above.\n"
        "Let pip reach a package index (HTTPS_PROXY, PIP_INDEX_URL), or put a uv on PATH,\n"
        "and run the command again.",
    )
    return [os.path.join(UV_FOLDER, "bin", "uv")]


def bring_python(version, uv):
    """Let uv install a CPython of ``version`` into the checkout, and return its path.

    Ends with uv's reason and with what to do instead if that fails.
    """
    environment = uv_environment()
    environment.update(UV_PYTHON_INSTALL_DIR=PYTHONS, UV_PYTHON_INSTALL_BIN="0", NO_COLOR="1")
    # A try waits 10 seconds for a connection and 30 for an answer; uv by itself makes four.
    environment.setdefault("UV_HTTP_RETRIES", "1")
    process = subprocess.Popen(
        uv + ["python", "install", "--no-config", version],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    words = process.communicate()[0].decode("utf-8", "replace")
    python = find_python(version, uv)
    if python is not None:
        return python
    if not glob.glob(os.path.join(PYTHONS, "*")):
        # Nothing but uv's hidden files.
        shutil.rmtree(PYTHONS, ignore_errors=True)
    if process.returncode == 0:
        words = "what it installed is not in .uv/python, or does not run"
    return sys.exit(failed_download(version, words))


def find_python(version, uv=None):
    """Return the path of a CPython of ``version`` ("3.9"), or None.

    Looks among pyenv's installed versions, beside the running interpreter, on PATH, where uv knows
    one, and last where an earlier set-up brought one.  Each candidate is run: a pyenv shim exists
    for versions that are switched off.
    """
    for candidate in candidates(version, uv):
        if is_python(candidate, version):
            return candidate
    return None


def candidates(version, uv=None):
    """Yield paths where a CPython of ``version`` may be."""
    name = "python" + version
    for folder in pyenv_roots():
        for path in newest(os.path.join(folder, "versions", version + ".*", "bin", name)):
            yield path
    for folder in search_path():
        yield os.path.join(folder, name)
    if uv is not None:
        # --system: without it, uv's answer is the virtual environment that is about to be removed.
        options = ["--no-config", "--no-python-downloads", "--system"]
        path = output(uv + ["python", "find"] + options + [version])
        if path:
            yield path
    for path in newest(os.path.join(PYTHONS, "*", "bin", name)):
        yield path


def newest(pattern):
    """Return the paths that match a pattern, the newest version first."""
    return sorted(glob.glob(pattern), reverse=True)


def search_path():
    """Return the folders of PATH, except those of the checkout's own environments.

    An environment that is activated may be the one that is about to be removed.
    """
    folders = os.environ.get("PATH", "").split(os.pathsep)
    return [folder for folder in folders if not is_own(folder)]


def is_own(folder):
    """Return whether a folder lies in this checkout."""
    return (os.path.realpath(folder) + os.sep).startswith(os.path.realpath(ROOT) + os.sep)


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


def failed_download(version, words):
    """Return what to tell a user for whom uv could not bring a CPython of ``version``."""
    return (
        "CPython {0} was not found, and uv could not bring it:\n"
        "{1}\n"
        "Install it with one of\n"
        "    pyenv install {0}\n"
        "    your system's package manager (package python{0} with its venv module)\n"
        "or tell uv of your proxy (HTTPS_PROXY) or mirror (UV_PYTHON_INSTALL_MIRROR),\n"
        "and run the command again."
    ).format(version, shortened(words))


def shortened(words):
    """Return a program's error message, indented, with the middle of a long one left out.

    uv's first lines say what it wanted, its last one why that failed; the lines between repeat a
    long address.
    """
    lines = [line for line in words.splitlines() if line.strip() and line[:8] != "warning:"]
    if len(lines) > 4:
        lines = lines[:3] + lines[-1:]
    return "\n".join("    " + (line if len(line) <= 120 else line[:117] + "...") for line in lines)


def python_of(folder):
    """Return the interpreter of a virtual environment."""
    return os.path.join(folder, "bin", "python")


def run(command, advice=None):
    """Run a command; if it fails, end with the advice, or with its status where there is none."""
    status = subprocess.call(command, env=uv_environment())
    if status:
        sys.exit(advice or status)


def uv_environment():
    """Return the environment variables for uv."""
    environment = dict(os.environ)
    # uv brings certificates of its own; behind a company's proxy only the system's are right.
    environment.setdefault("UV_SYSTEM_CERTS", "1")
    return environment


def succeeds(command):
    """Return whether a command runs and succeeds."""
    return output(command) is not None


def output(command):
    """Return what a command prints, or None if it fails."""
    try:
        return subprocess.check_output(command, stderr=subprocess.DEVNULL).decode().strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def say(words):
    """Tell the user something now: before Python 3.9, standard error may keep it for later."""
    print(words, file=sys.stderr, flush=True)


def read(path):
    """Return the contents of a text file."""
    with open(path) as stream:
        return stream.read()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
