"""``amct demo``: the whole workflow on a small network."""

from __future__ import annotations

import json
import os
import shutil
import sys
from typing import Optional

import click

from amct_core.cli.output import json_option
from amct_core.errors import AmctError


@click.command("demo")
@click.option("--out", default="demo", show_default=True, help="Folder for everything written.")
@json_option
def command(out: str, as_json: bool) -> None:
    """Train a small LeNet-like network and take it through the whole workflow.

    It learns scikit-learn's handwritten digits in real Caffe, is trained with fake quantization,
    saved for Ascend, and run in integers; the two saved models must not differ in a single bit.
    """
    import logging

    # The steps log what a user of the API wants to know; here the table tells it.
    for name in ("amct_core", "amct_caffe"):
        logging.getLogger(name).setLevel(logging.ERROR)
    from amct_caffe.demo.workflow import DemoResult, run_demo

    result: DemoResult = run_demo(out)
    if as_json:
        click.echo(
            json.dumps(
                {
                    "float32": result.float32,
                    "fake_quant": result.fake_quant,
                    "integer": result.integer,
                    "mismatches": result.mismatches,
                    "files": list(result.files),
                }
            )
        )
    else:
        _print(result)
    if result.mismatches:
        raise AmctError(
            f"fake-quant and integer simulation differ in {result.mismatches} values.",
            file=result.save_path,
            remedy=f"See: amct verify {result.save_path} --data {result.data_file}",
        )
    sys.stdout.flush()


def _print(result: object) -> None:
    from rich.console import Console
    from rich.table import Table

    from amct_caffe.demo.workflow import DemoResult

    assert isinstance(result, DemoResult)
    console = Console(soft_wrap=True, highlight=False)
    table = Table(title="500 test images of handwritten digits")
    table.add_column("model")
    table.add_column("accuracy", justify="right")
    table.add_row("float32, in Caffe", f"{result.float32:.2%}")
    table.add_row("fake-quant, in Caffe", f"{result.fake_quant:.2%}")
    table.add_row("int8, integer simulation", f"{result.integer:.2%}")
    console.print(table)
    console.print(f"Differing values between the last two: {result.mismatches}")
    console.print("\nFiles:")
    for path in result.files:
        console.print(f"  {path}")
    folder = os.path.dirname(os.path.dirname(os.path.dirname(result.save_path)))
    console.print("\nWhat to do next:")
    activate = activation()
    if activate is not None:
        console.print(f"  source {activate}  # so that your shell finds amct")
    console.print(f"  amct verify {result.save_path} --data {result.data_file}")
    console.print(
        f"  look at {os.path.join(folder, 'qat')}: config, modified model, record, solver"
    )
    console.print("  take your own network through it: amct qat run --help")


def activation() -> Optional[str]:
    """Return the script that makes ``amct`` a command of the shell; None where it is one."""
    script = os.path.relpath(os.path.join(os.path.dirname(sys.executable), "activate"))
    if shutil.which("amct") is not None or not os.path.exists(script):
        return None
    return script
