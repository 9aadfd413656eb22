"""A report on ResNet-50 beside one float32 pass of Caffe over the same images.

The report is timed from the saved model to the page, sensitivities left out.  A float32 pass, which
is warmed by one batch, runs before and after it; ``ratio`` is over the mean of the two, so that
what else the machine does counts for both.  ``cpu_ratio`` is the same of the processors' seconds.
Each runs in a process of its own; images come from one ``.npz`` file.  Weights are random: they
change neither the work nor the memory.

It prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any, Dict, List

os.environ.setdefault("GLOG_minloglevel", "2")
os.environ.setdefault("OPENBLAS_NUM_THREADS", str(len(os.sched_getaffinity(0))))

import ptq_speed

IMAGES = 100
SECONDS_LIMIT = 120.0
"""What we promise of a report of 100 images on two cores."""
PAGE_LIMIT_MB = 3.0


def prepare(shared: Path, folder: Path) -> Dict[str, Any]:
    """Write images and weights, and quantize the network."""
    import numpy as np

    ptq_speed.write_data(shared, folder)
    data = ptq_speed.Data(folder, IMAGES // ptq_speed.BATCH)
    np.savez(folder / "images.npz", data=np.concatenate([each["data"] for each in data]))
    few = ptq_speed.Data(folder, 1)
    saved(ptq_speed.model_file(shared), folder, few)
    return {}


def saved(model: str, folder: Path, data: ptq_speed.Data) -> None:
    """Quantize with few images: where the bounds lie is no matter here."""
    from amct_core.ptq import configuration, workflow

    weights, config, record = (
        str(folder / name) for name in (ptq_speed.WEIGHTS, "config.json", "record.txt")
    )
    simplified = configuration.simplified_config(batch_num=data.batches, act_algo="min_max")
    configuration.create_ptq_config(model, weights, config, simplified)
    network = workflow.start(config, model, weights, record)
    ptq_speed.in_caffe(network, data, folder, ptq_speed.Steps())
    workflow.save(network, "Both", str(folder / "saved"))


def report(model: str, folder: Path) -> Dict[str, Any]:
    """Make a report and its page; return the seconds, and how large the page is."""
    from cpu_sim_backend.analysis import strict_json
    from cpu_sim_backend.analysis.analyse import Question, analyse
    from cpu_sim_backend.analysis.networks import saved_networks
    from cpu_sim_backend.data import NpzSource

    images = str(folder / "images.npz")
    start, cpu = time.perf_counter(), time.process_time()
    networks = saved_networks(str(folder / "saved"), (model, str(folder / ptq_speed.WEIGHTS)))
    found = analyse(networks, NpzSource(images), Question(str(folder / "saved"), images))
    text = strict_json.dumps(found.as_json())
    page = page_of(found)
    return {
        "seconds": ptq_speed.seconds_since(start),
        "cpu_seconds": round(time.process_time() - cpu, 2),
        "layers": len(found.layers),
        "json_mb": round(len(text) / 1e6, 2),
        "page_mb": None if page is None else round(len(page.encode()) / 1e6, 2),
    }


def page_of(found: Any) -> str | None:
    """Return the page; None where what makes it is not installed."""
    from amct_core.errors import EnvironmentUnsuitableError
    from cpu_sim_backend.report_page import render

    try:
        return render(found)
    except EnvironmentUnsuitableError:
        return None


def measure(alone: ptq_speed.Alone) -> Dict[str, Any]:
    """Return the time of a report, and of the float32 passes beside it."""
    float32: List[Dict[str, Any]] = [alone("--float32")]
    found = alone("--report")
    float32.append(alone("--float32"))
    return {
        "float32": float32,
        "report": found,
        "ratio": ptq_speed.over_both(found, float32, "seconds"),
        "cpu_ratio": ptq_speed.over_both(found, float32, "cpu_seconds"),
        "seconds_hold": found["seconds"] <= SECONDS_LIMIT,
        "page_holds": found["page_mb"] is None or found["page_mb"] <= PAGE_LIMIT_MB,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, default=os.environ.get("AMCT_SHARED"))
    parser.add_argument("--folder", type=Path, help="run one step in this process, on its data")
    for step in ("--prepare", "--float32", "--report"):
        parser.add_argument(step, action="store_true", help="with --folder")
    options = parser.parse_args()
    shared = Path(options.shared or ptq_speed.ROOT.parent / "shared").resolve()
    if options.folder is None:
        with tempfile.TemporaryDirectory() as name:
            alone = ptq_speed.Alone(shared, Path(name), __file__)
            alone("--prepare")
            found = measure(alone)
        print(json.dumps({"images": IMAGES, **found}, indent=2))
        return
    model = ptq_speed.model_file(shared)
    data = ptq_speed.Data(options.folder, IMAGES // ptq_speed.BATCH)
    if options.prepare:
        ptq_speed.run_alone(lambda: prepare(shared, options.folder), ptq_speed.CAFFE)
    elif options.float32:
        ptq_speed.run_alone(lambda: ptq_speed.float32_pass(model, data), ptq_speed.CAFFE)
    else:
        ptq_speed.run_alone(lambda: report(model, options.folder), ptq_speed.SIMULATOR)


if __name__ == "__main__":
    main()
