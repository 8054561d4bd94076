from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from restore.errors import OutputError, UsageError
from restore.images import atomic_write_bytes, check_target


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


@pytest.mark.parametrize("existing", ["error", "overwrite"])
def test_a_new_file(tmp_path: Path, existing: str) -> None:
    path = atomic_write_bytes(tmp_path / "a.json", b"{}", existing=existing)
    assert path.read_bytes() == b"{}"
    assert names(tmp_path) == ["a.json"]


def test_permissions_follow_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        mode = atomic_write_bytes(tmp_path / "a", b"x").stat().st_mode
    finally:
        os.umask(before)
    assert mode & 0o777 == 0o640


def test_existing_files(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    with pytest.raises(OutputError, match=r"exists already.*overwrite"):
        atomic_write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    atomic_write_bytes(path, b"new", existing="overwrite")
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == ["a"]


def test_an_unknown_way(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="overwrite"):
        atomic_write_bytes(tmp_path / "a", b"x", existing="overwrit")
    assert names(tmp_path) == []


@pytest.mark.parametrize("links", [True, False])
def test_a_file_that_appears_meanwhile_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool) -> None:
    path = tmp_path / "a"
    link = Path.hardlink_to

    def appear_first(self: Path, target: Path) -> None:
        path.write_bytes(b"theirs")
        if not links:
            raise OSError(95, "Operation not supported")
        link(self, target)

    monkeypatch.setattr(Path, "hardlink_to", appear_first)
    with pytest.raises(OutputError, match="exists already"):
        atomic_write_bytes(path, b"ours")
    assert path.read_bytes() == b"theirs"
    assert names(tmp_path) == ["a"]


def test_file_systems_without_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, target: Path) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    assert atomic_write_bytes(tmp_path / "a", b"x").read_bytes() == b"x"
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("existing", ["error", "overwrite"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failure_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, existing: str, error: BaseException
) -> None:
    path = tmp_path / "a"
    if existing == "overwrite":
        path.write_bytes(b"old")
    before = names(tmp_path)

    def fail(*arguments: Any, **options: Any) -> None:
        raise error

    monkeypatch.setattr(Path, "replace" if existing == "overwrite" else "hardlink_to", fail)
    if existing == "error":
        monkeypatch.setattr(Path, "touch", fail)
    with pytest.raises(KeyboardInterrupt if isinstance(error, KeyboardInterrupt) else OutputError):
        atomic_write_bytes(path, b"new", existing=existing)
    assert names(tmp_path) == before
    assert existing == "error" or path.read_bytes() == b"old"


def test_a_failing_replacement_gives_the_reserved_name_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, target: Path) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OutputError, match="Input/output error"):
        atomic_write_bytes(tmp_path / "a", b"x")
    assert names(tmp_path) == []


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = Path.open

    def open_full(self: Path, *arguments: Any, **options: Any) -> Any:
        file = opened(self, *arguments, **options)

        class Full:
            def __enter__(self) -> Full:
                return self

            def __exit__(self, *details: object) -> None:
                file.close()

            def write(self, data: bytes) -> int:
                file.write(data[:1])
                raise OSError(28, "No space left on device")

        return Full()

    monkeypatch.setattr(Path, "open", open_full)
    with pytest.raises(OutputError, match="No space left on device"):
        atomic_write_bytes(tmp_path / "a", b"many bytes")
    assert names(tmp_path) == []


def test_folders(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"no folder.*create it"):
        check_target(tmp_path / "none" / "a")
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="no folder"):
        check_target(tmp_path / "file" / "a")
    with pytest.raises(OutputError, match="not a regular file"):
        check_target(tmp_path, existing="overwrite")
    with pytest.raises(OutputError, match="not a regular file"):
        check_target("/dev/null", existing="overwrite")


def test_an_unwritable_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(OutputError, match="no permission to write"):
        atomic_write_bytes(tmp_path / "a", b"x")
    monkeypatch.undo()
    assert names(tmp_path) == []


def test_names_that_cannot_be(tmp_path: Path) -> None:
    for name in ("x" * 300, "a\0b"):
        with pytest.raises(OutputError, match="cannot write"):
            atomic_write_bytes(tmp_path / name, b"x")
    assert names(tmp_path) == []


@pytest.mark.parametrize("alias", ["same", "symbolic", "hard", "dotted"])
def test_the_source_is_never_written_over(tmp_path: Path, alias: str) -> None:
    source = tmp_path / "a.png"
    source.write_bytes(b"precious")
    path = {"same": source, "dotted": tmp_path / ".." / tmp_path.name / "a.png"}.get(alias, tmp_path / "b.png")
    if alias == "symbolic":
        path.symlink_to(source)
    if alias == "hard":
        path.hardlink_to(source)
    with pytest.raises(OutputError, match="is an input of this run"):
        check_target(path, existing="overwrite", source=source)
    check_target(tmp_path / "c.png", source=source)
    check_target(tmp_path / "c.png", source=tmp_path / "none.png")


def test_a_dangling_link_counts_as_existing(tmp_path: Path) -> None:
    path = tmp_path / "link"
    path.symlink_to(tmp_path / "nowhere")
    with pytest.raises(OutputError, match="exists already"):
        atomic_write_bytes(path, b"x")
    assert path.is_symlink()
    (tmp_path / "source").touch()
    check_target(path, existing="overwrite", source=tmp_path / "source")
