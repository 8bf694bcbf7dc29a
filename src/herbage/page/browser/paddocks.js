// The pasture cover of paddocks on their last visits: the counterpart of herbage/results/paddocks.py.

import { TARGETS } from "./columns.js";
import { named, withoutCopies } from "./copies.js";
import { coverOf, deviation, growthBetween } from "./cover.js";
import { kgPerHa } from "./estimates.js";
import { byCodePoint, counted, remark } from "./formatting.js";
import { groupBy } from "./groups.js";
import { similarNames } from "./names.js";
import { round } from "./rounding.js";
import { dayOf, sumsOf, visitsOf } from "./visits.js";

/** The columns of paddocks.csv. */
export const PADDOCK_COLUMNS = [
  "paddock", "photos", "taken_on", "kg_per_ha", "kg_per_ha_low", "kg_per_ha_high", "sampling_kg_per_ha",
  "model_kg_per_ha", "photos_to_halve_sampling", "variation", "GDM_kg_per_ha", "green_share", "legume_share",
  "in_domain_share", "growth_kg_per_ha_day", "growth_low", "growth_high", "growth_since", "earlier_photos",
  "undated_photos",
];

const [CLOVER, TOTAL, GDM] = ["Dry_Clover_g", "Dry_Total_g", "GDM_g"].map((name) => TARGETS.indexOf(name));
const DAY = 86_400_000; // milliseconds

/**
 * One row per paddock, highest cover first, with the columns of paddocks.csv; and remarks about photos that are in no
 * mean. `paddocks` has a name or null for each prediction. Refused where copies of a photo are in two paddocks.
 */
export function paddockTable(model, predictions, paddocks) {
  const given = named(predictions, paddocks);
  const estimated = given.filter(({ row }) => row.status === "ok" && Number.isFinite(row[model.main_target]));
  const { photos, remarks } = withoutCopies(estimated);
  const byPaddock = groupBy(photos, ({ paddock }) => paddock);
  const unassigned = byPaddock.get(null) ?? [];
  byPaddock.delete(null);
  const surveys = [...byPaddock].map(([name, of]) => ({
    name, ...visitsOf(of.map(({ row }) => sumsOf(row, model.quadrat_area_m2))),
  }));
  const names = new Set(given.map(({ paddock }) => paddock).filter((name) => name !== null));
  return {
    paddocks: surveys.map((survey) => tableRow(survey, model)).sort(highestFirst),
    remarks: [...similarNames([...names]), ...unassignedRemarks(unassigned), ...leftOutRemarks(surveys), ...remarks],
  };
}

function tableRow({ name, visits, undated }, model) {
  const last = visits.at(-1);
  const main = TARGETS.indexOf(model.main_target);
  const cover = visitCover(last, main, model);
  const share = (target) => (last.grams[TOTAL] ? last.grams[target] / last.grams[TOTAL] : NaN);
  const cells = {
    paddock: name,
    photos: last.photos,
    taken_on: dayOf(last),
    kg_per_ha: rounded(cover.mean),
    kg_per_ha_low: rounded(cover.low),
    kg_per_ha_high: rounded(cover.high),
    sampling_kg_per_ha: rounded(cover.sampling),
    model_kg_per_ha: rounded(cover.model),
    photos_to_halve_sampling: last.photos > 1 ? 3 * last.photos : null,
    variation: rounded(last.photos > 1 ? (deviation(last, main) * last.photos) / last.grams[main] : NaN),
    GDM_kg_per_ha: rounded(kgPerHa(last.grams[GDM] / last.photos, model)),
    green_share: rounded(share(GDM)),
    legume_share: rounded(share(CLOVER)),
    in_domain_share: rounded(last.inDomain / last.domainKnown),
    ...growthCells(visits, cover, main, model),
    earlier_photos: visits.slice(0, -1).reduce((sum, visit) => sum + visit.photos, 0),
    undated_photos: undated.photos,
  };
  return Object.fromEntries(PADDOCK_COLUMNS.map((column) => [column, cells[column] ?? null]));
}

/** The cells on the growth since the visit before; none where there is no such visit, or its growth is of no use. */
function growthCells(visits, cover, main, model) {
  if (visits.length < 2) return {};
  const before = visits.at(-2);
  const [since, until] = [before, visits.at(-1)].map(dayOf);
  const days = (Date.parse(until) - Date.parse(since)) / DAY; // texts of days without a time are read as UTC
  const growth = days ? growthBetween(visitCover(before, main, model), cover, days) : null;
  if (!growth) return {};
  return {
    growth_kg_per_ha_day: rounded(growth.rate),
    growth_low: rounded(growth.low),
    growth_high: rounded(growth.high),
    growth_since: since,
  };
}

function visitCover(visit, main, model) {
  const { alone, measured } = model.record;
  return coverOf(visit, visit.measured === visit.photos ? measured : alone, main, model);
}

function highestFirst(one, other) {
  return other.kg_per_ha - one.kg_per_ha || byCodePoint(one.paddock, other.paddock);
}

function unassignedRemarks(photos) {
  if (!photos.length) return [];
  const names = photos.map(({ row }) => row.photo);
  return [remark("photos_without_paddock", names, `${counted(names.length, "photo")} in no paddock`)];
}

/** Remarks about photos that are not in the mean of their paddock. */
function leftOutRemarks(surveys) {
  const sorted = [...surveys].sort((one, other) => byCodePoint(one.name, other.name));
  const earlier = sorted.flatMap(({ name, visits }) => visits.slice(0, -1).map((visit) => ({ name, visit })));
  const undated = sorted.filter((survey) => survey.undated.photos);
  const remarks = [];
  if (earlier.length) {
    const count = earlier.reduce((sum, { visit }) => sum + visit.photos, 0);
    const names = earlier.map(
      ({ name, visit }) => `${name} on ${dayOf(visit)} (${counted(visit.photos, "photo")}, such as ${visit.example})`,
    );
    const message = `${counted(count, "photo")} of earlier visits not in the means`;
    remarks.push(remark("photos_of_earlier_visits", names, message, count));
  }
  if (undated.length) {
    const count = undated.reduce((sum, survey) => sum + survey.undated.photos, 0);
    const names = undated.map(({ name, undated: of }) => `${name} (${of.photos}, such as ${of.example})`);
    const photos = counted(count, "photo");
    const message = `${photos} without a capture time in no mean, because their paddocks have several visits`;
    remarks.push(remark("undated_photos", names, message, count));
  }
  return remarks;
}

/** A number to four places, null where it is unknown. */
function rounded(value) {
  return Number.isFinite(value) ? round(value, 4) : null;
}
