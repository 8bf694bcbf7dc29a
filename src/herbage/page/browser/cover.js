// Pasture cover and growth in kg DM/ha, with intervals: the counterpart of herbage/results/cover.py and
// herbage/model/paddock_error.py. Values are NaN where they are unknown.

import { kgPerHa } from "./estimates.js";

const MAX_GROWTH_HALF_WIDTH = 100; // kg DM/ha/day; growth with a wider interval is left empty
const MIN_UNIT_G = 1e-6;

/**
 * The cover of a visit: its mean, half the widths of its intervals for sampling and for the model's error alone, and
 * the interval for both. `errors` are those of means by the model, null where they are unknown; `target` is a number.
 */
export function coverOf(visit, errors, target, model) {
  const mean = visit.grams[target] / visit.photos;
  const sampling = visit.photos > 1
    ? (studentT(visit.photos - 1, model.student_t) * deviation(visit, target)) / Math.sqrt(visit.photos)
    : NaN;
  const ofModel = errors ? halfWidth(errors, target, mean, visit.photos, model.level) : NaN;
  const [cover, samplingCover, modelCover] = [mean, sampling, ofModel].map((grams) => kgPerHa(grams, model));
  const half = Math.hypot(samplingCover, modelCover);
  return {
    mean: cover,
    sampling: samplingCover,
    model: modelCover,
    low: Math.max(cover - half, 0), // NaN if half is
    high: cover + half,
  };
}

/**
 * The growth between the covers of two visits, in kg DM/ha per day, with its interval; null where the interval is
 * unknown, or too wide to be of use.
 *
 * The interval of a difference is that of Zou and Donner 2008 (doi:10.1002/sim.3095): the half widths of both means are
 * added as squares. Nothing of the model's error is assumed to cancel.
 */
export function growthBetween(before, after, days) {
  const rate = (after.mean - before.mean) / days;
  const half = Math.hypot(before.sampling, before.model, after.sampling, after.model) / days;
  return half <= MAX_GROWTH_HALF_WIDTH ? { rate, low: rate - half, high: rate + half } : null;
}

/** Standard deviation of single photos in g per quadrat; 0 for one photo. */
export function deviation(visit, target) {
  if (visit.photos < 2) return 0;
  const mean = visit.grams[target] / visit.photos;
  return Math.sqrt(Math.max(visit.squares[target] - visit.photos * (mean * mean), 0) / (visit.photos - 1));
}

/**
 * A quantile of Student's t distribution, given `quantiles` for 1, 2, ... degrees of freedom and that of the normal
 * distribution. For more degrees of freedom it is expanded in the normal quantile: Abramowitz and Stegun, Handbook of
 * Mathematical Functions, 1964, formula 26.7.5.
 */
export function studentT(degreesOfFreedom, { quantiles, normal: z }) {
  if (degreesOfFreedom <= quantiles.length) return quantiles[degreesOfFreedom - 1];
  const terms = [
    z,
    (z ** 3 + z) / 4,
    (5 * z ** 5 + 16 * z ** 3 + 3 * z) / 96,
    (3 * z ** 7 + 19 * z ** 5 + 17 * z ** 3 - 15 * z) / 384,
    (79 * z ** 9 + 776 * z ** 7 + 1482 * z ** 5 - 1920 * z ** 3 - 945 * z) / 92160,
  ];
  return terms.reduce((sum, term, power) => sum + term / degreesOfFreedom ** power, 0);
}

/**
 * Half the width, in g per quadrat, of the conformal interval for the model's error of a mean over `photos` photos. NaN
 * where there are too few groups for the level.
 */
function halfWidth(errors, target, mean, photos, level) {
  const scores = errors.score.map((ofGroup) => ofGroup[target]).sort((one, other) => one - other);
  const rank = Math.ceil(level * (scores.length + 1) - 1e-9);
  if (rank > scores.length) return NaN;
  const quantile = errors.widened * scores[rank - 1];
  const [shared, own] = [errors.shared[target], errors.own[target]];
  const spread = mean + Math.max(errors.unit_g[target], MIN_UNIT_G);
  return quantile * Math.sqrt(shared * shared + (own * own) / photos) * spread;
}
