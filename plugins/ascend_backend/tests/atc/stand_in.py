"""A program that acts as ``atc`` does, or fails as it may: the tests' stand-in.

It is copied to where ``atc`` would be.  ``ATC_ACTS`` says what it does; ``ATC_ARGUMENTS`` names a
file to which it writes its arguments as JSON.
"""

STAND_IN = """\
#!{python}
import json, os, signal, subprocess, sys, time

acts = os.environ.get("ATC_ACTS", "success")
options = dict(a[2:].split("=", 1) for a in sys.argv[1:] if a.startswith("--") and "=" in a)
output = options["output"] + ".om"
if "ATC_ARGUMENTS" in os.environ:
    with open(os.environ["ATC_ARGUMENTS"], "w") as stream:
        json.dump({{"arguments": sys.argv[1:], "folder": os.getcwd()}}, stream)


def write(path, data):
    with open(path, "w") as stream:
        stream.write(data)


print("ATC start working now, please wait for a moment.", flush=True)
if acts == "success":
    write(output, "compiled from " + open(options["model"]).read())
    print("ATC run success, welcome to the next use.")
    print("W11001: Op conv1 does not hit the library.", file=sys.stderr)
elif acts == "named for a system":
    write(options["output"] + "_linux_x86_64.om", "compiled")
elif acts == "external weights":
    os.mkdir(os.path.join(os.path.dirname(output), "weight"))
    write(os.path.join(os.path.dirname(output), "weight", "weight_1"), "weights")
    write(output, "compiled")
elif acts == "refusal":
    write(output, "half")
    print("ATC run failed, Please check the detail log, Try 'atc --help' for more information")
    print("E11009: [PID: 12] No Caffe parser is registered for Op [p] with Op type [Foo].")
    print("        TraceBack (most recent call last):")
    print("        E19999: Inner Error!")
    sys.exit(255)
elif acts == "refusal without a code":
    sys.exit(1)
elif acts == "crash":
    write(output, "half")
    sys.stdout.flush()
    os.kill(os.getpid(), signal.SIGSEGV)
elif acts == "crash behind a shell script":
    sys.exit(139)
elif acts in ("hang", "hang and ignore SIGTERM"):
    write(output, "half")
    if acts != "hang":
        asked = os.environ["ATC_PIDS"] + ".asked"
        signal.signal(signal.SIGTERM, lambda number, frame: write(asked, ""))
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    write(os.environ["ATC_PIDS"] + ".part", "{{}} {{}}".format(os.getpid(), child.pid))
    os.replace(os.environ["ATC_PIDS"] + ".part", os.environ["ATC_PIDS"])
    while True:
        time.sleep(600)  # a signal ends the sleep
elif acts == "leaves a child":
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    write(os.environ["ATC_PIDS"], "{{}} {{}}".format(os.getpid(), child.pid))
    write(output, "compiled")
elif acts == "no output":
    print("ATC run success, welcome to the next use.")
elif acts == "empty output":
    write(output, "")
elif acts == "library missing":
    print("atc.bin: error while loading shared libraries: libge.so: cannot open", file=sys.stderr)
    sys.exit(127)
else:
    sys.exit("no such act: " + acts)
"""
