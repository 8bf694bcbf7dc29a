"""Byte-equal copies among the photos of paddocks: they count once."""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from herbage.errors import InputInvalid
from herbage.formatting import counted
from herbage.remarks import Remark


@dataclass(frozen=True)
class PaddockPhoto:
    """A photo by name, with its paddock, None where it is in none; `key` identifies it for the caller."""

    key: Hashable
    name: str
    paddock: str | None


@dataclass(frozen=True)
class Copies:
    """The keys of photos that are not counted again, and a remark on them."""

    keys: frozenset[Hashable] = frozenset()
    pairs: Sequence[str] = ()

    @classmethod
    def of(cls, equal: Iterable[Sequence[PaddockPhoto]]) -> "Copies":
        """From groups of byte-equal photos; of each group, the photo with the shortest name is the original.

        Raises InputInvalid for copies in two paddocks.
        """
        keys: list[Hashable] = []
        pairs = []
        for group in equal:
            by_paddock: dict[str | None, list[PaddockPhoto]] = defaultdict(list)
            for photo in sorted(group, key=lambda photo: (len(photo.name), photo.name)):
                by_paddock[photo.paddock].append(photo)
            if len(assigned := [name for name in by_paddock if name is not None]) > 1:
                raise InputInvalid(
                    f"`paddocks`: {' and '.join(by_paddock[name][0].name for name in assigned)} are byte-equal, but in "
                    f"the paddocks {' and '.join(assigned)}. Remove the photo that does not belong to its paddock."
                )
            for original, *others in by_paddock.values():
                keys += [photo.key for photo in others]
                pairs += [f"{photo.name} = {original.name}" for photo in others]
        return cls(frozenset(keys), pairs)

    def remarks(self) -> Iterator[Remark]:
        """A remark that names the copies."""
        if self.pairs:
            photos = counted(len(self.pairs), "photo")
            message = f"{photos} not counted again, byte-equal to another photo of their paddock"
            yield Remark.of("copies", self.pairs, message)
