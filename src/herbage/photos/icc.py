"""ICC profiles of well-known colour spaces, for files that name one without embedding its profile."""

import struct
from functools import cache

DISPLAY_P3, ADOBE_RGB = "Display P3", "Adobe RGB (1998)"
COLORANTS = {
    DISPLAY_P3: ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407)),
    ADOBE_RGB: ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457)),
}
"""XYZ of red, green and blue, adapted to the white D50."""

CURVES = {DISPLAY_P3: (3, 2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045), ADOBE_RGB: (0, 2.19921875)}
"""Number and parameters of the parametric curve (ISO 15076-1, table 68)."""

D50 = (0.9642, 1.0, 0.8249)
HEADER_BYTES, ENTRY_BYTES = 128, 12


@cache
def profile_of(name: str) -> bytes:
    """A version 4 profile of one of COLORANTS: header, table of tags, and tags (ISO 15076-1, clause 7)."""
    text = name.encode("utf-16-be")
    curve = struct.pack(">4s4xH2x", b"para", CURVES[name][0]) + _fixed(*CURVES[name][1:])
    tags = {
        b"desc": struct.pack(">4s4x2I4s2I", b"mluc", 1, 12, b"enUS", len(text), 28) + text,
        b"wtpt": b"XYZ \0\0\0\0" + _fixed(*D50),
        **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve),
    }
    for tag, colorant in zip((b"rXYZ", b"gXYZ", b"bXYZ"), COLORANTS[name], strict=True):
        tags[tag] = b"XYZ \0\0\0\0" + _fixed(*colorant)
    table, body = struct.pack(">I", len(tags)), b""
    start = HEADER_BYTES + len(table) + ENTRY_BYTES * len(tags)
    for tag, value in tags.items():
        table += struct.pack(">4s2I", tag, start + len(body), len(value))
        body += value + bytes(-len(value) % 4)
    header = struct.pack(">I4xI4s4s4s12x4s28x", start + len(body), 0x04000000, b"mntr", b"RGB ", b"XYZ ", b"acsp")
    return (header + _fixed(*D50)).ljust(HEADER_BYTES, b"\0") + table + body


def _fixed(*values: float) -> bytes:
    """Signed fixed-point numbers with 16 bits behind the point."""
    return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))
