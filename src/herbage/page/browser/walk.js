// The photos of a walk, as `herbage farm FARM.gpkg --add FILE` reads them: the counterpart of
// herbage/app/web/walks.py and herbage/farm/walk_file.py.

import { COLUMNS } from "./columns.js";
import { named, refusal, withoutCopies } from "./copies.js";
import { counted, firstNames } from "./formatting.js";

const PHOTO_KEYS = [...COLUMNS, "level", "quadrat_area_m2", "photo_sha256", "model", "paddock", "day"];
const FIRST_DIGITAL_YEAR = "1990";
const EXAMPLE = "2026-09-04";

/**
 * The photos with an estimate, each once; and the day of the latest. `day` is that of photos without a capture time.
 * Refused where there are none, where copies are in two paddocks, and where a farm could not take a photo.
 */
export function walkOf(model, { predictions, paddocks, day = null }) {
  checkDay(day);
  const estimated = named(predictions, paddocks).filter(({ row }) => row.status === "ok");
  if (!estimated.length) throw refusal("There is no photo with an estimate, so there is nothing to save.");
  const rows = withoutCopies(inPaddocksOfCopies(estimated)).photos.map(({ row, paddock }) => ({
    ...row, paddock, day: row.taken_at ? null : day,
  }));
  checkEstimates(rows, model);
  const days = rows.map((row) => row.day ?? row.taken_at?.slice(0, EXAMPLE.length) ?? null);
  checkDays(rows, days);
  const photos = rows.map((row) => Object.fromEntries(PHOTO_KEYS.map((key) => [key, row[key]])));
  return { walk: { herbage_walk: 1, model: model.record, photos }, latest: [...days].sort().at(-1) };
}

/** A copy without a paddock is in that of the other, since a farm has each photo once. */
function inPaddocksOfCopies(photos) {
  const known = new Map();
  for (const { row, paddock } of photos) if (row.photo_sha256 && paddock !== null) known.set(row.photo_sha256, paddock);
  return photos.map(({ row, paddock }) => ({ row, paddock: paddock ?? known.get(row.photo_sha256) ?? null }));
}

/** Refuse rows that lack what a farm needs, or that were estimated by another model. */
function checkEstimates(rows, model) {
  const other = rows.find((row) => row.model !== model.record.digest);
  if (other) throw refusal(`${other.photo} was estimated by another model. Estimate it again.`);
  const unknown = rows.find((row) => !row.photo_sha256);
  if (unknown) throw refusal(`${unknown.photo} has no photo_sha256, so the farm could not recognise it later.`);
  for (const row of rows) {
    const lacking = model.record.targets.find((target) => row[target] === null);
    if (lacking) throw refusal(`${row.photo} has no ${lacking}, which its model estimates. Estimate it again.`);
  }
}

/** Refuse capture times with a zone, days on which no photo can have been taken, and photos without a day. */
function checkDays(rows, days) {
  const zoned = rows.find((row) => /T.*(Z|[+-]\d\d:\d\d)$/.test(row.taken_at ?? ""));
  if (zoned) {
    const time = zoned.taken_at.replace("T", " ").replace("Z", "+00:00");
    throw refusal(
      `${zoned.photo}: taken_at=${time} has a time zone; expected the local time, as in the photo's EXIF.`,
    );
  }
  const wrong = days.findIndex((day) => day !== null && !(FIRST_DIGITAL_YEAR <= day && day <= tomorrow()));
  if (wrong >= 0) {
    const range = `expected one from ${FIRST_DIGITAL_YEAR} to tomorrow`;
    throw refusal(`${rows[wrong].photo} has the day ${days[wrong]}; ${range}.`);
  }
  const undated = rows.filter((_, index) => days[index] === null).map((row) => row.photo);
  if (undated.length) {
    throw refusal(
      `${counted(undated.length, "photo")} without a capture time cannot be assigned to a visit: ` +
        `${firstNames(undated)}. Pass the day on which they were taken, such as \`day=${EXAMPLE}\`.`,
    );
  }
}

/** Refuse a day that is not written as YYYY-MM-DD, or that no calendar has, such as 2026-02-30. */
function checkDay(day) {
  if (day === null) return;
  const time = /^\d{4}-\d\d-\d\d$/.test(day) ? new Date(`${day}T00:00:00Z`) : new Date(NaN);
  if (Number.isNaN(time.getTime()) || !time.toISOString().startsWith(day)) {
    throw refusal(`body.day: Value error, expected a day as YYYY-MM-DD, such as ${EXAMPLE}`);
  }
}

/** The local day of tomorrow: clocks of cameras are wrong, and their time zone is not recorded. */
function tomorrow() {
  return localDay(new Date(), 1);
}

/** The day of a time on this device, or so many days later, as YYYY-MM-DD. */
export function localDay(time, later = 0) {
  const day = new Date(Date.UTC(time.getFullYear(), time.getMonth(), time.getDate() + later));
  return day.toISOString().slice(0, EXAMPLE.length);
}
