"""What a user gets for input that is wrong: one error that says all, and no file.

Every case damages one file of a working set, runs one step, and demands an ``AmctError`` that names
the file, the layer and the field where there is one, and a remedy; and that the folder is as it
was.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest
from digits import run_python

from amct_core.errors import AmctError

pytestmark = pytest.mark.caffe

BLOCKS = "retrain_data_quant_config {} retrain_weight_quant_config {} "

TRAIN = """
import caffe, amct_caffe as amct
amct.create_quant_retrain_config("config.json", "digits.prototxt", "float.caffemodel")
amct.create_quant_retrain_model(
    "digits.prototxt", "float.caffemodel", "config.json",
    "modified.prototxt", "modified.caffemodel", "record.txt")
solver = caffe.get_solver("solver.prototxt")
solver.net.copy_from("modified.caffemodel")
solver.solve()
"""


@pytest.fixture(scope="session")
def trained_set(trained_digits, tmp_path_factory) -> Path:
    """Make every file of the workflow once, up to the snapshot and the record."""
    from amct_caffe.demo import network

    folder = tmp_path_factory.mktemp("files") / "work"
    shutil.copytree(trained_digits.folder, folder)
    (folder / trained_digits.weights).rename(folder / "float.caffemodel")
    solver = network.solver_prototxt("modified.prototxt", "qat", 4, 0.0002)
    (folder / "solver.prototxt").write_text(solver)
    run_python(folder, "-c", TRAIN)
    return folder


@pytest.fixture
def work(trained_set, tmp_path, monkeypatch) -> Path:
    """Go to a copy of the working set."""
    shutil.copytree(trained_set, tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


def config() -> None:
    import amct_caffe as amct

    amct.create_quant_retrain_config("new.json", "digits.prototxt", "float.caffemodel")


def simplified_config() -> None:
    import amct_caffe as amct

    amct.create_quant_retrain_config("new.json", "digits.prototxt", "float.caffemodel", "quant.cfg")


def insert() -> None:
    import amct_caffe as amct

    amct.create_quant_retrain_model(
        "digits.prototxt",
        "float.caffemodel",
        "config.json",
        "new/modified.prototxt",
        "new/modified.caffemodel",
        "new/record.txt",
    )


def save() -> None:
    import amct_caffe as amct

    amct.save_quant_retrain_model(
        "modified.prototxt",
        "qat_iter_4.caffemodel",
        "Both",
        "new/model",
        "record.txt",
        "config.json",
    )


@attrs.frozen
class Said:
    """What one error said."""

    error: AmctError
    message: str


def contents(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "amct_log" not in path.parts
    }


def refused(step: Callable[[], None], folder: Path) -> Said:
    """Run ``step``; return the error after making sure that nothing was written."""
    before = contents(folder)
    with pytest.raises(AmctError) as caught:
        step()
    assert contents(folder) == before
    assert not (folder / "new").exists(), "not even an empty folder"
    message = str(caught.value)
    assert re.search(r"[.?)]$", message), "a remedy is a sentence"
    return Said(caught.value, message)


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def truncate(path: Path, keep: float) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])


def test_the_undamaged_set_goes_through_every_step(work):
    config()
    insert()
    save()


class TestMalformedPrototxt:
    @pytest.mark.parametrize(
        ("old", "new", "said"),
        [
            ('name: "conv2"', 'name: "conv2', "quotes"),
            ("num_output: 32", "num_output: many", "many"),
            ("convolution_param {", "convolution_param [", "["),
            ('bottom: "pool1"', "bottom:", "expected a field name"),
        ],
        ids=["open string", "word for a number", "wrong bracket", "value missing"],
    )
    @pytest.mark.parametrize("step", [config, insert])
    def test_the_line_is_named(self, work, step, old, new, said):
        path = work / "digits.prototxt"
        line = path.read_text()[: path.read_text().index(old)].count("\n") + 1
        replace(path, old, new)
        found = refused(step, work)
        assert found.error.file == "digits.prototxt"
        # A missing value or an open string shows only at the end of its line or on the next.
        assert re.search(rf"line ({line}|{line + 1})\b", found.message) or (
            found.error.layer == "conv2" and found.error.field
        ), found.message
        assert said in found.message

    def test_a_bottom_that_nobody_makes_is_named(self, work):
        replace(work / "digits.prototxt", 'bottom: "pool2"', 'bottom: "pool22"')
        found = refused(config, work)
        assert (found.error.file, found.error.layer) == ("digits.prototxt", "ip1")
        assert "pool22" in found.message

    def test_a_file_that_ends_in_the_middle(self, work):
        truncate(work / "modified.prototxt", 0.5)
        assert refused(save, work).error.file == "modified.prototxt"

    def test_a_file_that_is_something_else(self, work):
        shutil.copy(work / "float.caffemodel", work / "digits.prototxt")
        assert refused(config, work).error.file == "digits.prototxt"

    @pytest.mark.parametrize("missing", ["digits.prototxt", "float.caffemodel"])
    def test_a_file_that_is_not_there(self, work, missing):
        (work / missing).unlink()
        assert refused(config, work).error.file == missing


class TestTruncatedCaffemodel:
    @pytest.mark.parametrize("keep", [0.0, 0.1, 0.5, 0.9, 0.9999])
    @pytest.mark.parametrize(
        ("step", "file"),
        [
            (config, "float.caffemodel"),
            (insert, "float.caffemodel"),
            (save, "qat_iter_4.caffemodel"),
        ],
    )
    def test_the_file_is_named(self, work, step, file, keep):
        truncate(work / file, keep)
        found = refused(step, work)
        assert found.error.file == file
        assert found.error.remedy

    def test_a_text_file_in_its_place(self, work):
        shutil.copy(work / "digits.prototxt", work / "float.caffemodel")
        assert refused(config, work).error.file == "float.caffemodel"


class TestConfig:
    def edit(self, work: Path, change: Callable[[dict], object]) -> Said:
        path = work / "config.json"
        document = json.loads(path.read_text())
        change(document)
        path.write_text(json.dumps(document, indent=2))
        found = refused(insert, work)
        assert found.error.file == "config.json"
        return found

    def test_an_unknown_key(self, work):
        found = self.edit(work, lambda c: c.update(batch_nun=2))
        assert found.error.field == "batch_nun"
        assert "batch_num" in found.message

    def test_an_unknown_key_of_a_layer(self, work):
        found = self.edit(work, lambda c: c["conv1"]["retrain_data_config"].update(clip_maximum=1))
        assert found.error.layer == "conv1"
        assert "clip_maximum" in found.message

    @pytest.mark.parametrize("value", ["two", 2.5, True, None, [], 0, -1])
    def test_a_batch_num_of_wrong_type_or_range(self, work, value):
        found = self.edit(work, lambda c: c.update(batch_num=value))
        assert found.error.field == "batch_num"
        assert repr(value) in found.message or json.dumps(value) in found.message

    @pytest.mark.parametrize("value", ["yes", 1, None])
    def test_a_switch_that_is_no_boolean(self, work, value):
        found = self.edit(work, lambda c: c["conv1"].update(retrain_enable=value))
        assert (found.error.layer, found.error.field) == ("conv1", "retrain_enable")

    @pytest.mark.parametrize(("low", "high"), [(1.0, 2.0), (-1.0, -0.5), (0.0, 0.0)])
    def test_clip_bounds_that_do_not_contain_zero_or_nothing_else(self, work, low, high):
        def change(document):
            document["conv1"]["retrain_data_config"].update(clip_min=low, clip_max=high)

        assert self.edit(work, change).error.layer == "conv1"

    def test_a_layer_that_the_network_lacks(self, work):
        found = self.edit(work, lambda c: c.update(conv9=c["conv1"]))
        assert found.error.layer == "conv9"

    def test_a_layer_that_cannot_be_quantized_is_named_with_the_reason(self, work):
        found = self.edit(work, lambda c: c.update(pool1=c["pool2"]))
        assert found.error.layer == "pool1"
        assert "MAX" in found.message

    @pytest.mark.parametrize(
        ("block", "field"),
        [
            ("retrain_data_config", "algo"),
            ("retrain_data_config", "init_algo"),
            ("retrain_weight_config", "algo"),
        ],
    )
    def test_an_algorithm_that_nobody_provides(self, work, block, field):
        found = self.edit(work, lambda c: c["conv1"][block].update({field: "magic"}))
        assert (found.error.layer, found.error.field) == ("conv1", f"{block}.{field}")
        assert "'magic'" in found.message

    def test_text_that_is_no_json(self, work):
        replace(work / "config.json", ":", "=")
        found = refused(insert, work)
        assert found.error.file == "config.json"
        assert "line" in found.message

    def test_a_key_given_twice(self, work):
        replace(work / "config.json", "{", '{\n  "batch_num": 3,')
        found = refused(insert, work)
        assert (found.error.file, found.error.field) == ("config.json", "batch_num")

    def test_a_config_that_the_model_was_not_made_with(self, work):
        path = work / "config.json"
        document = json.loads(path.read_text())
        document["conv1"]["retrain_enable"] = False
        path.write_text(json.dumps(document))
        found = refused(save, work)
        assert found.error.file == "config.json"
        assert "'conv1' was inserted but is not enabled" in found.message

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            (BLOCKS + "batch_nun: 1", "batch_nun"),
            (BLOCKS + 'batch_num: "one"', "batch_num"),
            ("batch_num: 1", "retrain_data_quant_config"),
            (BLOCKS + 'skip_layers: "conv9"', "conv9"),
            ("override_layer_configs {", "end"),
        ],
    )
    def test_a_simplified_config(self, work, text, said):
        (work / "quant.cfg").write_text(text + "\n")
        found = refused(simplified_config, work)
        assert found.error.file == "quant.cfg"
        assert said in found.message


class TestRecord:
    def entries(self, work: Path) -> list[str]:
        return re.findall(r"^record \{.*?^\}\n", (work / "record.txt").read_text(), re.M | re.S)

    def test_a_missing_layer(self, work):
        rest = [entry for entry in self.entries(work) if '"conv2"' not in entry]
        (work / "record.txt").write_text("".join(rest))
        found = refused(save, work)
        assert (found.error.file, found.error.layer) == ("record.txt", "conv2")

    def test_a_repeated_layer(self, work):
        entries = self.entries(work)
        (work / "record.txt").write_text("".join([*entries, entries[0]]))
        found = refused(save, work)
        assert (found.error.file, found.error.layer) == ("record.txt", "conv1")

    def test_a_layer_of_another_network(self, work):
        (work / "record.txt").write_text(
            "".join(self.entries(work)).replace('"conv2"', '"convolution2"')
        )
        found = refused(save, work)
        assert found.error.file == "record.txt"
        assert "convolution2" in found.message or found.error.layer == "conv2"

    def test_an_n_out_of_range(self, work):
        text, count = re.subn(
            r"shift_bit: \d+", "shift_bit: 17", (work / "record.txt").read_text(), count=1
        )
        assert count == 1, "the search has found N"
        (work / "record.txt").write_text(text)
        found = refused(save, work)
        assert (found.error.file, found.error.layer, found.error.field) == (
            "record.txt",
            "conv1",
            "shift_bit",
        )

    def test_a_layer_without_n_says_how_to_get_it(self, work):
        entry = self.entries(work)[0]
        without = re.sub(r" *shift_bit: \d+\n", "", entry)
        assert without != entry
        replace(work / "record.txt", entry, without)
        found = refused(save, work)
        assert found.error.layer == "conv1"
        for word in ("solver.step(max_iter)", "solver.solve()", "share_with"):
            assert word in found.message

    def test_a_record_that_is_not_there(self, work):
        (work / "record.txt").unlink()
        assert refused(save, work).error.file == "record.txt"


class TestModelAndWeightsThatDoNotMatch:
    @pytest.mark.parametrize("step", [config, insert])
    def test_a_shape(self, work, step):
        replace(work / "digits.prototxt", "num_output: 32", "num_output: 24")
        found = refused(step, work)
        assert found.error.layer == "conv2"
        assert "32" in found.message and "24" in found.message

    @pytest.mark.parametrize("step", [config, insert])
    def test_weights_that_are_missing(self, work, step):
        replace(work / "digits.prototxt", 'name: "conv2"', 'name: "convolution2"')
        found = refused(step, work)
        assert (found.error.file, found.error.layer) == ("float.caffemodel", "convolution2")
        assert "'conv2'" in found.message

    def test_weights_that_were_not_trained_with_the_modified_model(self, work):
        shutil.copy(work / "float.caffemodel", work / "qat_iter_4.caffemodel")
        found = refused(save, work)
        assert found.error.file == "qat_iter_4.caffemodel"
        assert "snapshot of the modified model" in found.message

    def test_a_model_without_fake_quantization(self, work):
        shutil.copy(work / "digits.prototxt", work / "modified.prototxt")
        assert refused(save, work).error.file == "modified.prototxt"


class TestArguments:
    def test_an_unknown_save_type(self, work):
        import amct_caffe as amct

        def step():
            amct.save_quant_retrain_model(
                "modified.prototxt", "qat_iter_4.caffemodel", "All", "new/model", "record.txt"
            )

        found = refused(step, work)
        assert found.error.field == "save_type"
        assert "Fakequant, Deploy, Both" in found.message

    @pytest.mark.parametrize("value", [None, 3, "", ["digits.prototxt"]])
    def test_a_path_that_is_none(self, work, value):
        import amct_caffe as amct

        found = refused(
            lambda: amct.create_quant_retrain_config("new.json", value, "float.caffemodel"), work
        )
        assert found.error.field == "model_file"

    def test_an_output_that_cannot_be_written(self, work):
        import amct_caffe as amct

        (work / "occupied").write_text("a file where a folder should be")

        def step():
            amct.save_quant_retrain_model(
                "modified.prototxt", "qat_iter_4.caffemodel", "Both", "occupied/m", "record.txt"
            )

        assert "occupied" in refused(step, work).message
