"""Data-parallel training over MPI beside one process with the same global batch.

LeNet on MNIST (LMDB) and ResNet-20 on CIFAR-10, each trained for some iterations of
quantization-aware training in one process, with one thread and with one per core, and on two and on
four ranks of one thread each, in turn, several rounds.  Reported are how far the losses, the bounds
and N are from those of one process, and seconds per iteration (from one update to the next, the
median over the iterations behind the initialisation of the bounds).

How far float32's order of additions alone leads is shown by one process that is fed with the same
batches, the samples of each in reverse.  The script prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any, Dict, List, Tuple

os.environ.setdefault("GLOG_minloglevel", "2")

import attrs
import lenet_mnist
import numpy as np
import resnet20_cifar
from networks import CIFAR_DEVIATION, CIFAR_MEAN

import amct_caffe as amct
from amct_core import record as records

BATCH_NUM = 2


@attrs.frozen
class Network:
    """What is trained: the global batch, which four ranks can share, and how.

    Attributes:
        batch: samples per iteration, of all ranks together.
        batches: of them in the training data.
        base_lr: learning rate.
    """

    batch: int
    batches: int
    base_lr: str


NETWORKS = {
    "lenet": Network(batch=64, batches=160, base_lr="1e-4"),
    "resnet20": Network(batch=40, batches=100, base_lr="1e-5"),
}
TEST_BATCH = 100

SOLVER = """\
net: "model.prototxt"
test_iter: {batch_num}
test_interval: {iterations}
test_initialization: false
base_lr: {base_lr}
lr_policy: "fixed"
momentum: 0.9
weight_decay: 0.0005
max_iter: {iterations}
display: 1
snapshot: {iterations}
snapshot_prefix: "snapshot"
random_seed: 1
"""

ONE_PROCESS = """
import json, time
import caffe
solver = caffe.get_solver("solver.prototxt")
solver.net.copy_from("model.caffemodel")
losses, times = [], []
def ready():
    losses.append(float(solver.net.blobs["loss"].data))
    times.append(time.time())
solver.add_callback(lambda: None, ready)
solver.solve()
print(json.dumps([losses, times]))
"""

LINE = re.compile(r"^(\S+ [\d:]+,\d+) .*iteration \d+: .*\bloss = (\S+?),? ", re.MULTILINE)


@attrs.frozen
class Way:
    """One way to train: processes, threads of each, and whether batches are fed in reverse."""

    ranks: int
    threads: int
    reversed: bool = False

    @property
    def name(self) -> str:
        """What it is called in the results."""
        return f"{self.ranks} x {self.threads}" + (", batches reversed" if self.reversed else "")


@attrs.frozen
class Run:
    """What one training run gave: the loss of every iteration, and the time of every update."""

    losses: List[float]
    times: List[float]

    @property
    def seconds(self) -> float:
        """Median seconds per iteration, without those that initialise the bounds."""
        return statistics.median(np.diff(self.times)[BATCH_NUM:])


def prepare_data(shared: Path, network: str, folder: Path, reverse: bool) -> None:
    """Write the data of a network below ``folder``."""
    sys.path.insert(0, str(shared / "data"))
    import load

    trained = NETWORKS[network]
    for split in ("train", "test"):
        images, labels = (load.mnist if network == "lenet" else load.cifar10)(split)
        count = trained.batch * trained.batches if split == "train" else 10 * TEST_BATCH
        order = np.arange(count)
        if reverse and split == "train":
            order = order.reshape(-1, trained.batch)[:, ::-1].reshape(-1)
        images, labels = images[order], labels[order]
        if network == "lenet":
            path = folder / f"examples/mnist/mnist_{split}_lmdb"
            lenet_mnist.write_lmdb(path, images, labels)
        else:
            pixels = images.astype(np.float32) / 255 - CIFAR_MEAN
            data = (pixels / CIFAR_DEVIATION).transpose(0, 3, 1, 2)
            np.savez(folder / f"{split}.npz", data=data, label=labels.astype(np.float32))


def insert(shared: Path, network: str, ranks: int, solver: str) -> None:
    """Put fake quantization into the network, in the working folder, a share of the batch each."""
    share = NETWORKS[network].batch // ranks
    if network == "lenet":
        folder = shared / "models/lenet"
        text = (folder / "lenet_train_test.prototxt").read_text()
        assert text.count("batch_size: 64") == 1
        Path("float.prototxt").write_text(text.replace("batch_size: 64", f"batch_size: {share}"))
        weights = str(folder / "lenet_iter_10000.caffemodel")
    else:
        folder = shared / "models/resnet20_cifar"
        # This data layer deals out TEST samples as well.
        deployed = str(folder / "resnet20.prototxt")
        resnet20_cifar.write_training_model(deployed, share, TEST_BATCH // ranks)
        os.rename(resnet20_cifar.MODEL, "float.prototxt")
        weights = str(folder / "resnet20.caffemodel")
    amct.create_quant_retrain_config("config.json", "float.prototxt", weights)
    config = {**json.loads(Path("config.json").read_text()), "batch_num": BATCH_NUM}
    Path("config.json").write_text(json.dumps(config))
    modified = ("model.prototxt", "model.caffemodel")
    amct.create_quant_retrain_model("float.prototxt", weights, "config.json", *modified, "record")
    Path("solver.prototxt").write_text(solver)


def train(way: Way) -> Run:
    """Train in the working folder."""
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": str(way.threads)}
    environment.update(OMP_NUM_THREADS=str(way.threads), NUMBA_NUM_THREADS=str(way.threads))
    if way.ranks == 1:
        output = run([sys.executable, "-c", ONE_PROCESS], environment).stdout
        return Run(*json.loads(output.splitlines()[-1]))
    launcher = [str(Path(sys.executable).with_name("mpiexec")), "-n", str(way.ranks)]
    command = ["-m", "amct_core", "qat", "train", "solver.prototxt", "--weights"]
    done = run([*launcher, sys.executable, *command, "model.caffemodel"], environment)
    lines = LINE.findall(done.stderr)
    times = [datetime.strptime(time, "%Y-%m-%d %H:%M:%S,%f").timestamp() for time, _ in lines]
    return Run([float(loss) for _, loss in lines], times)


def run(command: List[str], environment: Dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a command that has to succeed."""
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"exit status {done.returncode}:\n{done.stderr}")
    return done


