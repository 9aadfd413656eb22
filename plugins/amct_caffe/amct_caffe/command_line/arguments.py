"""The options of ``amct_caffe calibration``.  Pure: arguments in, values out.

AMCT's scripts write ``--data_type`` for ``--data_types`` and ``--h`` for ``--help``: any beginning
of an option that no other shares.  That is how argparse reads options, and click does not; hence
argparse here, and click for ``amct``.
"""

from __future__ import annotations

import argparse
from typing import Mapping, Optional, Sequence, Tuple

import attrs

from amct_caffe.common.cmd_line_utils import arguments_handler
from amct_core.errors import ConfigError

_DATA_OPTIONS = ("input_shape", "data_dir", "data_types")


@attrs.frozen
class DataFolders:
    """Where the batches of calibration are.

    Attributes:
        shapes: of one batch, by input.
        paths: a folder for each input.
        types: the element type of each input's files.
    """

    shapes: Mapping[str, Sequence[int]]
    paths: Tuple[str, ...]
    types: Tuple[str, ...]


@attrs.frozen
class CalibrationArguments:
    """What to calibrate, and with what.

    Attributes:
        model, weights: the trained model.
        save_path: folder and prefix of the files to write.
        data: batches to feed; None where there is an evaluator.
        evaluator: a Python file that runs the batches; None where there is data.
        calibration_config: a simplified configuration; None for the defaults.
        batch_num: batches, where there is no ``calibration_config``.
        gpu_id: the GPU that Caffe computes on; None: the CPU.
    """

    model: str
    weights: str
    save_path: str
    data: Optional[DataFolders]
    evaluator: Optional[str]
    calibration_config: Optional[str]
    batch_num: int
    gpu_id: Optional[int]


def parse(arguments: Sequence[str]) -> CalibrationArguments:
    """Return what the arguments behind ``amct_caffe`` say.

    Raises:
        SystemExit: status 2 and a message on standard error where they are wrong; status 0 where
            they ask for help.
    """
    root = _parser()
    found = root.parse_args(arguments)
    parser: argparse.ArgumentParser = found.parser
    given = [name for name in _DATA_OPTIONS if getattr(found, name) is not None]
    if found.evaluator is not None and given:
        parser.error(f"argument --evaluator: not allowed with argument --{given[0]}")
    missing = [f"--{name}" for name in _DATA_OPTIONS if name not in given]
    if found.evaluator is None and missing:
        parser.error(
            f"the following arguments are required: {', '.join(missing)} (or --evaluator instead "
            "of the three options of data)"
        )
    return CalibrationArguments(
        model=found.model,
        weights=found.weights,
        save_path=found.save_path,
        data=_data(parser, found) if found.evaluator is None else None,
        evaluator=found.evaluator,
        calibration_config=found.calibration_config,
        batch_num=1 if found.batch_num is None else found.batch_num,
        gpu_id=found.gpu_id,
    )


def _data(parser: argparse.ArgumentParser, found: argparse.Namespace) -> DataFolders:
    try:
        data = DataFolders(
            arguments_handler.process_data_shape(found.input_shape),
            tuple(arguments_handler.process_multi_data_path(found.data_dir)),
            tuple(arguments_handler.process_data_types(found.data_types)),
        )
        arguments_handler.check_one_each(tuple(data.shapes), data.paths, data.types)
    except ConfigError as error:
        parser.error(f"argument --{error.field}: {error.problem} {error.remedy}".rstrip())
    return data


def _parser() -> argparse.ArgumentParser:
    root = argparse.ArgumentParser(
        "amct_caffe", description="Quantize a trained Caffe model, as AMCT's command line does."
    )
    commands = root.add_subparsers(title="commands", dest="command", metavar="calibration")
    commands.required = True
    parser = commands.add_parser(
        "calibration",
        help="Calibrate a trained model, and save it quantized.",
        description="Calibrate a trained model with raw files of data, or with an evaluator of "
        "your own, and save the fake-quant and the deployable model.",
    )
    parser.set_defaults(parser=parser)
    add = parser.add_argument
    add("--model", required=True, help="Prototxt, as in testing.")
    add("--weights", required=True, help="Caffemodel.")
    add("--save_path", required=True, help="Folder and prefix of the files, such as results/net.")
    add("--input_shape", metavar="NAME:N,C,H,W", help="Shape of each input; ';' separates them.")
    add(
        "--data_dir",
        help="Folder of .bin files for each input, in the order of --input_shape. Each file holds "
        "one batch in C order; they are taken in the order of their names.",
    )
    add("--data_types", help="Element type of each input's files, such as 'float32;uint8'.")
    add(
        "--evaluator",
        metavar="FILE.py",
        help="Instead of data: a Python file whose variable customize_evaluator has "
        "calibration(model, weights), which runs the batches.",
    )
    either = parser.add_mutually_exclusive_group()
    either.add_argument("--calibration_config", help="Simplified configuration (quant.cfg).")
    either.add_argument("--batch_num", type=_above_zero, help="Batches; 1 by default.")
    add("--gpu_id", type=_from_zero, help="GPU that Caffe computes on; by default the CPU does.")
    return root


def _above_zero(text: str) -> int:
    return _integer(text, 1)


def _from_zero(text: str) -> int:
    return _integer(text, 0)


def _integer(text: str, least: int) -> int:
    if not (text.isascii() and text.isdigit()) or int(text) < least:
        raise argparse.ArgumentTypeError(f"it is '{text}'; expected an integer from {least}")
    return int(text)
