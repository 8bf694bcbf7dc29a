"""A file imports only from its own room and from rooms above it."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "herbage"
ROOMS = [
    "formatting", "remarks", "progress", "environment", "errors", "files", "outputs", "hub", "targets", "recipe",
    "photos", "tables", "backbones", "tokens", "heads", "evaluation", "model", "results", "farm", "page", "steps", "app", "__main__",
]  # fmt: skip
FILES = sorted(path for path in SOURCE.rglob("*.py") if path != SOURCE / "__init__.py")


def room_of(parts: tuple[str, ...]) -> str:
    return parts[0].removesuffix(".py")


def imported_rooms(path: Path) -> set[str]:
    rooms = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("herbage"):
            inner = node.module.split(".")[1:]
            rooms |= {inner[0]} if inner else {alias.name for alias in node.names}
            assert node.level == 0, f"{path}: a relative import"
        elif isinstance(node, ast.Import):
            rooms |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("herbage.")}
    return rooms


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_imports_come_from_above(path):
    own = ROOMS.index(room_of(path.relative_to(SOURCE).parts))
    for room in imported_rooms(path):
        assert ROOMS.index(room) <= own, f"{path.relative_to(SOURCE)} imports {room}, which stands below it"


def test_every_room_is_in_the_order():
    there = {room_of(path.relative_to(SOURCE).parts) for path in FILES}
    assert there == set(ROOMS)


def test_a_wrong_import_is_seen(tmp_path):
    wrong = tmp_path / "wrong.py"
    wrong.write_text("from herbage.steps import train\nfrom herbage import app\nimport herbage.model.card\n")
    assert imported_rooms(wrong) == {"steps", "app", "model"}


def test_nothing_imports_what_the_project_does_without():
    for path in FILES:
        names = {
            name.split(".")[0]
            for node in ast.walk(ast.parse(path.read_text("utf-8")))
            for name in (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else []
            )
        }
        assert not names & {"torchvision", "timm"}, path
        if path.name != "notebook.py":
            assert "pickle" not in names, path
