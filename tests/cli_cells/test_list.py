"""`restore cells list`: every cell of the registry, with its own figures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from restore.cells import CELLS, make_cell
from restore.cli.cells.catalogue import CATALOGUE


def test_catalogue_is_the_registry() -> None:
    assert list(CATALOGUE) == list(CELLS)


def test_entries_are_one_line_each() -> None:
    for entry in CATALOGUE.values():
        for text in (entry.system, entry.description, entry.source):
            assert text.strip() == text != ""
            assert "\n" not in text


@pytest.mark.parametrize("size", [4, 10])
def test_json(cells: Callable[..., Any], size: int) -> None:
    listed = cells("list", "--json").report
    assert [cell["name"] for cell in listed] == list(CELLS)
    for cell in listed:
        made = make_cell(cell["name"], size)
        assert set(cell) == {"name", "system", "description", "source", "complex", "drive_width"}
        assert cell["drive_width"] * size == made.drive_size
        assert cell["complex"] is made.is_complex


def test_table(cells: Callable[..., Any]) -> None:
    header, *lines = cells("list").stdout.splitlines()
    assert header.split() == ["name", "state", "drive", "system", "source"]
    assert [line.split()[0] for line in lines] == list(CELLS)
    found = {line.split()[0]: line for line in lines}
    assert found["scurnn"].split()[1:3] == ["complex", "2n"]
    assert found["lstm"].split()[1:3] == ["real", "4n"]
    assert found["scornn"].endswith("arXiv:1707.09520")
