"""joblib files that want to run something, or to break the desk: refused, and nothing ran."""

import builtins
import copy
import io
import os
import pickle
import zlib
from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.tree import DecisionTreeClassifier
from sklearn.tree._tree import NODE_DTYPE

from mlmodels.legacy import inflating, model_builder, safe_unpickler, sandbox_client, sandbox_worker
from mlmodels.legacy.errors import BadFolder, RefusedFile
from tests.support import legacy_folders as v25

FEATURES = v25.TWELVE


class Bad:
    """Runs a command when it is unpickled."""

    def __init__(self, marker, function=os.system):
        self.marker, self.function = marker, function

    def __reduce__(self):
        return self.function, (f"touch {self.marker}",)


@pytest.fixture
def marker(tmp_path):
    path = tmp_path / "it-ran"
    yield path
    assert not path.exists()


def dumped(value, **options):
    file = io.BytesIO()
    joblib.dump(value, file, **options)
    return file.getvalue()


def refused(model, scaler=None, match="Nothing in it was run and nothing was stored", kind=RefusedFile):
    files = {"reversal_model.joblib": model} | ({"reversal_scaler.joblib": scaler} if scaler else {})
    with pytest.raises(kind, match=match) as error:
        sandbox_worker.convert(files, FEATURES)
    return str(error.value)


@pytest.fixture(scope="module")
def parts():
    return v25.fitted()


def hidden(parts, bad):
    """Return a model with something hidden where it would be found last."""
    model = copy.deepcopy(parts[1])
    model.estimators_ = np.concatenate([model.estimators_, np.array([[bad]], dtype=object)])
    return model


@pytest.mark.parametrize("options", [{}, {"compress": ("gzip", 3)}, {"compress": ("xz", 3)}, {"protocol": 2}])
def test_a_file_that_runs_a_command_is_refused_by_name(marker, options):
    assert "posix.system" in refused(dumped(Bad(marker), **options))


@pytest.mark.parametrize("function", [builtins.eval, builtins.exec, os.popen, builtins.getattr, pickle.loads])
def test_whatever_it_wants_to_call_is_named(marker, function):
    assert function.__name__ in refused(dumped([1, {"deep": (Bad(marker, function),)}]))


def test_what_hides_in_an_array_of_objects_is_found(marker, parts):
    assert "posix.system" in refused(dumped(hidden(parts, Bad(marker))))


def test_what_hides_in_the_scaler_is_found_before_the_model_is_built(marker, parts, monkeypatch):
    monkeypatch.setattr(model_builder.Builder, "build", lambda *_: pytest.fail("something was built"))
    scaler = copy.deepcopy(parts[0])
    scaler.mean_ = Bad(marker)
    text = refused(dumped(parts[1]), dumped(scaler))
    assert text.startswith("reversal_scaler.joblib")


def test_what_comes_before_damage_is_still_named(marker, parts):
    whole = dumped({"model": Bad(marker), "rest": np.arange(1000.0)})
    assert "posix.system" in refused(whole[:-500])


def test_allowed_names_used_as_tools_are_never_called(marker):
    class Gadget:
        def __reduce__(self):
            return np.dtype, ("O8", False, True)

    class Shadow:
        def __reduce__(self):
            return DecisionTreeClassifier, (), {"__class__": "x", "predict_proba": "y", "tree_": Gadget()}

    assert "Nothing in it was run" in refused(dumped(Shadow()), kind=BadFolder)


def test_a_dtype_that_denies_to_hold_objects_is_not_believed():
    described = safe_unpickler.StandIn(safe_unpickler.DTYPE, ("O8", False, True))
    described.state = (3, "|", None, None, None, -1, -1, 0)
    with pytest.raises(ValueError, match="of the type 'O8'"):
        safe_unpickler.dtype_of(described)
    record = safe_unpickler.StandIn(safe_unpickler.DTYPE, ("V8", False, True))
    record.state = (3, "|", None, ("a",), {"a": (described, 0)}, 8, 1, 0)
    with pytest.raises(ValueError, match="O8"):
        safe_unpickler.dtype_of(record)


@pytest.mark.parametrize(
    "stream",
    [
        b"(cos\nsystem\nS'x'\no.",  # OBJ
        b"(S'x'\nios\nsystem\n.",  # INST
        b"\x82\x01.",  # EXT1
        b"Psomething\n.",  # PERSID
        b"\x80\x05\x97.",  # NEXT_BUFFER
        b"\x80\x04]}b.",  # BUILD of a list
        b"\x80\x04K\x01)R.",  # REDUCE of a number
    ],
)
def test_instructions_that_joblib_does_not_write_are_refused(stream):
    refused(stream, match="not what joblib writes|wants to use")


@pytest.mark.parametrize(
    "stream",
    [
        b"", b"hello, this is text", b"\x80\x04", b"\x80\x04\x96\xff\xff\xff\xff\xff\xff\xff\x7f.", b"\x80\x63.",
        b"\x80\x04\x8b\xff\xff\xff\x7f.", b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\xff.",
        b"\x80\x04r\xff\xff\xff\xff.", b"\x80\x04]\x94h\x00a.", b"\x80\x04K\x01K\x02\x93.",
    ],
)  # fmt: skip
def test_damage_and_text_are_told_as_such(stream):
    refused(stream, kind=BadFolder)


