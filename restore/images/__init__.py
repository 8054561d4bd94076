"""Pictures and masks, from and to files: every dtype and layout comes back as it was, with its metadata.

Read with `read` or `read_pages`, work on `Picture.pixels`, write with `write` or `write_pages`. Nothing here needs
torch; tifffile and imagecodecs are imported when a file calls for them.
"""

from __future__ import annotations

from restore.images.atomic import EXISTING, atomic_write_bytes, check_target
from restore.images.formats import FORMATS, Format, format_of
from restore.images.limits import MAX_PIXELS
from restore.images.mask import Mask, hidden_fraction, mask_from_array, read_mask
from restore.images.metadata import Metadata
from restore.images.picture import Picture
from restore.images.pillow_codec import from_pillow
from restore.images.reading import read, read_bytes, read_pages, read_pages_bytes
from restore.images.writing import check_output, default_output, encode, encode_pages, write, write_pages

__all__ = [
    "EXISTING",
    "FORMATS",
    "MAX_PIXELS",
    "Format",
    "Mask",
    "Metadata",
    "Picture",
    "atomic_write_bytes",
    "check_output",
    "check_target",
    "default_output",
    "encode",
    "encode_pages",
    "format_of",
    "from_pillow",
    "hidden_fraction",
    "mask_from_array",
    "read",
    "read_bytes",
    "read_mask",
    "read_pages",
    "read_pages_bytes",
    "write",
    "write_pages",
]
