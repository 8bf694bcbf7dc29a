// The photos of paddocks, each counted once: the counterpart of herbage/results/copies.py.

import { RequestError } from "./estimates.js";
import { byCodePoint, clean, counted, remark } from "./formatting.js";
import { groupBy } from "./groups.js";

/** Each row with the name of its paddock, null for none. Refused where their numbers differ. */
export function named(predictions, paddocks) {
  const [rows, names] = [predictions.length, paddocks.length];
  if (rows !== names) throw refusal(`paddocks: expected ${rows} names, one per photo; got ${names}.`);
  return predictions.map((row, index) => ({ row, paddock: clean(paddocks[index] ?? "") || null }));
}

/**
 * The photos ({ row, paddock }) without those that are byte-equal to another photo of their paddock, and a remark on
 * these; the photo with the shortest name is the original. Refused where copies are in two paddocks.
 */
export function withoutCopies(photos) {
  const copies = new Set();
  const pairs = [];
  const identified = photos.filter(({ row }) => row.photo_sha256);
  for (const equal of groupBy(identified, ({ row }) => row.photo_sha256).values()) {
    const byPaddock = groupBy([...equal].sort(byLength), ({ paddock }) => paddock);
    refuseTwoPaddocks(byPaddock);
    for (const [original, ...others] of byPaddock.values()) {
      for (const copy of others) {
        copies.add(copy);
        pairs.push(`${copy.row.photo} = ${original.row.photo}`);
      }
    }
  }
  const message = `${counted(pairs.length, "photo")} not counted again, byte-equal to another photo of their paddock`;
  return {
    photos: photos.filter((photo) => !copies.has(photo)),
    remarks: pairs.length ? [remark("copies", pairs, message)] : [],
  };
}

/** The error of a request that could not be fulfilled as it was made. */
export function refusal(detail) {
  return new RequestError(422, { detail });
}

function refuseTwoPaddocks(byPaddock) {
  const assigned = [...byPaddock.keys()].filter((paddock) => paddock !== null);
  if (assigned.length < 2) return;
  const photos = assigned.map((paddock) => byPaddock.get(paddock)[0].row.photo);
  throw refusal(
    `\`paddocks\`: ${photos.join(" and ")} are byte-equal, but in the paddocks ${assigned.join(" and ")}. ` +
      "Remove the photo that does not belong to its paddock.",
  );
}

function byLength({ row: one }, { row: other }) {
  return [...one.photo].length - [...other.photo].length || byCodePoint(one.photo, other.photo);
}
