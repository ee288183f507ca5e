"""A joblib file followed without running it.

Python's own unpickler in Python, with every instruction that would look up, call or fill an object replaced by
one that writes down what it would have done. What comes out is lists, dicts, numbers and `StandIn`: nothing else
is ever built. joblib writes arrays as raw bytes after their description, and arrays of objects as a pickle within
the pickle; both are read here by the same rules.
"""

import io
import pickle
from collections.abc import Callable
from typing import Any, ClassVar, NoReturn

from mlmodels.legacy import arrays
from mlmodels.legacy.arrays import BadArray

WRAPPER = ("joblib.numpy_pickle", "NumpyArrayWrapper")
DTYPE = ("numpy", "dtype")
NESTING = 4
Name = tuple[str, str]

# Instructions that joblib writes. Not among them: extension registry, persistent ids, old-style instances.
_FOLLOWED = (
    "PROTO", "FRAME", "STOP", "MARK", "POP", "POP_MARK", "DUP", "NONE", "NEWTRUE", "NEWFALSE", "INT", "BININT",
    "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "UNICODE", "BINUNICODE",
    "SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "TUPLE", "EMPTY_TUPLE", "TUPLE1",
    "TUPLE2", "TUPLE3", "EMPTY_LIST", "LIST", "EMPTY_DICT", "DICT", "APPEND", "APPENDS", "SETITEM", "SETITEMS",
    "GET", "BINGET", "LONG_BINGET", "PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE", "GLOBAL", "STACK_GLOBAL",
)  # fmt: skip


class Named:
    """A name in some module that the file mentions."""

    def __init__(self, name: Name) -> None:
        self.name = name


class StandIn:
    """Stands for an object that the file describes: by which name, of which arguments, filled with what."""

    def __init__(self, name: Name, args: tuple[object, ...], keywords: dict[str, object] | None = None) -> None:
        self.name, self.args, self.keywords = name, args, keywords or {}
        self.state: object = None


class NotFollowed(pickle.UnpicklingError):
    """The file has an instruction that joblib does not write, or uses one in a way it does not."""


class InertReader(pickle._Unpickler):
    """Follows one stream; `names` and `stand_ins` are shared with the streams inside it."""

    stack: list[Any]
    read: Callable[[int], bytes]
    dispatch: ClassVar[dict[int, Any]] = {
        getattr(pickle, name)[0]: pickle._Unpickler.dispatch[getattr(pickle, name)[0]] for name in _FOLLOWED
    }

    def __init__(self, file: io.BytesIO, names: set[Name], stand_ins: list[StandIn], depth: int = 0) -> None:
        super().__init__(file)
        self.file, self.names, self.stand_ins, self.depth = file, names, stand_ins, depth

    def load(self) -> object:
        """Return what the stream describes. Raises whatever a damaged stream leads to, all of it `DAMAGED`."""
        try:
            return super().load()
        except KeyError as error:
            if error.args and isinstance(error.args[0], int):
                raise NotFollowed(f"instruction {error.args[0]:#04x}") from error
            raise

    def find_class(self, module: str, name: str) -> Named:
        """Write the name down; nothing is imported."""
        if not isinstance(module, str) or not isinstance(name, str):
            raise NotFollowed("a name that is no text")
        self.names.add((module, name))
        return Named((module, name))

    def persistent_load(self, pid: object) -> NoReturn:
        """Refuse references to something outside the file."""
        raise NotFollowed("a persistent id")

    def load_reduce(self) -> None:
        """Write down a call."""
        args = self.stack.pop()
        self.stack[-1] = self._stand_in(self.stack[-1], args)

    def load_newobj(self) -> None:
        """Write down that an object is wanted."""
        self.load_reduce()

    def load_newobj_ex(self) -> None:
        """Write down that an object is wanted, with keywords."""
        keywords = self.stack.pop()
        args = self.stack.pop()
        self.stack[-1] = self._stand_in(self.stack[-1], args, keywords)

    def load_build(self) -> None:
        """Write down what an object is filled with; where it describes an array, read the array behind it."""
        state = self.stack.pop()
        target = self.stack[-1]
        if not isinstance(target, StandIn) or target.state is not None:
            raise NotFollowed("it fills something that is no new object")
        target.state = state
        if target.name == WRAPPER:
            self.stack[-1] = self._array(state)

    def load_bytearray8(self) -> None:
        """Take bytes as they are; the usual way makes room for as many as the file claims to have."""
        self.stack.append(self.read(int.from_bytes(self.read(8), "little")))

    dispatch[pickle.BYTEARRAY8[0]] = load_bytearray8
    dispatch[pickle.REDUCE[0]] = load_reduce
    dispatch[pickle.NEWOBJ[0]] = load_newobj
    dispatch[pickle.NEWOBJ_EX[0]] = load_newobj_ex
    dispatch[pickle.BUILD[0]] = load_build

    def _stand_in(self, by: object, args: object, keywords: Any = None) -> StandIn:
        if not isinstance(by, Named) or not isinstance(args, tuple) or not isinstance(keywords or {}, dict):
            raise NotFollowed("it calls something that is no name")
        stand_in = StandIn(by.name, args, keywords)
        self.stand_ins.append(stand_in)
        return stand_in

    def _array(self, wrapper: object) -> object:
        """Return the array that the file describes by `wrapper`, as joblib would find it."""
        if not isinstance(wrapper, dict):
            raise NotFollowed("an array without a description")
        if is_of_objects(wrapper["dtype"]):
            if self.depth >= NESTING:
                raise NotFollowed("streams nested too deeply")
            return InertReader(self.file, self.names, self.stand_ins, self.depth + 1).load()
        dtype = dtype_of(wrapper["dtype"])
        if wrapper.get("numpy_array_alignment_bytes") is not None:
            self.file.read(self.file.read(1)[0])
        data = self.file.read(arrays.size_of(wrapper["shape"]) * dtype.itemsize)
        return arrays.from_bytes(data, dtype, wrapper["shape"], wrapper["order"])


#: What a damaged or forged stream can end in; none of it has run anything.
DAMAGED = (
    pickle.UnpicklingError, BadArray, EOFError, ValueError, TypeError, IndexError, KeyError, AttributeError,
    OverflowError, RecursionError, UnicodeError,
)  # fmt: skip


def is_of_objects(described: object) -> bool:
    """Return whether a description of a dtype is that of objects, by its name alone."""
    return isinstance(described, StandIn) and described.name == DTYPE and described.args[:1] in (("O8",), ("O",))


def dtype_of(described: object) -> arrays.Dtype:
    """Return the dtype that was described. Raises BadArray unless it is of numbers, text or records of them."""
    if not isinstance(described, StandIn) or described.name != DTYPE or not described.args:
        raise BadArray("an array of nothing known")
    state = described.state or (3, "|", None, None, None, -1, -1, 0)
    if not isinstance(state, tuple) or len(state) < 7:
        raise BadArray("an array of a strange type")
    _, order, subarray, names, fields, size = state[:6]
    if subarray is not None:
        raise BadArray("an array of arrays")
    if names is None:
        return arrays.plain(described.args[0], order)
    return arrays.record(names, {name: (dtype_of(fields[name][0]), fields[name][1]) for name in names}, size)


def read(data: bytes) -> tuple[object, set[Name], list[StandIn], BaseException | None]:
    """Return what the file describes, every name it mentions, every stand-in, and where it went wrong."""
    names: set[Name] = set()
    stand_ins: list[StandIn] = []
    try:
        return InertReader(io.BytesIO(data), names, stand_ins).load(), names, stand_ins, None
    except DAMAGED as error:
        return None, names, stand_ins, error
