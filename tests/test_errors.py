"""The tree of errors, and the message for a name that no registry holds."""

from __future__ import annotations

import inspect

import pytest

from restore import errors
from restore.errors import FitError, RestoreError, UsageError, unknown_name


def test_every_error_can_be_caught_by_one_name() -> None:
    raised = [e for _, e in inspect.getmembers(errors, inspect.isclass) if e.__module__ == errors.__name__]
    assert len(raised) == 6
    assert all(issubclass(e, RestoreError) for e in raised)
    assert {e.__name__ for e in raised} <= set(errors.__all__)


@pytest.mark.parametrize("name", ["UsageError", "InputError", "OutputError", "DeviceError", "RestoreError"])
def test_what_the_user_can_mend_exits_with_2(name: str) -> None:
    assert getattr(errors, name)("no").exit_status == 2


def test_a_fit_without_an_image_exits_with_1() -> None:
    assert FitError("no").exit_status == 1


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("dipp", "dip"), ("decodr", "decoder"), ("hour-glass", "hourglass"), ("DIP", None), ("", None)],
)
def test_an_unknown_name_is_repeated_and_the_nearest_offered(name: str, nearest: str | None) -> None:
    error = unknown_name("prior", name, ("hourglass", "dip", "decoder"))
    assert isinstance(error, UsageError)
    message = str(error)
    assert message.startswith(f"unknown prior {name!r}")
    assert ("did you mean" in message) == (nearest is not None)
    if nearest:
        assert f"did you mean {nearest!r}?" in message
    assert message.endswith("Known: decoder, dip, hourglass.")


def test_known_names_may_be_the_keys_of_a_registry() -> None:
    assert "Known: a, b." in str(unknown_name("thing", "zzz", {"b": 1, "a": 2}))
