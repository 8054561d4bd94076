from __future__ import annotations

import io
import os
import struct
import threading
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from restore.errors import InputError
from restore.images import MAX_PIXELS, Picture, encode, read, read_bytes, read_pages
from restore.images.limits import check_size

PICTURE = Picture.from_array(np.random.default_rng(0).integers(0, 256, (40, 50, 3)).astype(np.uint8))
DEEP = Picture.from_array(np.random.default_rng(0).integers(0, 65536, (40, 50, 3)).astype(np.uint16))


def png_declaring(width: int, height: int, depth: int = 8) -> bytes:
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, depth, 2, 0, 0, 0)
    end = b"IEND"
    chunks = (header, b"IDAT" + zlib.compress(bytes(100)), end)
    body = b"".join(
        struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) for chunk in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body


def message_of(call: Any, *arguments: Any) -> str:
    with pytest.raises(InputError) as caught:
        call(*arguments)
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith(".")
    return message


def test_a_missing_file(tmp_path: Path) -> None:
    assert "no such file" in message_of(read, tmp_path / "a.png")
    assert "a.png" in message_of(read, tmp_path / "a.png")
    assert "no such file" in message_of(read_pages, str(tmp_path / "none" / "a.tif"))


def test_a_folder(tmp_path: Path) -> None:
    assert "is a folder" in message_of(read, tmp_path)


def test_a_file_used_as_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    assert "cannot read" in message_of(read, tmp_path / "file" / "a.png")


def test_a_path_that_cannot_be(tmp_path: Path) -> None:
    assert "cannot read" in message_of(read, "a\0.png")
    assert "cannot read" in message_of(read, tmp_path / ("x" * 300))


def test_a_file_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert "Permission denied" in message_of(read, tmp_path / "a.png")


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp", "bmp"])
def test_text_with_the_suffix_of_a_picture(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"notes.{suffix}"
    path.write_text("These are notes, not pixels.\n" * 20)
    assert "not a picture" in message_of(read, path)


def test_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    assert "0 bytes" in message_of(read, tmp_path / "a.png")
    assert "standard input" in message_of(read_bytes, b"")


def test_the_suffix_does_not_matter_for_reading(tmp_path: Path) -> None:
    path = tmp_path / "really_a_png.jpg"
    path.write_bytes(encode(PICTURE, "PNG"))
    assert read(path).format == "PNG"
    assert not read(path).lossy


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP", "BMP", "TIFF"])
@pytest.mark.parametrize("keep", [0.02, 0.3, 0.7, 0.95])
def test_truncated_files(file_format: str, keep: float) -> None:
    data = encode(PICTURE, file_format)
    message = message_of(read_bytes, data[: int(keep * len(data))], "a file")
    assert "'a file'" in message
    assert "truncated" in message


@pytest.mark.parametrize("keep", [0.02, 0.3, 0.7, 0.95])
def test_truncated_16_bit_png(keep: float) -> None:
    data = encode(DEEP, "PNG")
    assert "truncated" in message_of(read_bytes, data[: int(keep * len(data))])


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP", "BMP", "TIFF"])
def test_a_signature_alone(file_format: str) -> None:
    message_of(read_bytes, encode(PICTURE, file_format)[:12])


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("side", [9_500, 14_000, 60_000])
def test_decompression_bombs(side: int, depth: int) -> None:
    """9,500 squared is where Pillow warns, 14,000 squared where it refuses."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert f"the limit of {MAX_PIXELS:,}" in message_of(read_bytes, png_declaring(side, side, depth))


def test_a_bomb_in_a_text_chunk() -> None:
    data = encode(PICTURE, "PNG")
    text = b"zTXtcomment\0\0" + zlib.compress(bytes(100_000_000))
    chunk = struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text))
    message_of(read_bytes, data[:33] + chunk + data[33:])


def test_the_limit_itself() -> None:
    check_size("a", MAX_PIXELS, 1)
    with pytest.raises(InputError):
        check_size("a", MAX_PIXELS + 1, 1)
    assert MAX_PIXELS == Image.MAX_IMAGE_PIXELS


@pytest.mark.parametrize("size", [(0, 0), (0, 5), (5, 0)])
def test_pictures_without_pixels(size: tuple[int, int]) -> None:
    message_of(read_bytes, png_declaring(*size))


@pytest.mark.parametrize("file_format", ["GIF", "WEBP", "PNG"])
def test_animations(file_format: str) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "green", "blue")]
    buffer = io.BytesIO()
    frames[0].save(buffer, file_format, save_all=True, append_images=frames[1:], duration=100)
    message = message_of(read_bytes, buffer.getvalue())
    assert "animation of 3 frames" in message


def test_a_still_gif_is_a_picture() -> None:
    buffer = io.BytesIO()
    Image.fromarray(PICTURE.to_array()[..., 0]).save(buffer, "GIF")
    picture = read_bytes(buffer.getvalue())
    assert (picture.format, picture.size, picture.channels) == ("GIF", (40, 50), 1)
    np.testing.assert_array_equal(picture.to_array(), PICTURE.to_array()[..., 0])


@pytest.mark.parametrize("file_format", ["PPM", "ICO", "TGA"])
def test_formats_that_are_not_supported(file_format: str) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16)).save(buffer, file_format)
    assert "use PNG" in message_of(read_bytes, buffer.getvalue())


@pytest.mark.parametrize(
    ("picture", "file_format"),
    [
        (PICTURE, "PNG"),
        (DEEP, "PNG"),
        (PICTURE, "JPEG"),
        (PICTURE, "WEBP"),
        (PICTURE, "BMP"),
        (PICTURE, "TIFF"),
        (DEEP, "TIFF"),
    ],
)
def test_damage_is_never_more_than_an_input_error(
    picture: Picture, file_format: str, capfd: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(4)
    original = np.frombuffer(encode(picture, file_format), dtype=np.uint8)
    refused = 0
    for _ in range(60):
        data = original.copy()
        region = len(data) if rng.random() < 0.5 else min(len(data), 200)
        positions = rng.integers(0, region, rng.integers(1, 6))
        data[positions] = rng.integers(0, 256, len(positions))
        try:
            assert min(read_bytes(data.tobytes()).size) > 0
        except InputError:
            refused += 1
    assert refused > 0
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP", "BMP", "TIFF"])
def test_reading_a_pipe(tmp_path: Path, file_format: str) -> None:
    fifo = tmp_path / "pipe"
    os.mkfifo(fifo)
    data = encode(PICTURE, file_format)
    writer = threading.Thread(target=fifo.write_bytes, args=(data,))
    writer.start()
    assert read(fifo).size == (40, 50)
    writer.join()
