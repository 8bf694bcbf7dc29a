"""A store of tokens: one checksummed file per photo, and an index of photo digests and failures.

<store>/<identity>/identity.json
<store>/<identity>/<aa>/<photo sha256>.safetensors
<store>/index.sqlite
"""

import json
import math
import os
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from herbage.backbones.backbone import Backbone
from herbage.backbones.views import NORMALISATION, VIEWS
from herbage.errors import TokensCorrupt, TokensStale
from herbage.files import write_atomic
from herbage.photos.photo import PhotoFile
from herbage.recipe import Recipe
from herbage.tokens.layout import tokens_shape

HEADER_LENGTH_BYTES = 8
"""A safetensors file begins with the length of its header."""

DTYPES = {"float16": torch.float16, "float32": torch.float32}


@dataclass(frozen=True)
class TokensIdentity:
    """What must match for a token file to be used; `digest` names its folder."""

    weights: str
    crops: str
    grid: int
    views: int
    blur_sigma: float
    keep: str
    dtype: str
    average_views: bool = False
    heterogeneity: str = "none"  # always; version 0.1.0 put it into the digest, and stored tokens stay usable
    normalisation: str = NORMALISATION
    layer: str = "last, after the final norm"
    positions: str = "bicubic, as transformers"

    @classmethod
    def of(cls, backbone: Backbone, recipe: Recipe) -> "TokensIdentity":
        """The identity of the tokens of this backbone and recipe."""
        return cls(
            weights=backbone.digest,
            crops=f"{recipe.tiles} tiles" if recipe.crops == "tiles" else recipe.crops,
            grid=recipe.grid,
            views=recipe.views,
            blur_sigma=recipe.blur_sigma,
            keep=recipe.keep,
            dtype=backbone.engine.tokens,
            average_views=recipe.average_views,
        )

    def with_more_views(self) -> "list[TokensIdentity]":
        """The identities of tokens that begin with these, since views have a fixed order."""
        return [] if self.average_views else [replace(self, views=n) for n in range(self.views + 1, len(VIEWS) + 1)]

    @cached_property
    def digest(self) -> str:
        """The first 16 hexadecimal digits of the sha256 of all fields."""
        return sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]


class TokenStore:
    """The tokens of one identity below one folder. Tokens of other identities in the same folder are not touched.

    Stored tokens with more views than requested are used: the requested ones are the first. Several processes may fill
    one store: each file is written under a temporary name, flushed, and renamed.
    """

    def __init__(self, root: str | Path, backbone: Backbone, recipe: Recipe) -> None:
        self.root = Path(root)
        self.identity = TokensIdentity.of(backbone, recipe)
        self.engine = backbone.engine
        self.folder = self.root / self.identity.digest
        self.shape = tokens_shape(recipe, backbone.width)
        self.dtype = DTYPES[self.identity.dtype]
        self.index = PhotoIndex(self.root / "index.sqlite")
        wider = [of for of in self.identity.with_more_views() if (self.root / of.digest).is_dir()]
        self._usable = [self.identity, *wider]

    def path(self, photo_sha256: str, identity: TokensIdentity | None = None) -> Path:
        """The token file of the photo with this digest."""
        folder = self.root / (identity or self.identity).digest
        return folder / photo_sha256[:2] / f"{photo_sha256}.safetensors"

    def __contains__(self, photo_sha256: str) -> bool:
        return any(self.path(photo_sha256, of).is_file() for of in self._usable)

    def has_complete(self, photo_sha256: str) -> bool:
        """Whether there is a token file of the right length; its checksum is verified when it is read."""
        return any(self._is_complete(photo_sha256, of) for of in self._usable)

    def _is_complete(self, photo_sha256: str, identity: TokensIdentity) -> bool:
        try:
            with self.path(photo_sha256, identity).open("rb") as file:
                header = int.from_bytes(file.read(HEADER_LENGTH_BYTES), "little")
                data = math.prod(self._shape(identity)) * self.dtype.itemsize
                return os.fstat(file.fileno()).st_size == HEADER_LENGTH_BYTES + header + data
        except OSError:
            return False

    def _shape(self, identity: TokensIdentity) -> tuple[int, ...]:
        """The shape of tokens in a file of one of the usable identities."""
        return self.shape if identity == self.identity else (identity.views, *self.shape[1:])

    def save(self, photo_sha256: str, tokens: Float[Tensor, "view patch width"]) -> None:
        """Store a photo's tokens, atomically."""
        settings = self.folder / "identity.json"
        if not settings.is_file():
            write_atomic(settings, json.dumps(asdict(self.identity), indent=2))
        record = {
            "photo": photo_sha256,
            "identity": self.identity.digest,
            "crc32": _crc32(tokens),
            "engine": self.engine.record(),
        }
        # A single entry: safetensors does not preserve the order of several, so equal tokens could differ in bytes.
        metadata = {"herbage": json.dumps(record, sort_keys=True)}
        write_atomic(self.path(photo_sha256), save({"tokens": tokens.contiguous()}, metadata))

    def load(self, photo_sha256: str) -> Float[Tensor, "view patch width"]:
        """A photo's tokens as stored; raises TokensCorrupt for a damaged file and TokensStale for another photo's."""
        identity = self._stored_as(photo_sha256)
        path = self.path(photo_sha256, identity)
        try:
            with safe_open(path, framework="pt") as file:
                record = dict(json.loads((file.metadata() or {})["herbage"]))
                # A copy: while a tensor maps the file into memory, Windows does not let it be replaced.
                tokens: Tensor = file.get_tensor("tokens").clone()
        except (SafetensorError, OSError, KeyError, ValueError, TypeError) as error:
            raise TokensCorrupt(f"{path} is not a complete token file ({error}); extracting it again.") from error
        if record.get("identity") != identity.digest or record.get("photo") != photo_sha256:
            raise TokensStale(
                f"{path} holds tokens of photo {record.get('photo')} with identity {record.get('identity')}, "
                f"expected {photo_sha256} with {identity.digest}; extracting it again."
            )
        is_whole = tuple(tokens.shape) == self._shape(identity) and tokens.dtype == self.dtype
        if not is_whole or record.get("crc32") != _crc32(tokens):
            raise TokensCorrupt(
                f"{path} was changed after it was written (checksum, shape or type differ); extracting it again."
            )
        return tokens[: self.shape[0]]

    def _stored_as(self, photo_sha256: str) -> TokensIdentity:
        """The first usable identity of which the store has a file of this photo, by default the store's own."""
        stored = (of for of in self._usable if self.path(photo_sha256, of).is_file())
        return next(stored, self.identity)

    def discard(self, photo_sha256: str) -> None:
        """Delete a damaged file."""
        with suppress(FileNotFoundError):
            self.path(photo_sha256, self._stored_as(photo_sha256)).unlink()


