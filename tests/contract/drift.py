"""What changed between two versions of the vendor's contract, in lines for people."""

from __future__ import annotations

from collections.abc import Iterator

from vendor_types import Contract, Operation, Schema


def differences(old: Contract, new: Contract) -> list[str]:
    """Operations that came and went, then members of the others; `?` marks a member that may be left out."""
    before = {str(operation): operation for operation in old.operations}
    after = {str(operation): operation for operation in new.operations}
    lines = [f"- {name}" for name in before.keys() - after.keys()]
    lines += [f"+ {name}" for name in after.keys() - before.keys()]
    for name in sorted(before.keys() & after.keys()):
        was, now = dict(_members(before[name])), dict(_members(after[name]))
        for member in sorted(was.keys() | now.keys()):
            if was.get(member) != now.get(member):
                lines.append(f"  {name}: {member}: {was.get(member, 'absent')} -> {now.get(member, 'absent')}")
    return sorted(lines, key=lambda line: line[0] == " ")


def _members(operation: Operation) -> Iterator[tuple[str, str]]:
    yield from _of(operation.query, "query")
    if operation.request is not None:
        yield from _of(operation.request, "body")
    for status, schema in operation.answers.items():
        yield from [(str(status), "no body")] if schema is None else _of(schema, str(status))


def _of(schema: Schema, place: str) -> Iterator[tuple[str, str]]:
    """The members below a place, each with the kinds it may be; alternatives are merged."""
    yield place, _kind(schema)
    for alternative in schema.get("anyOf", ()):
        yield from list(_of(alternative, place))[1:]
    if "items" in schema:
        yield from list(_of(schema["items"], f"{place}[]"))
    for name, member in schema.get("properties", {}).items():
        mark = "" if name in schema.get("required", ()) else "?"
        yield from _of(member, f"{place}.{name}{mark}")


def _kind(schema: Schema) -> str:
    if "anyOf" in schema:
        return "|".join(sorted({_kind(alternative) for alternative in schema["anyOf"]}))
    if "enum" in schema or "const" in schema:
        return "|".join(sorted(map(repr, schema.get("enum", [schema.get("const")]))))
    kinds = schema.get("type", "anything")
    return "|".join(sorted([kinds] if isinstance(kinds, str) else kinds))
