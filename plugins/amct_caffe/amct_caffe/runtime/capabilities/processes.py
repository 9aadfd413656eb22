"""Whether Caffe can be one of several processes that train one network."""

from __future__ import annotations

from amct_caffe.runtime.capabilities.probe import Finding, Probe

NEEDED = ("set_solver_count", "set_solver_rank", "set_multiprocess", "solver_count")


def _several_processes() -> Finding:
    from amct_caffe.runtime.pycaffe import caffe

    missing = [name for name in NEEDED if not hasattr(caffe, name)]
    if missing:
        return Finding(False, sentence=f"this pycaffe has no {', '.join(missing)}")
    caffe.set_multiprocess(True)
    caffe.set_solver_count(2)
    caffe.set_solver_rank(1)
    there = int(caffe.solver_count()) == 2
    return Finding(there, sentence="" if there else "the number of solvers stays 1")


SEVERAL_PROCESSES = Probe(
    "several_processes", "Can several processes train one network?", _several_processes
)
