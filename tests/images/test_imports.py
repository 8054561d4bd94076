from __future__ import annotations

import subprocess
import sys

import restore.images as images


def loaded_after(statement: str) -> set[str]:
    code = f"{statement}\nimport sys\nprint(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return set(result.stdout.split())


def test_importing_is_cheap() -> None:
    loaded = loaded_after("import restore.images")
    assert "restore.images.picture" in loaded
    assert not loaded & {"torch", "tifffile", "imagecodecs", "skimage", "scipy", "PIL.PngImagePlugin", "PIL.ImageCms"}


def test_an_8_bit_png_needs_only_pillow() -> None:
    loaded = loaded_after(
        "from restore.images import *; from restore.images import encode, read_bytes\n"
        "read_bytes(encode(Picture.from_array(__import__('numpy').zeros((2, 2), 'uint8')), 'PNG'))"
    )
    assert not loaded & {"torch", "tifffile", "imagecodecs"}


def test_the_public_names_are_there() -> None:
    assert all(hasattr(images, name) for name in images.__all__)
    assert sorted(set(images.__all__)) == sorted(images.__all__)
