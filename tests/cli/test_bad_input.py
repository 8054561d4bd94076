"""Bad input: one clear sentence, exit status 2, and nothing new or changed in the folder."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

Array = np.ndarray[Any, Any]
Command = Callable[..., Any]
Contents = Callable[[], dict[str, bytes]]

QUICK = ("--iterations", 2, "--device", "cpu")


def bomb(side: int) -> bytes:
    """A PNG of a few bytes that declares side x side pixels."""
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b""))
    body = (struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


@pytest.fixture
def bad_file(save: Callable[..., Path], save_tiff: Callable[..., Path], noisy: Array) -> Callable[[str], Path]:
    """Make a file that is bad in the named way; what is called 'missing' is not made."""

    def make(kind: str) -> Path:
        path = save("bad.png", noisy)
        good = path.read_bytes()
        path.unlink()
        match kind:
            case "empty":
                path.write_bytes(b"")
            case "text":
                path.write_text("this is no picture\n")
            case "truncated":
                path.write_bytes(good[: len(good) // 2])
            case "header only":
                path.write_bytes(good[:20])
            case "bomb":
                path.write_bytes(bomb(60_000))
            case "large":
                path.write_bytes(bomb(10_000))
            case "folder":
                path.mkdir()
            case "no finite pixel":
                return save_tiff("bad.tif", np.zeros((4, 4), np.uint8), np.full((4, 4), np.nan, np.float32))
        return path

    return make


BAD_FILES = {
    "missing": "no such file",
    "empty": "0 bytes",
    "text": "is not a picture",
    "truncated": "truncated",
    "header only": "damaged",
    "bomb": "pixels",
    "large": "100000000 pixels|10000x10000 pixels",
    "folder": "folder",
    "no finite pixel": "finite",
}


@pytest.mark.parametrize("kind", BAD_FILES)
@pytest.mark.parametrize("role", ["denoise", "inpaint", "mask", "reference", "degrade"])
def test_files_that_are_no_picture(
    command: Command,
    save: Callable[..., Path],
    contents: Contents,
    bad_file: Callable[[str], Path],
    clean: Array,
    hole: Array,
    kind: str,
    role: str,
) -> None:
    bad, good, mask = bad_file(kind), save("a.png", clean), save("m.png", hole)
    words = {
        "denoise": ("denoise", bad, *QUICK),
        "inpaint": ("inpaint", bad, "--mask", mask, *QUICK),
        "mask": ("inpaint", good, "--mask", bad, *QUICK),
        "reference": ("denoise", good, "--reference", bad, *QUICK),
        "degrade": ("degrade", bad, "--noise", 25),
    }[role]
    before = contents()
    complaint = command(*words).complaint
    assert bad.name in complaint
    assert any(part in complaint for part in BAD_FILES[kind].split("|"))
    assert contents() == before


@pytest.mark.parametrize("stdin", [b"", b"this is no picture", bomb(60_000)])
def test_standard_input_that_is_no_picture(command: Command, contents: Contents, stdin: bytes) -> None:
    assert "standard input" in command("denoise", "-", "-o", "-", *QUICK, stdin=stdin).complaint
    assert contents() == {}


@pytest.mark.parametrize(
    ("make", "invert", "what"),
    [
        (lambda hole: hole[:, 1:], False, "47x40"),
        (lambda hole: hole.T, False, "40x48"),
        (lambda hole: np.zeros_like(hole), False, "nothing"),
        (lambda hole: np.ones_like(hole), False, "whole"),
        (lambda hole: np.ones_like(hole), True, "nothing"),
        (lambda hole: np.zeros_like(hole), True, "whole"),
    ],
)
def test_masks_that_make_no_sense(
    command: Command,
    save: Callable[..., Path],
    contents: Contents,
    clean: Array,
    hole: Array,
    make: Callable[[Array], Array],
    invert: bool,
    what: str,
) -> None:
    image, mask = save("a.png", clean), save("m.png", make(hole))
    before = contents()
    words = ("inpaint", image, "--mask", mask, *(["--mask-invert"] if invert else []), *QUICK)
    complaint = command(*words).complaint
    assert what in complaint
    assert "m.png" in complaint
    assert contents() == before


def test_a_note_does_not_come_before_the_sentence(
    command: Command, save: Callable[..., Path], clean: Array, hole: Array
) -> None:
    image, mask = save("a.png", clean), save("m.png", hole[1:])
    assert "48x39" in command("inpaint", image, "--mask", mask, "-o", image.with_name("b.jpg"), *QUICK).complaint


def test_inpainting_without_a_mask(
    command: Command, save: Callable[..., Path], contents: Contents, clean: Array
) -> None:
    image = save("a.png", clean)
    before = contents()
    assert "mask" in command("inpaint", image, *QUICK).complaint
    assert "--mask" in command("inpaint", image, "--mask-invert", *QUICK).complaint
    assert contents() == before


def test_nan_pixels_are_not_noise(
    command: Command, save_tiff: Callable[..., Path], contents: Contents, noisy: Array
) -> None:
    samples = noisy.astype(np.float32)
    samples[3, 4:6] = np.nan
    samples[5, 5, 0] = np.inf
    image = save_tiff("a.tif", samples)
    before = contents()
    complaint = command("denoise", image, *QUICK).complaint
    assert "3 pixels" in complaint
    assert "restore inpaint" in complaint
    assert contents() == before


def test_a_mask_and_nan_pixels_that_leave_nothing(
    command: Command, save: Callable[..., Path], save_tiff: Callable[..., Path], contents: Contents, clean: Array
) -> None:
    samples = clean.astype(np.float32)
    samples[:20] = np.nan
    rest = np.zeros(clean.shape[:2], dtype=bool)
    rest[20:] = True
    image, mask = save_tiff("a.tif", samples), save("m.png", rest)
    before = contents()
    assert "nothing is known" in command("inpaint", image, "--mask", mask, *QUICK).complaint
    assert contents() == before


@pytest.mark.parametrize("output", ["none/b.png", "a.png/b.png", "b", "b.xyz", "folder", "folder/", "folder.png"])
def test_places_that_cannot_be_written(
    command: Command, save: Callable[..., Path], contents: Contents, tmp_path: Path, noisy: Array, output: str
) -> None:
    image = save("a.png", noisy)
    for name in ("folder", "folder.png"):
        (tmp_path / name).mkdir()
    before = contents()
    for existing in ("error", "overwrite"):
        complaint = command("denoise", image, "-o", f"{tmp_path}/{output}", "--existing", existing, *QUICK).complaint
        assert output.strip("/") in complaint
        assert command("degrade", image, "--noise", 5, "-o", f"{tmp_path}/{output}").complaint
    assert contents() == before


def test_a_folder_without_permission_to_write(
    command: Command, save: Callable[..., Path], contents: Contents, noisy: Array, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = save("a.png", noisy)
    before = contents()
    # Permission bits do not stop the superuser, as whom tests may run.
    monkeypatch.setattr("os.access", lambda path, mode, **options: False)
    assert "no permission" in command("denoise", image, *QUICK).complaint
    monkeypatch.undo()
    assert contents() == before


def test_a_disk_that_takes_nothing(
    command: Command, save: Callable[..., Path], contents: Contents, noisy: Array, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = save("a.png", noisy)
    before = contents()

    def full(*arguments: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    for name in ("hardlink_to", "touch", "replace"):
        monkeypatch.setattr(Path, name, full)
    ended = command("denoise", image, *QUICK)
    monkeypatch.undo()
    assert ended.status == 2
    assert ended.stderr.splitlines()[-1].startswith("restore: cannot write")
    assert "No space left" in ended.stderr
    assert contents() == before


def test_a_reference_that_does_not_match(
    command: Command, save: Callable[..., Path], save_tiff: Callable[..., Path], contents: Contents, noisy: Array
) -> None:
    image = save("a.png", noisy)
    hollow = noisy.astype(np.float32)
    hollow[0, 0] = np.nan
    references = (save("b.png", noisy[1:]), save("c.png", noisy[..., 0]), save_tiff("d.tif", hollow))
    before = contents()
    for reference, what in zip(references, ("48x39", "1 channel", "NaN"), strict=True):
        assert what in command("denoise", image, "--reference", reference, *QUICK).complaint
    assert contents() == before
