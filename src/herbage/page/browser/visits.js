// Visits: the photos of one paddock on one occasion, as sums. The counterpart of herbage/results/visits.py.
// Sums are added in the same order there and here, so that they are equal to the last digit.

import { TARGETS } from "./columns.js";
import { groupBy } from "./groups.js";

const HOUR = 3_600_000; // milliseconds
const MAX_GAP = 18 * HOUR; // a longer gap begins a new visit: longer than a night, shorter than a day
const MAX_SPAN = 36 * HOUR; // a visit is at most this long, so a survey may end the next morning

/**
 * The sums of one photo. Weights are in grams per quadrat of the given area, NaN where unknown; `first` and `last` are
 * the earliest and the latest capture time in milliseconds, null where unknown.
 */
export function sumsOf(row, quadratArea) {
  const grams = TARGETS.map((target) => ((row[target] ?? NaN) * quadratArea) / row.quadrat_area_m2);
  const time = row.taken_at ? Date.parse(`${row.taken_at}Z`) : null; // as if in UTC, which has no summer time
  return {
    photos: 1,
    grams,
    squares: grams.map((weight) => weight * weight),
    inDomain: Number(row.in_domain === true),
    domainKnown: Number(row.in_domain !== null),
    measured: Number(row.measured === true),
    first: time,
    last: time,
    example: row.photo,
  };
}

/**
 * The visits in order of time, at least one, from the sums of a paddock's photos; and the sums of undated photos that
 * belong to none of them. Undated photos belong to the paddock's visit if there is only one.
 */
export function visitsOf(photos) {
  const dated = photos.filter((photo) => photo.first !== null);
  const undated = total(photos.filter((photo) => photo.first === null));
  const hours = [...groupBy(dated, (photo) => Math.floor(photo.first / HOUR))].sort(([one], [other]) => one - other);
  const visits = divideIntoVisits(hours.map(([, of]) => total(of)));
  if (visits.length > 1) return { visits: visits.map(total), undated };
  return { visits: [total([...visits.flat(), undated])], undated: total([]) };
}

/**
 * The visits, from sums of at most an hour in order of time. A gap longer than MAX_GAP begins a new visit; a visit that
 * would be longer than MAX_SPAN is divided at its longest gap.
 */
export function divideIntoVisits(hours) {
  const visits = [];
  let current = [];
  for (const hour of hours) {
    if (current.length && hour.first - current.at(-1).last > MAX_GAP) {
      visits.push(current);
      current = [];
    }
    current.push(hour);
    while (current.length > 1 && current.at(-1).last - current[0].first > MAX_SPAN) {
      const gaps = current.slice(1).map((later, index) => later.first - current[index].last);
      visits.push(current.splice(0, gaps.lastIndexOf(Math.max(...gaps)) + 1));
    }
  }
  return current.length ? [...visits, current] : visits;
}

/** The day of the first photo, null where it is unknown. */
export function dayOf(visit) {
  return visit.first === null ? null : new Date(visit.first).toISOString().slice(0, "2025-09-04".length);
}

/** The sums over the photos of all parts. */
function total(parts) {
  const sum = (key) => parts.reduce((all, part) => all + part[key], 0);
  const sums = (key) => TARGETS.map((_, target) => parts.reduce((all, part) => all + part[key][target], 0));
  const times = parts.filter((part) => part.first !== null);
  return {
    photos: sum("photos"),
    grams: sums("grams"),
    squares: sums("squares"),
    inDomain: sum("inDomain"),
    domainKnown: sum("domainKnown"),
    measured: sum("measured"),
    first: times.length ? times.reduce((first, part) => Math.min(first, part.first), Infinity) : null,
    last: times.length ? times.reduce((last, part) => Math.max(last, part.last), -Infinity) : null,
    example: parts.find((part) => part.example)?.example ?? "",
  };
}