def differences(found: Run, expected: Run, folders: Tuple[Path, Path]) -> Dict[str, Any]:
    """Return how far a run is from that of one process."""
    losses = np.abs(np.subtract(found.losses, expected.losses))
    ours, theirs = (records.read(str(folder / "record")) for folder in folders)
    pairs = [(ours.get(name), theirs.get(name)) for name in theirs.layers]
    return {
        "largest_difference_of_losses": float(losses.max()),
        "iterations_to_1e-6": int(np.argmax(losses > 1e-6)) if losses.max() > 1e-6 else len(losses),
        "largest_relative_difference_of_scale_d": max(
            abs(float(our.scale_d) / float(their.scale_d) - 1) for our, their in pairs
        ),
        "layers_with_another_n": sum(our.shift_bit != their.shift_bit for our, their in pairs),
        "layers": len(pairs),
    }


def measure(shared: Path, network: str, solver: str, rounds: int) -> Dict[str, Any]:
    """Train in every way, in turn, and compare."""
    cores = len(os.sched_getaffinity(0))
    alone = Way(1, 1)
    ways = [alone, Way(1, 1, reversed=True), Way(1, cores), Way(2, 1), Way(4, 1)]
    home = Path.cwd()
    folders = {way: home / f"{network}_{way.name}" for way in ways}
    runs: Dict[Way, List[Run]] = {way: [] for way in ways}
    for way, folder in folders.items():
        folder.mkdir()
        prepare_data(shared, network, folder, way.reversed)
        os.chdir(folder)
        insert(shared, network, way.ranks, solver)
    for _ in range(rounds):
        for way, folder in folders.items():
            os.chdir(folder)
            runs[way].append(train(way))
    os.chdir(home)
    report: Dict[str, Any] = {"global_batch": NETWORKS[network].batch, "processes x threads": {}}
    for way in ways:
        speedups = [a.seconds / b.seconds for a, b in zip(runs[alone], runs[way])]
        report["processes x threads"][way.name] = {
            "seconds_per_iteration": [round(each.seconds, 4) for each in runs[way]],
            "speedup_over_1_x_1": round(statistics.median(speedups), 3),
            "mean_loss_of_the_last_10": float(np.mean(runs[way][-1].losses[-10:])),
            "against_1_x_1": differences(
                runs[way][-1], runs[alone][-1], (folders[way], folders[alone])
            ),
        }
    return report


def main() -> None:
    """Measure and print."""
    root = Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, default=os.environ.get("AMCT_SHARED"))
    parser.add_argument("--network", action="append", choices=list(NETWORKS), help="default: all")
    parser.add_argument("--iterations", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--base-lr", help="default: as the network has it")
    chosen = parser.parse_args()
    shared = Path(chosen.shared or root.parent / "shared").resolve()
    networks = chosen.network or list(NETWORKS)
    results: Dict[str, Any] = {
        "cores": len(os.sched_getaffinity(0)),
        "iterations": chosen.iterations,
        "rounds": chosen.rounds,
    }
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for network in networks:
            base_lr = chosen.base_lr or NETWORKS[network].base_lr
            solver = SOLVER.format(
                iterations=chosen.iterations, batch_num=BATCH_NUM, base_lr=base_lr
            )
            measured = measure(shared, network, solver, chosen.rounds)
            results[network] = {"base_lr": base_lr, **measured}
        os.chdir(root)
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
