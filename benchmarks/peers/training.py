"""Time of a training iteration of ResNet-20 in PyTorch and Brevitas, QAT beside float32.

An iteration is forward, backward and the update of SGD with momentum, on a batch of 100 images.
All ways of quantization take turns with float32 in one process on two threads.  BatchNorm is
measured twice: with frozen statistics, as in the Caffe runs, and trained.  Images, labels and
weights are random.  It runs in the environment of ``set_up.py`` and prints one JSON object.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import sys
import warnings
from pathlib import Path
from typing import Any, Callable, Dict

os.environ["OMP_NUM_THREADS"] = "2"

import brevitas_layers
import torch
import torch_layers
from resnet20 import Float32, Layers, ResNet20, freeze_statistics
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import paired

THREADS = 2
BATCH = 100
WARM_UP = brevitas_layers.STATISTICS + 2
FLOAT32 = "float32"
WAYS: Dict[str, Callable[[], Layers]] = {
    FLOAT32: Float32,
    "pytorch_fused": torch_layers.Fused,
    "pytorch_learnable": torch_layers.Learnable,
    "amct_formula_in_autograd": torch_layers.Amct,
    "brevitas": brevitas_layers.Learned,
    "brevitas_collecting_statistics": brevitas_layers.Collecting,
}


class Training:
    """One network and its optimizer; a call is one iteration.

    Args:
        layers: the way of quantization.
        trained_statistics: BatchNorm uses and follows the statistics of the batch.
    """

    def __init__(self, layers: Layers, trained_statistics: bool) -> None:
        torch.manual_seed(0)
        self.images = torch.randn(BATCH, 3, 32, 32)
        self.labels = torch.randint(10, (BATCH,))
        self.network = ResNet20(layers).train()
        self.network(self.images)  # bounds and statistics that fit the images
        torch_layers.start_learning(self.network)
        if not trained_statistics:
            freeze_statistics(self.network)
        self.optimizer = torch.optim.SGD(
            self.network.parameters(), lr=1e-6, momentum=0.9, weight_decay=0.0005
        )

    def __call__(self) -> Tensor:
        """Run one iteration and return its loss."""
        self.optimizer.zero_grad()
        loss = nn.functional.cross_entropy(self.network(self.images), self.labels)
        loss.backward()
        self.optimizer.step()
        return loss.detach()


def measure(trained_statistics: bool, rounds: int) -> Dict[str, Any]:
    """Return the times with one treatment of BatchNorm."""
    trainings = {way: Training(layers(), trained_statistics) for way, layers in WAYS.items()}
    times = paired.in_turn(trainings, rounds, WARM_UP)
    return {
        "median_ms": paired.medians(times),
        "ratios": {way: paired.ratio(times, way, FLOAT32) for way in WAYS if way != FLOAT32},
        "final_losses": {way: round(float(run()), 4) for way, run in trainings.items()},
        "raw_ms": times,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30, help="two at least")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    torch.set_num_threads(THREADS)
    results = {
        "threads": THREADS,
        "batch": BATCH,
        "versions": {name: importlib.metadata.version(name) for name in ("torch", "brevitas")},
        "batch_norm_frozen": measure(False, arguments.rounds),
        "batch_norm_trained": measure(True, arguments.rounds),
    }
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
