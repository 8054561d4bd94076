"""Files that give a continuous-time cell its parameters."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from restore.errors import InputError, RestoreError, UsageError, unknown_name

if TYPE_CHECKING:
    from restore.cells.ctgru import CTGRU
    from restore.cells.limitcycle import LimitCycle

__all__ = ["read_cell"]

OPTIONS = {"ctgru": ("dt", "method", "gate"), "limitcycle": ("dt",)}
"""Keys of a file that are not parameters of the cell but options of its constructor."""

PAIRED = ("omega", "log_mu", "log_rho")
"""Parameters with one number for two units."""


def read_cell(name: str, path: Path) -> CTGRU | LimitCycle:
    """Return the cell `name` with the parameters of a YAML or JSON file, in float64.

    The file maps the names of parameters to numbers or lists of them; what it leaves out is zero. The size follows from
    their lengths. Options of the cell (`OPTIONS`) may stand beside them. A limitcycle with W is of form tanh.

    Raises:
        UsageError: another cell than those two.
        InputError: a file that cannot be read, that is not such a map, or that does not fit the cell.
    """
    if name not in OPTIONS:
        raise _no_dynamics(name)
    values = _read_mapping(path)
    try:
        return _make(name, values)
    except RestoreError as error:
        raise InputError(f"cannot use {str(path)!r}: {error}") from error


def _make(name: str, values: Mapping[str, Any]) -> CTGRU | LimitCycle:
    import torch

    from restore.cells.ctgru import CTGRU
    from restore.cells.dynamics import set_parameters_
    from restore.cells.limitcycle import LimitCycle

    options = {key: values[key] for key in OPTIONS[name] if key in values}
    parameters = {key: _numbers(key, value) for key, value in values.items() if key not in OPTIONS[name]}
    if not parameters:
        raise UsageError(f"it sets no parameter of {name}.")
    for key, value in options.items():
        options[key] = _number(key, value) if key == "dt" else str(value)
    cell: CTGRU | LimitCycle
    if name == "ctgru":
        cell = CTGRU(_size(parameters), dtype=torch.float64, **options)
    else:
        form = "tanh" if "W" in parameters else "hopf"
        cell = LimitCycle(_size(parameters), form=form, dtype=torch.float64, **options)
    set_parameters_(cell, parameters)
    return cell


def _no_dynamics(name: str) -> UsageError:
    from restore.cells import CELLS

    if name in CELLS:
        known = " and ".join(OPTIONS)
        return UsageError(f"the dynamics are analysed of systems in continuous time, {known}; {name!r} is not one.")
    return unknown_name("cell", name, OPTIONS)


def _size(parameters: Mapping[str, Any]) -> int:
    name, value = next(iter(parameters.items()))
    if not isinstance(value, list):
        raise UsageError(f"parameter {name!r} must be a list, one number or row for each unit; got {value}.")
    return 2 * len(value) if name in PAIRED else len(value)


def _numbers(name: str, value: Any, levels: int = 2) -> Any:
    if levels and isinstance(value, list):
        return [_numbers(name, item, levels - 1) for item in value]
    return _number(name, value)


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UsageError(f"{name!r} must hold finite numbers, got {value!r}.")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise UsageError(f"{name!r} must hold finite numbers, got {value!r}.")
    return number


def _read_mapping(path: Path) -> dict[str, Any]:
    try:
        content = path.read_bytes().decode()
        found = json.loads(content, object_pairs_hook=_once) if path.suffix.lower() == ".json" else _load_yaml(content)
    except OSError as error:
        raise InputError(f"cannot read {str(path)!r}: {error.strerror or error}.") from error
    except (ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"cannot read {str(path)!r} as YAML or JSON: {reason}.") from error
    if not isinstance(found, dict) or not all(isinstance(key, str) for key in found):
        raise InputError(f"{str(path)!r} must map names of parameters to numbers, for example U_h: [[0, -3], [3, 0]].")
    return found


def _load_yaml(content: str) -> Any:
    """Load YAML 1.2's numbers, which 1e-3 is one of, and refuse a key that stands twice.

    Raises ValueError for what is no YAML.
    """
    import yaml

    class Loader(yaml.SafeLoader):
        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
            _once([(key.value, None) for key, _ in node.value if isinstance(key, yaml.ScalarNode)])
            return super().construct_mapping(node, deep)

    Loader.add_implicit_resolver(
        "tag:yaml.org,2002:float", re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+"), list("-+.0123456789")
    )
    try:
        return yaml.load(content, Loader)  # a SafeLoader
    except yaml.MarkedYAMLError as error:
        line = "" if error.problem_mark is None else f" in line {error.problem_mark.line + 1}"
        raise ValueError(f"{error.problem}{line}") from error
    except yaml.YAMLError as error:
        raise ValueError(error) from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the pairs as a dict; raise ValueError where a key stands twice."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key!r} stands twice")
        found[key] = value
    return found
