"""What a file is according to its first bytes, whatever its name says."""

import re

HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
AVIF_BRANDS = (b"avif", b"avis")

TEXT_BYTES, SHORTEST_TEXT = 2000, 5

SAVE_AS_JPEG = "save it as JPEG or PNG"
DEVELOP = "it is a raw file of a camera: develop it to JPEG or TIFF"
"""A raw file may hold a small preview that a reader of images would take for the photo."""

BEGINNINGS = (
    (rb"(?:\xef\xbb\xbf)?\s*<(?i:!doctype html|html|head|body)\b",
     "it is a web page (HTML), such as a sign-in page saved under the photo's name: download the photo again"),
    (rb"version https://git-lfs\.github\.com/spec/",
     "it is a Git LFS pointer, not the photo: fetch the photos with `git lfs pull`"),
    (rb"/annex/objects/", "it is a git-annex pointer, not the photo: fetch the photos with `git annex get`"),
    (rb"%PDF-", "it is a PDF: export the photo from it as JPEG"),
    (rb"GIF8[79]a", f"it is a GIF image: {SAVE_AS_JPEG}"),
    (rb"BM.{4}\0\0\0\0", f"it is a BMP image: {SAVE_AS_JPEG}"),
    (rb"8BPS", f"it is a Photoshop document: {SAVE_AS_JPEG}"),
    (rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51", f"it is a JPEG 2000 image: {SAVE_AS_JPEG}"),
    (rb"\0\0\0\x0cJXL |\xff\x0a", f"it is a JPEG XL image: {SAVE_AS_JPEG}"),
    (rb"PK\x03\x04", "it is a ZIP archive: unpack it"),
    (rb"\x1f\x8b", "it is a gzip archive: unpack it"),
    (rb"II\*\0.{4}CR|....ftypcrx |FUJIFILMCCD-RAW|IIU\0|IIR[OS]|MMOR|FOVb", DEVELOP),
    (rb"RIFF....AVI |\x1aE\xdf\xa3|\0\0\x01\xba|....ftyp(?:isom|iso\d|mp4\d|avc1|M4V |qt  |3gp|3g2|dash|MSNV)",
     "it is a video: export a frame as JPEG"),
    (rb"bplist0|<\?xml[^>]*>\s*<!DOCTYPE plist",
     "it is a placeholder (property list), as iCloud leaves for a photo that is not downloaded yet: download it"),
    (rb"<\?xml|\s*<svg", f"it is XML or a drawing (SVG), not a photo: {SAVE_AS_JPEG}"),
)  # fmt: skip
"""Patterns of the first bytes of files that are no photos, and what to do about them."""


def is_heic(content: bytes) -> bool:
    """Whether it is a HEIF container with HEVC images."""
    brands = _brands(content)
    return not brands.isdisjoint(HEIC_BRANDS) and brands.isdisjoint(AVIF_BRANDS)


def not_a_photo(content: bytes) -> str | None:
    """What the file is instead of a photo, and what to do; None where its first bytes do not say."""
    if not content.strip(b"\0"):
        return "it contains only zeros, since a transfer or a disk failed: copy the photo again"
    if not _brands(content).isdisjoint(AVIF_BRANDS):
        return f"it is an AVIF image: {SAVE_AS_JPEG}"
    for pattern, description in BEGINNINGS:
        if re.match(pattern, content, re.DOTALL):
            return description
    return _quoted_text(content)


def _brands(content: bytes) -> set[bytes]:
    """Major and compatible brands of an ISO base media file (ISO/IEC 14496-12); empty for other files."""
    if content[4:8] != b"ftyp":
        return set()
    end = min(int.from_bytes(content[:4], "big"), 256)
    return {content[8:12], *(content[at : at + 4] for at in range(16, end - 3, 4))}


def _quoted_text(content: bytes) -> str | None:
    """A description of a short text, such as the message of a server, with its beginning."""
    text = content[:TEXT_BYTES].decode("utf-8", "replace")
    if len(content) > TEXT_BYTES:
        text = text[:-1]  # it may end within a character
    is_text = all(char.isprintable() or char in "\n\r\t" for char in text) and "\N{REPLACEMENT CHARACTER}" not in text
    if not is_text or len(text.strip()) < SHORTEST_TEXT:
        return None
    return f"it is a text file that begins with “{text.strip().splitlines()[0][:60]}”"
