"""Every lock, guard, door, transaction and nudge of a module, and the source without it. Pure: text in, text out.

What is removed is recognised by its form, so a new one is looked at without being listed anywhere:

*lock*: a call of `select_for_update`, `FOR UPDATE`/`FOR SHARE` in the text of a query, `LOCK TABLE`, an advisory
lock.
*guard*: an `if` without an else that ends in return, continue, break or raise.
*@name*: a decorator that lets in, asks again or acts once (`@trader`, `@password_again`, `@once`).
*auth*: the scope that an operation of the API needs beyond that of all.
*atomic*: a transaction around a block (`transaction.atomic`, `connection.transaction`) or a function (`@atomic`).
*nudge*: a call that announces or nudges, or that does something after the commit.
*early*: what is to be done after the commit is done at once.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import libcst as cst
from libcst import matchers as m
from libcst.metadata import MetadataWrapper, PositionProvider

EXITS = (cst.Return, cst.Continue, cst.Break, cst.Raise)
AFTER_COMMIT = {"on_commit", "after_commit"}
NUDGES = {
    "announce",
    "announce_order",
    "nudge",
    "nudge_after_commit",
    "nudge_waiting",
    "send_robust",
} | AFTER_COMMIT
_ROW_LOCK = re.compile(r"\s+FOR (?:NO KEY UPDATE|KEY SHARE|UPDATE|SHARE)(?: OF \w+)?(?: SKIP LOCKED)?")
_ADVISORY = re.compile(r"pg_advisory_(?:xact_)?lock\((%\w)\)")
_AWAITED_FOR = re.compile(r"\s+FOR $")
_TABLE_LOCK = "LOCK TABLE "
DOORS = {"viewer", "trader", "admin", "password_again", "once", "require_POST"}


@dataclass(frozen=True, slots=True)
class Removal:
    """One thing left out: where it stood, which kind, its first line, and the whole module without it."""

    line: int
    kind: str
    text: str
    source: str


def removals(source: str) -> list[Removal]:
    """Return each single removal that the module's source allows, in the order of its lines."""
    wrapper = MetadataWrapper(cst.parse_module(source))
    places = wrapper.resolve(PositionProvider)
    lines = source.splitlines()
    results: list[Removal] = []
    for node in places:
        for kind, replacement in _replacements(node):
            line = places[node].start.line
            changed = cst.ensure_type(wrapper.module.deep_replace(node, replacement), cst.Module)
            results.append(Removal(line, kind, lines[line - 1].strip(), changed.code))
    return sorted(results, key=lambda removal: (removal.line, removal.kind))


def _replacements(node: cst.CSTNode) -> list[tuple[str, cst.CSTNode]]:
    """Return what could stand in the place of `node`, with the kind of what is then gone."""
    single = [(kind, other) for kind, replace in _KINDS if (other := replace(node)) is not None]
    return single + list(_without_doors(node))


def _without_guard(node: cst.CSTNode) -> cst.CSTNode | None:
    if not isinstance(node, cst.If) or node.orelse is not None or not isinstance(node.body, cst.IndentedBlock):
        return None
    last = node.body.body[-1]
    if not isinstance(last, cst.SimpleStatementLine) or not isinstance(last.body[-1], EXITS):
        return None
    return _pass(node.leading_lines)


def _without_transaction(node: cst.CSTNode) -> cst.CSTNode | None:
    if not isinstance(node, cst.With):
        return None
    kept = [item for item in node.items if not _is_call_of(item.item, {"atomic", "transaction"})]
    if len(kept) == len(node.items):
        return None
    if not kept:
        return cst.If(test=cst.Name("True"), body=node.body, leading_lines=node.leading_lines)
    return node.with_changes(items=[*kept[:-1], kept[-1].with_changes(comma=cst.MaybeSentinel.DEFAULT)])


def _without_transaction_of_a_function(node: cst.CSTNode) -> cst.CSTNode | None:
    if not isinstance(node, cst.FunctionDef):
        return None
    kept = [each for each in node.decorators if not _names_atomic(each.decorator)]
    return node.with_changes(decorators=kept) if len(kept) < len(node.decorators) else None


def _names_atomic(decorator: cst.BaseExpression) -> bool:
    called = decorator.func if isinstance(decorator, cst.Call) else decorator
    return m.matches(called, m.Attribute(attr=m.Name("atomic")) | m.Name("atomic"))


def _without_doors(node: cst.CSTNode) -> Iterator[tuple[str, cst.CSTNode]]:
    """Yield a function without each decorator of its that refuses somebody; the kind is the decorator's name."""
    if not isinstance(node, cst.FunctionDef):
        return
    for door in node.decorators:
        if isinstance(door.decorator, cst.Name) and door.decorator.value in DOORS:
            kept = [each for each in node.decorators if each is not door]
            yield f"@{door.decorator.value}", node.with_changes(decorators=kept)


