"""A YAML file read within bounds: values, the line of each, and what is wrong, without a part of its text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import ClassVar

import yaml

from prisma_postgres_exporter.config.reading import content_of
from prisma_postgres_exporter.errors import ConfigurationError

LARGEST_BYTES = 2**20
DEEPEST = 30
MOST_VALUES = 100_000
LONGEST_NUMBER = 100
"""What is larger, deeper or more, anchors spelled out, is no configuration: it would take minutes and gigabytes."""

_NULL = "tag:yaml.org,2002:null"
_OF_PLAIN = frozenset({_NULL, *(f"tag:yaml.org,2002:{name}" for name in ("bool", "int", "float"))})
_TEXTS = frozenset({"tag:yaml.org,2002:str", "tag:yaml.org,2002:binary"})
# A scalar that begins with * & ! is an alias, an anchor or a tag to YAML, and may be half of a token.
_NO_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff]")
_QUOTED = re.compile(r"""(['"])(?!<)[^'"]{2,}\1""")

NO_TEXT = "a character stands in it that no text has"

Key = tuple[str | int, ...]


class _Loader(yaml.SafeLoader):
    """Knows how deep it is, and where a value stands that is not what it looks like."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.depth == DEEPEST:
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]  # the types leave it out
            raise yaml.composer.ComposerError(None, None, f"nested deeper than {DEEPEST} levels", mark)
        self.depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1

    def construct_object(self, node: yaml.Node, deep: bool = False) -> object:
        try:
            return super().construct_object(node, deep=deep)
        except (ValueError, KeyError, AttributeError, TypeError, OverflowError):
            raise _refused("not the number or date that it looks like; put text in quotes", node) from None


class Plain(str):
    """A text without quotes: it may stand for a number or a boolean."""

    __slots__ = ()


class _TextLoader(_Loader):
    """Leaves every scalar the text that it is, `None` where it is nothing, and tags unread."""

    yaml_constructors: ClassVar[dict[str | None, Callable[..., object]]] = {}


def _as_text(loader: _TextLoader, node: yaml.Node) -> object:
    if isinstance(node, yaml.MappingNode):
        return {"" if key is None else key: value for key, value in loader.construct_mapping(node, deep=True).items()}
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return _text(loader, node) if isinstance(node, yaml.ScalarNode) else None


def _text(loader: _TextLoader, node: yaml.ScalarNode) -> str | None:
    is_plain = node.style is None
    implied = loader.resolve(yaml.ScalarNode, node.value, (is_plain, not is_plain))  # type: ignore[no-untyped-call]
    if node.tag != implied:
        # It has a tag of its own.
        is_plain = node.tag in _OF_PLAIN
    if not is_plain:
        return str(node.value)
    return None if node.tag == _NULL else Plain(node.value)


_TextLoader.add_constructor(None, _as_text)


def _unknown_tag(loader: _Loader, node: yaml.Node) -> object:
    raise _refused("tags (!…) are not known here; put text that begins with ! in quotes", node)


_Loader.add_constructor(None, _unknown_tag)  # `None` stands for every tag that is not known


def read_yaml(path: str, places: dict[Key, str]) -> tuple[dict[str, object], list[str]]:
    """Return a file's values and its problems, without values where it cannot be read.

    `places` gets the line of each key. A key without a value is an empty section.
    """
    values, problems = _read(path, places, _Loader)
    return {key: {} if value is None else value for key, value in values.items()}, problems


def read_texts(path: str, places: dict[Key, str]) -> tuple[dict[str, object], list[str]]:
    """Read a file as `read_yaml` does, but every value as its text, `Plain` without quotes, `None` where it has none.

    Of several documents the first is read, as Go's yaml.Unmarshal does.
    """
    return _read(path, places, _TextLoader)


def _read(path: str, places: dict[Key, str], kind: type[_Loader]) -> tuple[dict[str, object], list[str]]:
    try:
        text = _text_of(path)
        loader = kind(text)
        try:
            if kind is _TextLoader:
                root = loader.get_node() if loader.check_node() else None
                if loader.yaml_version not in {None, (1, 1)}:
                    return {}, [f"{path}:1: %YAML: only 1.1 is read, as by exporter-toolkit"]
            else:
                root = loader.get_single_node()
            if root is None or root.tag == _NULL:
                return {}, []
            if not isinstance(root, yaml.MappingNode):
                return {}, [f"{path}: must be keys and values, like `poll:`"]
            noted = _Places(path, places, is_text_checked=kind is _Loader)
            problems = list(noted.note(root, (), 0))
            return loader.construct_document(root), problems
        finally:
            loader.dispose()
    except ConfigurationError as error:
        return {}, list(error.problems)
    except yaml.YAMLError as error:
        return {}, [_problem(error, path, text)]


def _text_of(path: str) -> str:
    try:
        content = content_of(path, LARGEST_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "this is not the path of a file"
        raise ConfigurationError([f"{path}: cannot be read: {reason}"]) from None
    if len(content) > LARGEST_BYTES:
        raise ConfigurationError([f"{path}: is larger than {LARGEST_BYTES // 2**20} MiB; a configuration is small"])
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigurationError([f"{path}:{line}: is not UTF-8 text"]) from None


def _problem(error: yaml.YAMLError, path: str, text: str) -> str:
    """What is wrong, without the line that the error quotes, which may hold a token."""
    mark = getattr(error, "problem_mark", None)
    if isinstance(error, yaml.reader.ReaderError):
        line, problem = text.count("\n", 0, error.position) + 1, "a control character stands in it"
    else:
        line, problem = mark.line + 1 if mark else 0, getattr(error, "problem", None) or "syntax error"
    return f"{path}{f':{line}' if line else ''}: is not YAML: {_QUOTED.sub('…', problem)}"


def _refused(problem: str, node: yaml.Node) -> yaml.constructor.ConstructorError:
    return yaml.constructor.ConstructorError(None, None, problem, node.start_mark)


class _Places:
    """Notes the line of every key, in the tree that the anchors stand for, as long as it is one of bounded size."""

    def __init__(self, path: str, places: dict[Key, str], *, is_text_checked: bool) -> None:
        self._path = path
        self._places = places
        self._is_text_checked = is_text_checked
        self._count = 0

    def note(self, node: yaml.Node, key: Key, depth: int) -> Iterator[str]:
        """Yield a line for each key that stands twice, and for each text that is none.

        Raises:
            yaml.YAMLError: it is too much, too deep, a number without end, or a key that is no text.
        """
        self._count += 1
        if depth > DEEPEST:
            raise _refused("an anchor (&…) that holds itself, or aliases (*…) nested too deep", node)
        if self._count > MOST_VALUES:
            raise _refused(f"more than {MOST_VALUES:,} values, with what aliases (*…) stand for", node)
        self._places.setdefault(key, self._place(node))
        if isinstance(node, yaml.MappingNode):
            yield from self._note_keys(node, key, depth)
        elif isinstance(node, yaml.SequenceNode):
            for index, value in enumerate(node.value):
                yield from self.note(value, (*key, index), depth + 1)
        elif node.tag not in _TEXTS and len(node.value) > LONGEST_NUMBER:
            raise _refused("a number without end; put text in quotes", node)
        elif self._is_text_checked and (found := _NO_TEXT.search(node.value)):
            where = f"{self._places[key]}: {'.'.join(map(str, key))}"
            yield f"{where}: {NO_TEXT} (U+{ord(found[0]):04X})"

    def _note_keys(self, node: yaml.MappingNode, key: Key, depth: int) -> Iterator[str]:
        seen: set[str] = set()
        for name, value in node.value:
            if not isinstance(name, yaml.ScalarNode) or len(name.value) > LONGEST_NUMBER:
                raise _refused("a key that is not a word", name)
            if name.value in seen:
                yield f"{self._place(name)}: {'.'.join(map(str, (*key, name.value)))}: stands twice; leave one"
            seen.add(name.value)
            self._places[*key, name.value] = self._place(name)
            yield from self.note(value, (*key, name.value), depth + 1)

    def _place(self, node: yaml.Node) -> str:
        return f"{self._path}:{node.start_mark.line + 1}"
