"""Post-training quantization of ResNet-50 beside one float32 pass of Caffe over the same images.

The float32 pass is warmed: one batch runs before.  Post-training quantization is timed from the
configuration to the saved files, calibration included; the start of Python and imports are not.
Each calibrator, and each pass, runs in a process of its own; a float32 pass runs before and after
each calibrator, and ``ratio`` is over the mean of the two, so that what else the machine does
counts for both.  ``cpu_ratio`` is the same of the processors' seconds, all threads together, which
depend less on what else runs.  Images come from files, a batch at a time.

``memory`` is the most memory that the process had beyond what it had after its imports.  The growth
is that of 100 images over 20.  Weights are random: they change neither the work nor the memory.

It prints one JSON object.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Sequence

os.environ.setdefault("GLOG_minloglevel", "2")
os.environ.setdefault("OPENBLAS_NUM_THREADS", str(len(os.sched_getaffinity(0))))

import attrs

ROOT = Path(__file__).resolve().parent.parent
NETWORK = "resnet50"
BATCH = 10
IMAGES = (20, 50, 100)
CALIBRATORS = ("min_max", "hfmg", "percentile", "mse", "kl", "ifmr")
IN_THE_SIMULATOR = ("hfmg",)
MAY_GROW = ("ifmr",)
CAFFE, SIMULATOR = "caffe", "simulator"
MOST_RATIO = 3.0
"""What we promise: seconds over those of the float32 pass."""
MOST_GROWTH_MIB = 32.0
"""What counts as no growth: ifmr, which keeps what is calibrated, grows by 2,604 MiB."""

WEIGHTS = "weights.caffemodel"
MODULES = ("numpy", "amct_caffe.frontend", "amct_core.ptq.workflow", "cpu_sim_backend.ptq.engine")
"""What is imported before memory counts."""


@attrs.frozen
class Data:
    """The images that one process reads: any number of times, a batch at a time."""

    folder: Path
    batches: int

    def __iter__(self) -> Iterator[Dict[str, Any]]:
        import numpy as np

        for index in range(self.batches):
            yield {"data": np.load(self.folder / f"{index}.npy")}


def write_data(shared: Path, folder: Path) -> None:
    """Write the images in batches, and weights."""
    import numpy as np
    from networks import NETWORKS, load_images, write_random_weights

    network = NETWORKS[NETWORK]
    images, _ = load_images(shared, network, max(IMAGES))
    for index, batch in enumerate(np.split(images, max(IMAGES) // BATCH)):
        np.save(folder / f"{index}.npy", batch)
    write_random_weights(model_file(shared), str(folder / WEIGHTS), images[:BATCH])


def model_file(shared: Path) -> str:
    """Return the prototxt."""
    return str(shared / "models/prototxt_only/ResNet-50-deploy.prototxt")


def forward(net: Any, batch: Dict[str, Any]) -> None:
    """Run one batch in Caffe."""
    net.blobs["data"].reshape(*batch["data"].shape)
    net.blobs["data"].data[...] = batch["data"]
    net.forward()


def float32_pass(model: str, data: Data) -> Dict[str, float]:
    """Return the seconds of one pass in float32."""
    import caffe

    net = caffe.Net(model, caffe.TEST, weights=str(data.folder / WEIGHTS))
    forward(net, next(iter(data)))
    start, cpu = time.perf_counter(), time.process_time()
    for batch in data:
        forward(net, batch)
    return {"seconds": seconds_since(start), "cpu_seconds": round(time.process_time() - cpu, 2)}


def seconds_since(start: float) -> float:
    """Return the seconds since ``time.perf_counter()`` was ``start``."""
    return round(time.perf_counter() - start, 2)


class Steps:
    """The seconds of steps that follow one another."""

    def __init__(self) -> None:
        self.seconds: Dict[str, float] = {}
        self._last = time.perf_counter()

    def done(self, name: str) -> None:
        """Note that step ``name`` ends now."""
        now = time.perf_counter()
        self.seconds[name] = round(now - self._last, 2)
        self._last = now


def quantize(model: str, data: Data, calibrator: str, engine: str) -> Dict[str, Any]:
    """Quantize from the configuration to the saved files; return the seconds of each step."""
    from amct_core.ptq import configuration, workflow

    weights = str(data.folder / WEIGHTS)
    calibrate = in_caffe if engine == CAFFE else in_the_simulator
    with tempfile.TemporaryDirectory(dir=data.folder) as name:
        folder = Path(name)
        config, record = str(folder / "config.json"), str(folder / "record.txt")
        steps, cpu = Steps(), time.process_time()
        simplified = configuration.simplified_config(batch_num=data.batches, act_algo=calibrator)
        configuration.create_ptq_config(model, weights, config, simplified)
        steps.done("config")
        network = workflow.start(config, model, weights, record)
        steps.done("init")
        calibrate(network, data, folder, steps)
        workflow.save(network, "Both", str(folder / "saved"))
        steps.done("save")
    return {
        "seconds": round(sum(steps.seconds.values()), 2),
        "cpu_seconds": round(time.process_time() - cpu, 2),
        "steps": steps.seconds,
    }


def in_caffe(network: Any, data: Data, folder: Path, steps: Steps) -> None:
    """Write the network that is calibrated, and run it."""
    import caffe

    from amct_core.ptq import workflow

    modified = str(folder / "modified.prototxt"), str(folder / "modified.caffemodel")
    workflow.calibration_network(network, *modified)
    steps.done("quantize_model")
    net = caffe.Net(modified[0], caffe.TEST, weights=modified[1])
    for batch in data:
        forward(net, batch)
    steps.done("calibration")


def in_the_simulator(network: Any, data: Data, folder: Path, steps: Steps) -> None:
    """Calibrate without Caffe."""
    from amct_core.ptq import workflow
    from cpu_sim_backend.ptq.engine import SimulatorEngine

    workflow.calibrate(network, data, SimulatorEngine())
    steps.done("calibration")


def memory(field: str) -> float:
    """Return this process's resident memory (``VmRSS``), or its peak (``VmHWM``), in MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024