@pytest.mark.parametrize("compress", [("zlib", 3), ("gzip", 3), ("bz2", 3), ("xz", 3), ("lzma", 3)])
def test_compressed_files_are_read_up_to_a_bound(compress):
    data = dumped(np.zeros(100_000), compress=compress)
    assert len(inflating.inflate(data)) > 800_000
    with pytest.raises(inflating.TooLarge):
        inflating.inflate(data, largest=10_000)
    with pytest.raises(inflating.NotInflated):
        inflating.inflate(data[: len(data) // 2])


def test_a_bomb_is_refused(monkeypatch):
    monkeypatch.setattr(inflating.inflate, "__defaults__", (1_000_000,))
    refused(zlib.compress(bytes(5_000_000)), match="unpacks to more than")


def test_old_and_unknown_compressions_are_told():
    refused(b"ZF0x10" + bytes(30), match="before 0.10", kind=BadFolder)
    refused(b"\x04\x22\x4d\x18" + bytes(30), match="lz4", kind=BadFolder)


@pytest.mark.parametrize("size", [0.1, 0.5, 0.9, 0.999])
def test_a_file_that_is_cut_off_is_told(parts, size):
    whole = dumped(parts[1])
    refused(whole[: int(len(whole) * size)], kind=BadFolder)


@pytest.mark.parametrize("field", ["left_child", "right_child", "feature"])
def test_a_forged_tree_is_never_walked(parts, field):
    model = copy.deepcopy(parts[1])
    tree = model.estimators_[0, 0].tree_
    state = tree.__getstate__()
    state["nodes"] = state["nodes"].copy()
    state["nodes"][field][0] = 1 << 40
    tree.__setstate__(state)
    refused(dumped(model), match="forged|can't be made")


def test_a_tree_with_fewer_nodes_than_it_says_is_not_built(parts):
    data = dumped(parts[1])
    described, _, stand_ins, wrong = safe_unpickler.read(data)
    assert wrong is None
    tree = next(part for part in stand_ins if part.name == ("sklearn.tree._tree", "Tree"))
    tree.state["node_count"] = 10**6
    with pytest.raises(model_builder.NotBuilt, match="laid out"):
        model_builder.Builder().build(described)
    tree.state["node_count"] = 1
    tree.state["nodes"] = np.zeros(1, NODE_DTYPE)
    with pytest.raises(model_builder.NotBuilt, match="values"):
        model_builder.Builder().build(described)


def test_forged_histogram_trees_are_refused():
    scaler, model = v25.fitted(HistGradientBoostingClassifier(max_iter=3))
    nodes = model._predictors[0][0].nodes
    nodes["right"][0] = 0
    refused(dumped(model), dumped(scaler), match="forged")


def test_attributes_that_would_replace_methods_are_left_out(parts):
    model = copy.deepcopy(parts[1])
    vars(model).update(predict_proba="mine", _validate_data="mine", __class__="mine", fine_="kept")
    described, *_ = safe_unpickler.read(dumped(model))
    built = model_builder.Builder().build(described)
    assert {"predict_proba", "__class__"}.isdisjoint(vars(built))
    assert built.fine_ == "kept"


def test_lists_within_themselves_come_to_an_end():
    loop: list = []
    loop.append(loop)
    refused(dumped(loop), kind=BadFolder)
    tower: list = []
    for _ in range(60):
        tower = [tower, tower]
    refused(dumped(tower), kind=BadFolder)


def test_the_process_refuses_what_it_is_given_and_the_desk_hears_why(marker, parts):
    files = {
        "reversal_model.joblib": dumped(hidden(parts, Bad(marker))),
        "reversal_scaler.joblib": dumped(parts[0]),
    }
    with pytest.raises(RefusedFile, match=r"posix\.system.*Nothing in it was run"):
        sandbox_client.convert(files, FEATURES)


CONFINED = """
import os, socket, sys
sys.path.append({root!r})
from mlmodels.legacy import sandbox
sandbox.bound()
sandbox.close_doors()
def tried(what, *arguments):
    try:
        what(*arguments)
    except OSError:
        return "refused"
    return "done"
everywhere = [tried(open, "/etc/hosts"), tried(socket.socket), tried(os.pipe)]
on_linux = [tried(os.fork), tried(os.execv, "/bin/true", ["true"]), tried(os.kill, os.getppid(), 0)]
os.write(1, " ".join(everywhere + on_linux * (sys.platform == "linux")).encode())
"""


def test_the_process_can_open_send_start_and_signal_nothing(monkeypatch):
    monkeypatch.setattr(sandbox_client, "_CODE", CONFINED.format(root=str(sandbox_client._ROOT)))
    with Path(os.devnull).open("rb") as nothing:
        answers = sandbox_client._run(nothing, "/").decode().split()
    assert len(answers) >= 3
    assert set(answers) == {"refused"}


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("import os; os.write(1, b'not json')", "without an answer"),
        ("import os; os.abort()", "without an answer"),
        ("import os; os.write(1, b'{\"golden\": 1}\\nPK')", "can't be used"),
        ("import os\nwhile True: os.write(1, bytes(65536))", "takes more than"),
        ("import time; time.sleep(60)", "took longer"),
    ],
)
def test_a_process_that_dies_hangs_floods_or_lies_stores_nothing(monkeypatch, code, why):
    monkeypatch.setattr(sandbox_client, "_CODE", code)
    monkeypatch.setattr(sandbox_client, "LARGEST_ANSWER", 10**6)
    monkeypatch.setattr(sandbox_client, "SECONDS", 1 if "sleep" in code else 30)
    with pytest.raises(BadFolder, match=why):
        sandbox_client.convert({"reversal_model.joblib": b"x"}, FEATURES)
