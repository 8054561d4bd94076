"""YAML as its readers expect it, and where in the file everything stands.

PyYAML follows YAML 1.1, in which `1e-3` is text, `no` is false, `010` is eight, and a key may stand twice. Here plain
values follow the core schema of YAML 1.2 (https://yaml.org/spec/1.2.2/, section 10.3), and a key stands once.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from restore.errors import InputError, UsageError

__all__ = ["Document", "Place", "parse_value", "read_document"]

Place = tuple[str | int, ...]
"""The keys and positions that lead to a value."""

MOST_VALUES = 100_000
"""More than any plan needs; a few lines of aliases to aliases can stand for more than memory holds."""

TEXT = "tag:yaml.org,2002:str"

CONSTANTS: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}

NUMBERS: tuple[tuple[re.Pattern[str], Callable[[str], Any]], ...] = (
    (re.compile(r"[-+]?[0-9]+"), int),
    (re.compile(r"0o[0-7]+"), lambda text: int(text, 8)),
    (re.compile(r"0x[0-9a-fA-F]+"), lambda text: int(text, 16)),
    (re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"), float),
    (re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"), lambda text: float(text.replace(".", ""))),
)


@dataclass
class Document:
    """What a file holds.

    Attributes:
        path: of the file.
        value: lists, dicts and plain values.
        origins: for each place what says it: `line 3`, or an option of the command line.
    """

    path: Path
    value: Any
    origins: dict[Place, str] = field(default_factory=dict)

    def error(self, place: Place, message: str) -> UsageError:
        """Return the error that `message` (a sentence) is about what stands at `place`."""
        while place and place not in self.origins:
            place = place[:-1]
        origin = self.origins.get(place)
        return UsageError(f"cannot use {str(self.path)!r}{f', {origin}' if origin else ''}: {message}")


def read_document(path: str | Path) -> Document:
    """Return what a YAML file holds.

    Raises InputError for a file that cannot be read, UsageError for one that is not YAML, or in which a key stands
    twice.
    """
    path = Path(path)
    document = Document(path, None)
    try:
        text = path.read_bytes().decode()
        node = yaml.compose(text, yaml.BaseLoader)
        document.value = None if node is None else _Reader(document).read(node, ())
    except FileNotFoundError:
        raise InputError(f"no such file: {str(path)!r}.") from None
    except OSError as error:
        raise InputError(f"cannot read {str(path)!r}: {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        raise document.error((), f"it is not text in UTF-8 (byte {error.start}).") from error
    except RecursionError as error:
        raise document.error((), "an alias in it stands for itself, or it is nested too deeply.") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = "" if mark is None else f", line {mark.line + 1}"
        raise UsageError(
            f"cannot use {str(path)!r}{line}: it is not YAML: {error.problem or error.context}."
        ) from error
    except yaml.YAMLError as error:
        raise document.error((), f"it is not YAML: {' '.join(str(error).split())}.") from error
    return document


def parse_value(text: str) -> Any:
    """Return the value that a piece of YAML stands for.

    Raises UsageError for what is no YAML.

    >>> parse_value("1e-3"), parse_value("no"), parse_value("[8, 16]"), parse_value("null")
    (0.001, 'no', [8, 16], None)
    """
    try:
        node = yaml.compose(text, yaml.BaseLoader)
        return None if node is None else _Reader(Document(Path("value"), None)).read(node, ())
    except (yaml.YAMLError, RecursionError) as error:
        raise UsageError(f"{text!r} is no value in YAML.") from error


class _Reader:
    def __init__(self, document: Document) -> None:
        self._document = document
        self._values = 0

    def read(self, node: yaml.Node, place: Place) -> Any:
        """Return the value of a node and note the lines of all that it holds."""
        origins = self._document.origins
        origins.setdefault(place, f"line {node.start_mark.line + 1}")
        self._values += 1
        if self._values > MOST_VALUES:
            raise self._document.error(place, f"it stands for more than {MOST_VALUES:,} values.")
        if isinstance(node, yaml.SequenceNode):
            return [self.read(item, (*place, index)) for index, item in enumerate(node.value)]
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, place)
        assert isinstance(node, yaml.ScalarNode)
        return self._scalar(node, place)

    def _mapping(self, node: yaml.MappingNode, place: Place) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise self._document.error(place, f"a key must be text (line {line}).")
            inside = (*place, key.value)
            if key.value in found:
                first = self._document.origins[inside]
                self._document.origins[inside] = f"line {line}"
                raise self._document.error(inside, f"the key {key.value!r} stands twice, first in {first}.")
            self._document.origins[inside] = f"line {line}"
            found[key.value] = self.read(value, inside)
        return found

    def _scalar(self, node: yaml.ScalarNode, place: Place) -> Any:
        if node.tag != TEXT:
            raise self._document.error(place, f"the tag {node.tag!r} has no meaning here.")
        if node.style is not None:  # quoted, or a block of text
            return node.value
        if node.value in CONSTANTS:
            return CONSTANTS[node.value]
        return next((make(node.value) for form, make in NUMBERS if form.fullmatch(node.value)), node.value)