class StoredTokens(Sequence[Tensor]):
    """The tokens of some photos, read from the store each time they are indexed."""

    def __init__(self, store: TokenStore, photos_sha256: Sequence[str]) -> None:
        self.store, self.photos_sha256 = store, photos_sha256

    def __len__(self) -> int:
        return len(self.photos_sha256)

    def __getitem__(self, row: Any) -> Any:
        """The tokens of one photo, or of a slice of them."""
        if isinstance(row, slice):
            return StoredTokens(self.store, self.photos_sha256[row])
        return self.store.load(self.photos_sha256[row])


class IndexEntry(NamedTuple):
    """What the index knows of a photo file in its present state: its digest, or why it could not be read."""

    sha256: str | None = None
    failure: str | None = None


UNKNOWN = IndexEntry()

INDEX_TABLE = "photos_2"
"""Increased when a new version gives some photos another digest or failure: entries of older tables are not used."""


class PhotoIndex:
    """Maps a photo's path, size, modification time and corners to its digest or failure.

    It is a cache and safe to delete: without it, photos are read again. Older versions of herbage have a table of their
    own in the same file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def find(self, photos: Iterable[PhotoFile]) -> list[IndexEntry]:
        """The entry of each photo."""
        keys = _keys(photos)
        with suppress(sqlite3.Error, OSError), self._open() as connection:
            where = f"SELECT sha256, failure FROM {INDEX_TABLE} WHERE path = ? AND size = ? AND mtime_ns = ?"
            rows = [key and connection.execute(where, key).fetchone() for key in keys]
            return [IndexEntry(*row) if row else UNKNOWN for row in rows]
        return [UNKNOWN] * len(keys)

    def update(self, photos: Iterable[tuple[PhotoFile, IndexEntry]]) -> None:
        """Replace the entries of these photos."""
        entries = list(photos)
        keys = _keys(photo for photo, _ in entries)
        rows = [(*key, *entry) for key, (_, entry) in zip(keys, entries, strict=True) if key]
        with suppress(sqlite3.Error, OSError), self._open() as connection, connection:
            connection.executemany(f"INSERT OR REPLACE INTO {INDEX_TABLE} VALUES (?, ?, ?, ?, ?)", rows)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(self.path, timeout=10)) as connection:
            columns = "path TEXT PRIMARY KEY, size INTEGER, mtime_ns INTEGER, sha256 TEXT, failure TEXT"
            connection.execute(f"CREATE TABLE IF NOT EXISTS {INDEX_TABLE} ({columns}) WITHOUT ROWID")
            yield connection


def _keys(photos: Iterable[PhotoFile]) -> list[tuple[str, int, int] | None]:
    """Path (with corners), size and modification time as the key of each photo; None where there is no file."""
    folders: dict[Path, Path] = {}
    keys: list[tuple[str, int, int] | None] = []
    for photo in photos:
        try:
            status = photo.path.stat()
            if photo.path.parent not in folders:
                folders[photo.path.parent] = photo.path.parent.resolve()
        except (OSError, ValueError):
            keys.append(None)
            continue
        place = os.fsencode(folders[photo.path.parent] / photo.path.name).decode("utf-8", "backslashreplace")
        corners = f" {photo.corners}" if photo.corners else ""
        keys.append((place + corners, status.st_size, status.st_mtime_ns))
    return keys


def _crc32(tokens: Tensor) -> str:
    data: Any = tokens.contiguous().view(torch.uint8).numpy().data
    return f"{zlib.crc32(data):08x}"
