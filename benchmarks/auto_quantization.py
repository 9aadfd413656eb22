"""``amct ptq auto`` on SqueezeNet beside a naive loop, which evaluates each candidate in Caffe.

The naive loop takes the first candidates that the search has tried, except those with equalization:
for each it writes the model to calibrate, calibrates it in Caffe, saves, and runs the fake-quant
model in Caffe on the same images.  Then the search is run a second time, killed, run again, and its
files are compared.  The script prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Dict, List, Mapping

os.environ.setdefault("GLOG_minloglevel", "2")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "2")

import attrs
import caffe
import networks
import numpy as np

from amct_core.config import ptq_json
from amct_core.config.ptq import PtqActivation
from amct_core.file_names import fake_quant_files
from amct_core.ptq import workflow

ROOT = Path(__file__).resolve().parent.parent
NETWORK = "squeezenet"
BATCH = 50
CALIBRATION = 100
MAX_DROP = 0.5
LIMIT_SECONDS = 900
"""What we promise for two cores."""

JOURNAL = "auto_journal.json"


def command(files: List[str], data: str, folder: Path) -> List[str]:
    """Return the command line of the search."""
    options = ["--data", data, "--max-drop", str(MAX_DROP), "-o", str(folder), "--json"]
    options += ["--calibration-images", str(CALIBRATION), "--batch-size", str(BATCH)]
    return [sys.executable, "-m", "amct_core", "ptq", "auto", *files, *options]


def search(files: List[str], data: str, folder: Path) -> Dict[str, Any]:
    """Return the report of a search, and its seconds."""
    start = time.monotonic()
    subprocess.run(command(files, data, folder), stdout=subprocess.DEVNULL)  # 1: not met
    seconds = round(time.monotonic() - start, 1)
    report: Dict[str, Any] = json.loads((folder / "auto_report.json").read_text())
    steps = json.loads((folder / JOURNAL).read_text())["results"]
    own = {step["what"]: step["seconds"] for step in steps}
    for each in report["candidates"]:
        each["seconds"] = own[f"candidate: {each['candidate']}"]
    return {"seconds": seconds, "limit_seconds": LIMIT_SECONDS, **report}


def resumed(files: List[str], data: str, whole: Path, folder: Path, after: float) -> Dict[str, Any]:
    """Kill a search, run it again, and return whether its files are those of ``whole``."""
    process = subprocess.Popen(command(files, data, folder), stdout=subprocess.DEVNULL)
    time.sleep(after)
    process.kill()
    process.wait()
    done = json.loads((folder / JOURNAL).read_text())["results"]
    search(files, data, folder)
    names = sorted(each.name for each in whole.iterdir() if each.name != JOURNAL)
    same = [(whole / name).read_bytes() == (folder / name).read_bytes() for name in names]
    return {
        "killed_after_seconds": after,
        "results_before": len(done),
        "same_files": dict(zip(names, same)),
    }


def naive(
    files: List[str],
    images: Any,
    labels: Any,
    config_file: str,
    candidates: List[Mapping[str, Any]],
) -> List[Dict[str, Any]]:
    """Return accuracy and seconds of each candidate, calibrated and evaluated in Caffe."""
    whole = ptq_json.read(config_file)
    found = []
    for each in candidates:
        start = time.monotonic()
        layers = {
            name: attrs.evolve(
                layer,
                enabled=name not in each["float_layers"],
                activation=PtqActivation(each["recipe"]),
            )
            for name, layer in whole.layers.items()
        }
        model = ["naive.prototxt", "naive.caffemodel"]
        network = workflow.start_with(whole.with_layers(layers), config_file, *files, "naive.txt")
        workflow.calibration_network(network, *model)
        scores_of(caffe.Net(model[0], caffe.TEST, weights=model[1]), images[:CALIBRATION])
        workflow.save(network, "Both", "naive/model")
        saved = fake_quant_files("naive/model")
        net = caffe.Net(saved.model, caffe.TEST, weights=saved.weights)
        right = scores_of(net, images[CALIBRATION:]).argmax(1) == labels[CALIBRATION:]
        seconds = round(time.monotonic() - start, 1)
        found.append({"candidate": each["candidate"], "seconds": seconds})
        found[-1]["accuracy"] = float(100 * right.mean())
        print(found[-1], file=sys.stderr)
    return found


def scores_of(net: Any, images: Any) -> Any:
    """Return the outputs of a net, one row per image."""
    found = []
    for start in range(0, len(images), BATCH):
        batch = images[start : start + BATCH]
        net.blobs["data"].reshape(*batch.shape)
        net.reshape()
        net.blobs["data"].data[...] = batch
        (output,) = net.forward().values()
        found.append(output.reshape(len(batch), -1).copy())
    return np.concatenate(found)


def measure(shared: Path, limit: int, kill_after: float) -> Dict[str, Any]:
    """Return the measurement; the working folder is a new one."""
    network = networks.NETWORKS[NETWORK]
    files = [str(shared / "models" / str(each)) for each in (network.model, network.weights)]
    images, labels = networks.load_images(shared, network, None)
    np.savez("data.npz", data=images, label=labels)
    folder = Path("whole")
    result: Dict[str, Any] = {"load_before": os.getloadavg(), "search": {}}
    result["search"] = search(files, "data.npz", folder)
    result["load_after_search"] = os.getloadavg()
    candidates = [
        each for each in result["search"]["candidates"] if "equalization" not in each["recipe"]
    ]
    result["naive_loop"] = naive(
        files, images, labels, str(folder / "config.json"), candidates[:limit]
    )
    result["load_after_naive_loop"] = os.getloadavg()
    if kill_after:
        result["resumed"] = resumed(files, "data.npz", folder, Path("killed"), kill_after)
    return result


def main() -> None:
    """Print the measurement as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, default=os.environ.get("AMCT_SHARED"))
    parser.add_argument("--naive-candidates", type=int, default=3, help="how many of them")
    parser.add_argument("--kill-after", type=float, default=60, help="seconds; 0: never")
    arguments = parser.parse_args()
    shared = Path(arguments.shared or ROOT.parent / "shared").resolve()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        result = measure(shared, arguments.naive_candidates, arguments.kill_after)
        os.chdir(ROOT)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
