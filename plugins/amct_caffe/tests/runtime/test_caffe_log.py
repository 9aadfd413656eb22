"""What Caffe's log says of an end: lines as BVLC Caffe and glog write them."""

from __future__ import annotations

from amct_caffe.runtime.caffe_log import fault

CREATING = """\
I1129 08:55:23.682175  196 layer_factory.hpp:77] Creating layer data
I1129 08:55:23.682178  196 net.cpp:86] Creating Layer data
I1129 08:55:23.682178  196 net.cpp:382] data -> data
"""
BUILT = CREATING + "I1129 08:55:23.682246  196 net.cpp:257] Network initialization done.\n"
STACK = "*** Check failure stack trace: ***\n    @     0x7f93 google::LogMessage::Fail()\n"


def test_a_log_without_an_end_tells_nothing() -> None:
    assert fault("") is None
    assert fault(BUILT) is None


def fatal(file: str, sentence: str) -> str:
    return f"F1129 08:55:23.682250  196 {file}] {sentence}\n{STACK}"


def info(file: str, sentence: str) -> str:
    return f"I1129 08:55:23.682249  196 {file}] {sentence}\n"


def test_a_layer_that_was_being_made_is_named() -> None:
    sentence = "Check failed: mdb_status == 0 (2 vs. 0) No such file or directory"
    found = fault(CREATING + fatal("db_lmdb.hpp:15", sentence))
    assert found is not None
    assert (found.layer, found.sentence) == ("data", sentence)
    assert "data" in found.remedy


def test_a_layer_that_was_not_yet_made_is_named() -> None:
    begun = info("layer_factory.hpp:77", "Creating layer next")
    found = fault(CREATING + begun + fatal("db_lmdb.hpp:15", "Check failed: mdb_status == 0"))
    assert found is not None
    assert found.layer == "next"


def test_after_the_nets_are_made_no_layer_is_blamed() -> None:
    found = fault(BUILT + fatal("blob.cpp:32", "Check failed: shape[i] >= 0"))
    assert found is not None
    assert found.layer is None


def test_a_file_is_named_where_the_sentence_names_it() -> None:
    found = fault(fatal("io.cpp:36", "Check failed: fd != -1 (-1 vs. -1) File not found: a/b"))
    assert found is not None
    assert found.file == "a/b"


def test_a_file_is_named_where_the_line_before_names_it() -> None:
    log = CREATING + info("image_data_layer.cpp:38", "Opening file train.txt")
    found = fault(log + fatal("image_data_layer.cpp:49", "Check failed: !lines_.empty()"))
    assert found is not None
    assert (found.layer, found.file) == ("data", "train.txt")


def test_a_snapshot_that_fails_is_a_full_disk() -> None:
    log = BUILT + info("solver.cpp:464", "Snapshotting to binary proto file q/s_iter_5.caffemodel")
    found = fault(log + fatal("io.cpp:69", "Check failed: proto.SerializeToOstream(&output)"))
    assert found is not None
    assert (found.layer, found.file) == (None, "q/s_iter_5.caffemodel")
    assert "Make room" in found.remedy


def test_what_the_parser_of_prototxt_says_counts_more() -> None:
    log = (
        "[libprotobuf ERROR google/protobuf/text_format.cc:307] Error parsing text-format "
        'caffe.NetParameter: 3:1: Message type "caffe.NetParameter" has no field named "lyer".\n'
    )
    sentence = "Check failed: read() Failed to parse NetParameter file: n.prototxt"
    found = fault(log + fatal("upgrade_proto.cpp:90", sentence))
    assert found is not None
    assert "has no field named" in found.sentence
    assert found.file == "n.prototxt"


def test_an_exception_of_cpp_that_nobody_catches() -> None:
    thrown = "terminate called after throwing an instance of 'std::bad_alloc'\n"
    found = fault(thrown + "  what():  std::bad_alloc\n")
    assert found is not None
    assert found.sentence == "std::bad_alloc"
    assert "memory" in found.remedy


def net(layer: str) -> str:
    """Return what Caffe logs of a net before it makes it: protobuf's text of all layers."""
    other = 'layer {\n  name: "other"\n  data_param {\n    source: "not_this"\n  }\n}\n'
    return info("net.cpp:53", 'Initializing net from parameters: \nname: "n"') + other + layer


SOURCE = 'layer {\n  name: "data"\n  type: "Data"\n  data_param {\n    source: "%s"\n  }\n}\n'


def test_a_database_that_no_line_names_is_the_source_of_its_layer() -> None:
    sentence = "Check failed: mdb_status == 0 (2 vs. 0) No such file or directory"
    earlier = net(SOURCE % "train_lmdb") + BUILT
    found = fault(
        earlier + net(SOURCE % r"\346\225\260_lmdb") + CREATING + fatal("db_lmdb.hpp:15", sentence)
    )
    assert found is not None
    assert (found.layer, found.file) == ("data", "数_lmdb"), "of the net that was being made"


def test_a_layer_without_a_source_names_no_file() -> None:
    layer = 'layer {\n  name: "data"\n  type: "Input"\n}\n'
    found = fault(net(layer) + CREATING + fatal("blob.cpp:32", "Check failed: shape[i] >= 0"))
    assert found is not None
    assert (found.layer, found.file) == ("data", None)