def _without_scope(node: cst.CSTNode) -> cst.CSTNode | None:
    """Remove `auth=…` from the decorator of an operation."""
    if not isinstance(node, cst.Decorator) or not isinstance(node.decorator, cst.Call):
        return None
    call = node.decorator
    kept = [each for each in call.args if each.keyword is None or each.keyword.value != "auth"]
    return node.with_changes(decorator=call.with_changes(args=kept)) if len(kept) < len(call.args) else None


def _without_row_lock(node: cst.CSTNode) -> cst.CSTNode | None:
    if isinstance(node, cst.Call) and m.matches(node.func, m.Attribute(attr=m.Name("select_for_update"))):
        manager = cst.ensure_type(node.func, cst.Attribute).value
        return cst.Call(cst.Attribute(manager, cst.Name("all")))
    return None


def _without_lock_in_query(node: cst.CSTNode) -> cst.CSTNode | None:
    if isinstance(node, cst.FormattedString):
        return _without_formatted_lock(node)
    if not isinstance(node, cst.SimpleString):
        return None
    if node.value.strip("\"'").startswith(_TABLE_LOCK):
        return cst.SimpleString('"SELECT 1"')
    text = _ADVISORY.sub(r"\1::bigint", _ROW_LOCK.sub("", node.value))
    return node.with_changes(value=text) if text != node.value else None


def _without_formatted_lock(node: cst.FormattedString) -> cst.CSTNode | None:
    """Remove the lock of `f"… FOR {kind}"` or `f"LOCK TABLE {names}"`."""
    parts = list(node.parts)
    if isinstance(parts[0], cst.FormattedStringText) and parts[0].value.startswith(_TABLE_LOCK):
        return cst.SimpleString('"SELECT 1"')
    for index, part in enumerate(parts[:-1]):
        if isinstance(part, cst.FormattedStringText) and _AWAITED_FOR.search(part.value):
            parts[index : index + 2] = [part.with_changes(value=_AWAITED_FOR.sub("", part.value))]
            return node.with_changes(parts=parts)
    return None


def _without_advisory_lock(node: cst.CSTNode) -> cst.CSTNode | None:
    if _is_call_of(node, {"try_session_lock"}):
        return cst.parse_expression("__import__('contextlib').nullcontext(True)")
    return cst.Name("True") if _is_call_of(node, {"try_hold"}) else None


def _without_nudge(node: cst.CSTNode) -> cst.CSTNode | None:
    if isinstance(node, cst.SimpleStatementLine) and _stands_alone(node, NUDGES):
        return _pass(node.leading_lines)
    return None


def _without_lock_in_transaction(node: cst.CSTNode) -> cst.CSTNode | None:
    if isinstance(node, cst.SimpleStatementLine) and _stands_alone(node, {"lock_in_transaction"}):
        return _pass(node.leading_lines)
    return None


def _without_waiting(node: cst.CSTNode) -> cst.CSTNode | None:
    if isinstance(node, cst.SimpleStatementLine) and (call := _stands_alone(node, AFTER_COMMIT)):
        return node.with_changes(body=[cst.Expr(cst.Call(call.args[0].value))])
    return None


def _stands_alone(node: cst.SimpleStatementLine, names: set[str]) -> cst.Call | None:
    """Return the call of one of `names` that is all that the line does."""
    first = node.body[0]
    if len(node.body) == 1 and isinstance(first, cst.Expr) and _is_call_of(first.value, names):
        return cst.ensure_type(first.value, cst.Call)
    return None


_KINDS: Sequence[tuple[str, Callable[[cst.CSTNode], cst.CSTNode | None]]] = (
    ("guard", _without_guard),
    ("auth", _without_scope),
    ("atomic", _without_transaction),
    ("atomic", _without_transaction_of_a_function),
    ("lock", _without_row_lock),
    ("lock", _without_lock_in_query),
    ("lock", _without_advisory_lock),
    ("lock", _without_lock_in_transaction),
    ("nudge", _without_nudge),
    ("early", _without_waiting),
)


def _is_call_of(node: cst.CSTNode, names: set[str]) -> bool:
    if not isinstance(node, cst.Call):
        return False
    called = node.func.attr if isinstance(node.func, cst.Attribute) else node.func
    return isinstance(called, cst.Name) and called.value in names


def _pass(leading_lines: Sequence[cst.EmptyLine]) -> cst.SimpleStatementLine:
    return cst.SimpleStatementLine([cst.Pass()], leading_lines=leading_lines)
