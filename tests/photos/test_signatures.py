import plistlib
import re

import pytest

from herbage.errors import PhotoUnreadable
from tests.photos.encoded import encoded, opened, scene

POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 12345\n"


def box(brand, *compatible):
    content = b"ftyp" + brand + bytes(4) + b"".join(compatible)
    return (len(content) + 4).to_bytes(4, "big") + content + bytes(range(256)) * 4


@pytest.mark.parametrize(("content", "reason"), [
    (b"<!DOCTYPE html><html><body>Please sign in</body></html>", "it is a web page (HTML), such as a sign-in page"),
    (b"\xef\xbb\xbf\r\n <HTML lang=en>", "it is a web page (HTML)"),
    (POINTER.encode(), "it is a Git LFS pointer, not the photo: fetch the photos with `git lfs pull`"),
    (b"/annex/objects/SHA256E-s12345--00.jpg\n", "it is a git-annex pointer"),
    (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3", "it is a PDF"),
    (box(b"qt  ", b"qt  "), "it is a video"),
    (box(b"mp42", b"isom", b"mp42"), "it is a video"),
    (b"RIFF\0\1\0\0AVI LIST", "it is a video"),
    (b"II*\0\x10\0\0\0CR\2\0" + bytes(range(200)), "it is a raw file of a camera: develop it to JPEG or TIFF"),
    (box(b"crx ", b"crx ", b"isom"), "it is a raw file of a camera"),
    (b"FUJIFILMCCD-RAW 0201", "it is a raw file of a camera"),
    (box(b"avif", b"avif", b"mif1"), "it is an AVIF image: save it as JPEG or PNG"),
    (box(b"mif1", b"mif1", b"avif"), "it is an AVIF image"),
    (b"GIF89a" + bytes(100), "it is a GIF image: save it as JPEG or PNG"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "it is a JPEG 2000 image"),
    (plistlib.dumps({"NSURLNameKey": "IMG_1.HEIC"}, fmt=plistlib.FMT_BINARY), "it is a placeholder (property list), as iCl"),
    (plistlib.dumps({"NSURLNameKey": "IMG_1.HEIC"}), "it is a placeholder (property list), as iCloud"),
    (b'<?xml version="1.0"?><svg/>', "it is XML or a drawing (SVG)"),
    (b"PK\x03\x04" + bytes(100), "it is a ZIP archive: unpack it"),
    (b'{"error": "not found"}', 'it is a text file that begins with “{"error": "not found"}”'),
    ("Zugriff verweigert: Süd\n".encode() * 200, "it is a text file that begins with “Zugriff verweigert: Süd”"),
    (bytes(5000), "it contains only zeros, since a transfer or a disk failed: copy the photo again"),
    (b"\x01\x02\x03\x04" * 100, "cannot identify image file"),
    (b"\xff\xd8", "cannot identify image file"),
])  # fmt: skip
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_file_that_is_no_photo_is_named_with_what_to_do(content, reason):
    for name in ("a.jpg", "a.tif", "a.heic"):
        with pytest.raises(PhotoUnreadable, match=re.escape(f"{name} is not a readable image: {reason}")):
            opened(content, name)


def test_heic_without_its_reader_says_how_to_install_it_whatever_the_name(monkeypatch):
    monkeypatch.setattr("herbage.photos.pixels._reads_heif", lambda: False)
    for name in ("a.jpg", "a.heic"):
        with pytest.raises(PhotoUnreadable, match=re.escape("pip install 'herbage[heic]'")):
            opened(box(b"heic", b"mif1", b"heic"), name)
    assert opened(encoded(scene(), "JPEG"), "a.heic").pixels().shape == (240, 320, 3)
