"""What ``import amct_caffe`` does for scripts' own protobuf and Caffe, as AMCT does."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

FIRST = "import google.protobuf, caffe\nimport amct_caffe\n"
LAST = "import amct_caffe\nimport google.protobuf, caffe\n"
ORDERS = pytest.mark.parametrize("imports", [FIRST, LAST], ids=["amct last", "amct first"])

DEPLOY = """
layer { name: "q" type: "Quant" bottom: "data" top: "q" quant_param { scale: 2 offset: "\\\\377" } }
layer { name: "p" type: "Pooling" bottom: "q" top: "p" pooling_param { pool: AVE } }
"""


def printed(code: str, cwd: Path) -> str:
    """Return what a fresh interpreter prints."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, cwd=cwd
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.strip()


@pytest.mark.parametrize(
    "imports",
    ["import google.protobuf\nimport amct_caffe", "import amct_caffe\nimport google.protobuf"],
)
def test_text_format_is_there(imports: str, tmp_path: Path) -> None:
    assert printed(f"{imports}\nprint(google.protobuf.text_format.Merge)", tmp_path)


def test_text_format_is_not_imported_where_nobody_imports_protobuf(tmp_path: Path) -> None:
    code = "import sys, amct_caffe\nprint('google.protobuf' in sys.modules)"
    assert printed(code, tmp_path) == "False"


@pytest.mark.caffe
@ORDERS
def test_caffes_messages_read_and_write_a_deployable_model(imports: str, tmp_path: Path) -> None:
    code = f'''{imports}
net = caffe.proto.caffe_pb2.NetParameter()
google.protobuf.text_format.Merge("""{DEPLOY}""", net)
assert net.layer[0].quant_param.scale == 2 and net.layer[0].quant_param.offset == b"\\xff"
text = google.protobuf.text_format.MessageToString(net)
again = caffe.proto.caffe_pb2.NetParameter()
google.protobuf.text_format.Merge(text, again)
assert again == net
blob = net.layer[0].blobs.add(uint64_data=[2**63])
assert caffe.proto.caffe_pb2.NetParameter.FromString(net.SerializeToString()) == net
print("same")
'''
    assert printed(code, tmp_path) == "same"


@pytest.mark.caffe
@ORDERS
def test_names_of_the_module_follow(imports: str, tmp_path: Path) -> None:
    code = f"""{imports}
import pickle
pb = caffe.proto.caffe_pb2
assert pb.Phase.Name(pb.TEST) == "TEST"
assert pb.PoolingParameter.PoolMethod.Name(pb.PoolingParameter.AVE) == "AVE"
assert pb.DESCRIPTOR.message_types_by_name["NetParameter"] is pb.NetParameter.DESCRIPTOR
assert pb._NETPARAMETER is pb.NetParameter.DESCRIPTOR
method = pb.PoolingParameter.DESCRIPTOR.enum_types_by_name["PoolMethod"]
assert pb._POOLINGPARAMETER_POOLMETHOD is method
for name in pb.DESCRIPTOR.message_types_by_name:
    made = getattr(pb, name)
    assert (made.__module__, made.__qualname__) == ("caffe.proto.caffe_pb2", name)
    message = made()
    assert type(pickle.loads(pickle.dumps(message))) is made
print("all")
"""
    assert printed(code, tmp_path) == "all"


@pytest.mark.caffe
@ORDERS
def test_caffe_itself_goes_on_working(imports: str, tmp_path: Path) -> None:
    code = f"""{imports}
import numpy as np
from caffe import layers as L, params as P
spec = caffe.NetSpec()
spec.data = L.Input(shape=dict(dim=[1, 3, 4, 4]))
spec.pool = L.Pooling(spec.data, pool=P.Pooling.AVE, kernel_size=2)
open("net.prototxt", "w").write(str(spec.to_proto()))
net = caffe.Net("net.prototxt", caffe.TEST)
net.save("net.caffemodel")
saved = caffe.proto.caffe_pb2.NetParameter.FromString(open("net.caffemodel", "rb").read())
blob = caffe.io.array_to_blobproto(np.ones((1, 2, 3, 4), np.float32))
datum = caffe.io.array_to_datum(np.ones((2, 3, 4), np.uint8), 7)
print(list(net.blobs), [layer.name for layer in saved.layer], len(blob.data), datum.label)
"""
    assert printed(code, tmp_path) == "['data', 'pool'] ['data', 'pool'] 24 7"


@pytest.mark.caffe
def test_a_message_made_before_does_not_know_the_fields(tmp_path: Path) -> None:
    code = """
import caffe
before = caffe.proto.caffe_pb2.LayerParameter()
import amct_caffe
assert not hasattr(before, "quant_param")
after = caffe.proto.caffe_pb2.LayerParameter.FromString(before.SerializeToString())
print(hasattr(after, "quant_param"))
"""
    assert printed(code, tmp_path) == "True"


@pytest.mark.caffe
def test_a_field_that_is_there_already_stays_as_it_is(tmp_path: Path) -> None:
    code = """
import caffe
import amct_caffe
from amct_caffe.user_modules.caffe_messages import add_ascends_fields
completed = caffe.proto.caffe_pb2.LayerParameter
add_ascends_fields(caffe.proto.caffe_pb2)
print(caffe.proto.caffe_pb2.LayerParameter is completed)
"""
    assert printed(code, tmp_path) == "True"


def test_a_number_that_another_caffe_uses_is_left_to_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from types import ModuleType

    from google.protobuf import descriptor_pb2, descriptor_pool

    from amct_caffe.user_modules.caffe_messages import add_ascends_fields

    definition = descriptor_pb2.FileDescriptorProto(
        name="other/caffe.proto", package="caffe", syntax="proto2"
    )
    message = definition.message_type.add(name="BlobProto")
    message.field.add(name="raw_data_type", number=10, type=5, label=1)
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(definition.SerializeToString())  # type: ignore[no-untyped-call]
    module = ModuleType("caffe_pb2")
    module.DESCRIPTOR = pool.FindFileByName("other/caffe.proto")  # type: ignore[attr-defined]
    add_ascends_fields(module)
    made = module.BlobProto
    assert list(made.DESCRIPTOR.fields_by_name) == ["raw_data_type", "int32_data", "uint64_data"]
    assert "uses its number, 10, for 'raw_data_type'" in caplog.text


@pytest.mark.parametrize("before", [True, False], ids=["imported before", "imported later"])
def test_an_action_runs_once_and_leaves_the_modules_loader(before: bool, tmp_path: Path) -> None:
    (tmp_path / "awaited.py").write_text("value = 1\n")
    imported = "import awaited\n"
    code = f"""
from amct_caffe.user_modules.import_hooks import when_imported
seen = []
{imported if before else ""}
when_imported("awaited", lambda module: seen.append(module.value))
{imported}
import awaited
print(seen, type(awaited.__loader__).__name__, type(awaited.__spec__.loader).__name__)
"""
    assert printed(code, tmp_path) == "[1] SourceFileLoader SourceFileLoader"


def test_a_module_that_does_not_exist_is_still_not_found(tmp_path: Path) -> None:
    code = """
from amct_caffe.user_modules.import_hooks import when_imported
when_imported("nowhere", print)
try:
    import nowhere
except ModuleNotFoundError as error:
    print(error)
"""
    assert printed(code, tmp_path) == "No module named 'nowhere'"
