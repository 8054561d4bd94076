"""Commands whose options are the fields of a dataclass, so that several of them can share them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import MISSING, fields
from typing import Any, get_type_hints

__all__ = ["with_options"]

Command = Callable[..., None]


def with_options(kind: type[Any]) -> Callable[[Command], Command]:
    """Return what gives a command the fields of `kind` as options, beside its own parameters.

    Args:
        kind: a dataclass whose fields are annotated as typer wants it. The command takes it as its parameter `shared`.
    """

    def give(command: Command) -> Command:
        hints = get_type_hints(command, include_extras=True)
        own = [
            parameter.replace(annotation=hints[parameter.name])
            for parameter in inspect.signature(command).parameters.values()
            if parameter.name != "shared"
        ]
        kinds = get_type_hints(kind, include_extras=True)
        common = [
            inspect.Parameter(
                field.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=inspect.Parameter.empty if field.default is MISSING else field.default,
                annotation=kinds[field.name],
            )
            for field in fields(kind)
        ]

        @functools.wraps(command)
        def flat(**values: Any) -> None:
            shared = kind(**{parameter.name: values.pop(parameter.name) for parameter in common})
            command(**values, shared=shared)

        flat.__signature__ = inspect.Signature([*own, *common])  # type: ignore[attr-defined]
        flat.__annotations__ = {parameter.name: parameter.annotation for parameter in (*own, *common)}
        return flat

    return give