def run_alone(run: Callable[[], Dict[str, Any]], engine: str) -> None:
    """Run in this process; print what it returns, and the memory that it took."""
    for module in (*MODULES, *(("caffe",) if engine == CAFFE else ())):
        importlib.import_module(module)
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here on
    before = memory("VmRSS")
    found = run()
    print(json.dumps({**found, "memory_mib": round(memory("VmHWM") - before, 1)}))


@attrs.frozen
class Alone:
    """Starts processes."""

    shared: Path
    folder: Path
    script: str = __file__

    def __call__(self, *options: str) -> Dict[str, Any]:
        """Run the script with ``options`` on the data; return what it prints."""
        command = [sys.executable, str(Path(self.script).resolve()), "--shared", str(self.shared)]
        command += ["--folder", str(self.folder), *options]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
        found: Dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return found


def measure(alone: Alone, calibrator: str) -> Dict[str, Any]:
    """Return time and memory of a calibrator in each of its engines."""
    float32 = [alone("--float32")]
    engines: Dict[str, Any] = {}
    for engine in (CAFFE, *((SIMULATOR,) if calibrator in IN_THE_SIMULATOR else ())):
        options = ("--calibrator", calibrator, "--engine", engine)
        *fewer, most = IMAGES
        found = alone(*options, "--images", str(most))
        float32.append(alone("--float32"))
        ratio = over_both(found, float32[-2:], "seconds")
        peaks = [alone(*options, "--images", str(count))["memory_mib"] for count in fewer]
        peaks.append(found.pop("memory_mib"))
        growth = round(peaks[-1] - peaks[0], 1)
        engines[engine] = {
            **found,
            "ratio": ratio,
            "cpu_ratio": over_both(found, float32[-2:], "cpu_seconds"),
            "ratio_holds": ratio <= MOST_RATIO,
            "memory_mib": dict(zip(map(str, IMAGES), peaks)),
            "growth_mib": growth,
            "memory_holds": calibrator in MAY_GROW or growth <= MOST_GROWTH_MIB,
        }
    return {"float32": float32, **engines}


def over_both(found: Dict[str, Any], float32: Sequence[Dict[str, Any]], field: str) -> float:
    """Return a field over its mean in the float32 passes before and after."""
    return round(float(found[field] / statistics.mean(each[field] for each in float32)), 2)


def parsed(arguments: List[str]) -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, default=os.environ.get("AMCT_SHARED"))
    parser.add_argument("--calibrator", action="append", choices=CALIBRATORS, help="default: all")
    parser.add_argument("--engine", choices=(CAFFE, SIMULATOR), help="with --folder")
    parser.add_argument("--folder", type=Path, help="run in this process, on the data there")
    parser.add_argument("--images", type=int, default=max(IMAGES), help="with --folder")
    parser.add_argument("--float32", action="store_true", help="with --folder: the pass alone")
    parser.add_argument("--write-data", action="store_true", help="with --folder: make the data")
    return parser.parse_args(arguments)


def main() -> None:
    """Measure and print."""
    options = parsed(sys.argv[1:])
    shared = Path(options.shared or ROOT.parent / "shared").resolve()
    if options.folder is None:
        with tempfile.TemporaryDirectory() as name:
            alone = Alone(shared, Path(name))
            alone("--write-data")
            chosen = options.calibrator or CALIBRATORS
            found = {calibrator: measure(alone, calibrator) for calibrator in chosen}
        print(json.dumps({"images": max(IMAGES), "batch": BATCH, "calibrators": found}, indent=2))
        return
    data, model = Data(options.folder, options.images // BATCH), model_file(shared)
    if options.write_data:
        run_alone(lambda: write_data(shared, options.folder) or {}, CAFFE)
    elif options.float32:
        run_alone(lambda: float32_pass(model, data), CAFFE)
    else:
        (calibrator,), engine = options.calibrator, options.engine
        run_alone(lambda: quantize(model, data, calibrator, engine), engine)


if __name__ == "__main__":
    main()
