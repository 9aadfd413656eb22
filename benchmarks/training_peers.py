"""QAT beside float32 on the same ResNet-20: ours in Caffe, and PyTorch's and Brevitas's own.

Each tool is compared with its own float32 only; what is set side by side are the ratios.  The tools
take turns, several times, so that a slow hour of the machine hits all of them; rounds of all turns
are put together.  The peers run in an environment of their own, which is made at the first call.
It prints one JSON object, and the table of ratios on standard error.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List

import paired

BENCHMARKS = Path(__file__).resolve().parent
PEERS_PYTHON = BENCHMARKS.parent / ".venv-peers/bin/python"
OURS, FLOAT32 = "ours_in_caffe", "float32"
FROZEN, TRAINED = "batch_norm_frozen", "batch_norm_trained"


def printed_by(command: List[str]) -> Any:
    """Run a command and return the JSON that it prints."""
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


def our_times(rounds: int) -> Dict[str, paired.Times]:
    """Return the times of Caffe by treatment of BatchNorm; its statistics are frozen there."""
    script = str(BENCHMARKS / "qat_speed.py")
    options = ["--network", "resnet20", "--pair", "--no-memory", "--rounds", str(rounds)]
    found = printed_by([sys.executable, script, *options])
    raw = found["networks"]["resnet20"]["raw_ms"]
    return {FROZEN: {FLOAT32: raw["float32"], OURS: raw["qat"]}}


def peers_times(rounds: int, versions: Dict[str, str]) -> Dict[str, paired.Times]:
    """Return the times of the peers by treatment of BatchNorm; note their ``versions``."""
    script = str(BENCHMARKS / "peers/training.py")
    found = printed_by([str(PEERS_PYTHON), script, "--rounds", str(rounds)])
    versions.update(found["versions"])
    return {treatment: found[treatment]["raw_ms"] for treatment in (FROZEN, TRAINED)}


def join(turns: List[Dict[str, paired.Times]]) -> Dict[str, paired.Times]:
    """Return all rounds of several turns together."""
    joined: Dict[str, paired.Times] = {}
    for turn in turns:
        for treatment, times in turn.items():
            for way, own in times.items():
                joined.setdefault(treatment, {}).setdefault(way, []).extend(own)
    return joined


def ratios(times: Dict[str, paired.Times]) -> Dict[str, Any]:
    """Return the ratios of every way of quantization to the float32 of the same tool."""
    return {
        treatment: {way: paired.ratio(own, way, FLOAT32) for way in own if way != FLOAT32}
        for treatment, own in times.items()
    }


def table(found: Dict[str, Any]) -> str:
    """Return the ratios as text, the smallest first."""
    rows = [
        (values["paired_ratio"], way, treatment, values["paired_ratio_quartiles"])
        for treatment, ways in found.items()
        for way, values in ways.items()
    ]
    lines = [f"{'QAT / float32':>13}  {'quartiles':14} {'way':32} BatchNorm"]
    for ratio, way, treatment, (low, high) in sorted(rows):
        quartiles = f"{low:.3f}..{high:.3f}"
        name = treatment.replace("batch_norm_", "")
        lines.append(f"{ratio:13.3f}  {quartiles:14} {way:32} {name}")
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=10, help="of each turn; two at least")
    arguments = parser.parse_args()
    subprocess.run([sys.executable, str(BENCHMARKS / "peers/set_up.py")], check=True)
    versions: Dict[str, str] = {}
    ours, peers = [], []
    for turn in range(arguments.turns):
        print(f"turn {turn + 1} of {arguments.turns} ...", file=sys.stderr)
        ours.append(our_times(arguments.rounds))
        peers.append(peers_times(arguments.rounds, versions))
    our_rounds, peer_rounds = join(ours), join(peers)
    own, others = ratios(our_rounds), ratios(peer_rounds)
    together = {name: {**own.get(name, {}), **others[name]} for name in others}
    print(table(together), file=sys.stderr)
    smallest = min(v["paired_ratio"] for ways in others.values() for v in ways.values())
    results = {
        "versions": versions,
        "ours_is_below_every_peer": own[FROZEN][OURS]["paired_ratio"] < smallest,
        "ratios": together,
        "median_ms": {
            "caffe": {name: paired.medians(times) for name, times in our_rounds.items()},
            "pytorch": {name: paired.medians(times) for name, times in peer_rounds.items()},
        },
        "raw_ms": {"caffe": our_rounds, "pytorch": peer_rounds},
    }
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
