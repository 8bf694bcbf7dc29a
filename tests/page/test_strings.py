"""All texts of the page are in one table, with a column per language."""

import re

from herbage.page.files import BROWSER, MODULES, read_strings
from herbage.targets import TARGETS

SOURCES = {
    path: path.read_text("utf-8")
    for folder in (MODULES, BROWSER)
    for path in folder.iterdir()
    if path.suffix in (".js", ".html")
}
MADE = {
    *TARGETS,
    *(f"corner_{n}" for n in range(4)),
    "waiting",
    "uploading",
    "estimating",
    "busy",
    "unreadable",
    "skipped",
    "loading",
    "privacy",
    "privacy_browser",
    "unreachable",
    "unreachable_browser",
    *(f"offline_{state}" for state in ("storing", "ready", "unavailable", "failed")),
}
"""Keys that the page composes."""


def test_every_language_has_all_texts_with_the_same_placeholders():
    strings = read_strings()
    assert set(strings) == {"en", "ja"}
    for key, english in strings["en"].items():
        for language, table in strings.items():
            assert table[key].strip(), (language, key)
            assert set(re.findall(r"\{\w+\}", table[key])) == set(re.findall(r"\{\w+\}", english)), (language, key)
    japanese = [key for key, value in strings["ja"].items() if re.search(r"[ぁ-んァ-ヶ一-龠]", value)]
    alike = {key for key, value in strings["ja"].items() if value == strings["en"][key]}
    assert alike <= {"interval_value", "scale_m"}
    assert len(japanese) > 60


def test_the_page_uses_exactly_the_keys_of_the_table():
    used = set(MADE)
    for text in SOURCES.values():
        used |= set(re.findall(r'data-(?:text|label)="(\w+)"', text))
        used |= {key for call in re.findall(r"\btext\(([^)]*)\)", text) for key in re.findall(r'"(\w+)"', call)}
    there = set(read_strings()["en"]) - {"language"}
    assert used & there == there, "keys that nothing uses"
    assert {key for key in used - there if not key.startswith("Dry")} <= {"failed", "done"}


def test_the_page_has_no_external_addresses_and_no_inline_script_or_style():
    for name, text in SOURCES.items():
        for address in re.findall(r"https?://[^\s\"')]+", text):
            assert address in ("http://www.w3.org/2000/svg", "https://."), (name, address)
    html = SOURCES[MODULES / "index.html"]
    assert re.findall(r"<script(?![^>]*src=)", html) == []
    assert not re.search(r"\s(style|on\w+)=", html)
