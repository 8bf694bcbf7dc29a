// The row of predictions.csv and the map of a photo, from what the estimator returns.

import { TARGETS } from "./columns.js";
import { kgPerHa } from "./estimates.js";
import { round } from "./rounding.js";

const DIGITS = 6;
const LARGEST_VALUES = 0.99;

/** Values in the order of the model's measured columns, NaN where one was not measured. */
export function measuredInputs(model, measured) {
  return Float32Array.from(model.measured_columns, ({ name }) => measured?.[name] ?? NaN);
}

/** The prediction of a photo, as the server's API returns it. */
export function rowOf(model, name, photo, outputs, measured) {
  const values = Object.fromEntries(["grams", "low", "high"].map((output) => [output, [...(outputs[output]?.data ?? [])]]));
  const columns = {};
  TARGETS.forEach((target, t) => (columns[target] = cell(values.grams[t])));
  TARGETS.forEach((target, t) => {
    columns[`${target}_low`] = cell(values.low[t]);
    columns[`${target}_high`] = cell(values.high[t]);
  });
  const isUsed = (column) => isUsable(model, column, measured?.[column.name]);
  const isMeasured = model.measured_columns.length > 0 && model.measured_columns.every(isUsed);
  const training = model.training && {
    training_photo: photo.pixelKeys.some((key) => model.training_photos.includes(key)),
    shape_differs: differs(photo.aspect / model.training.aspect, model.aspect_factor),
  };
  return {
    photo: name, status: "ok", ...columns,
    Dry_Total_kg_per_ha: hectare(columns.Dry_Total_g, model), GDM_kg_per_ha: hectare(columns.GDM_g, model),
    in_domain: model.distance_limit === null ? null : outputs.distance.data[0] <= model.distance_limit,
    taken_at: photo.takenAt, latitude: cell(photo.latitude), longitude: cell(photo.longitude),
    message: messages(model, photo, measured, isMeasured, training).join("; ") || null,
    training_photo: training ? training.training_photo : null, shape_differs: training ? training.shape_differs : null,
    measured: isMeasured, level: model.level, quadrat_area_m2: model.quadrat_area_m2, map: null,
    photo_sha256: photo.key, model: model.record.digest,
  };
}

/** The map in g/m², as the server's API returns it; null where the model has none. */
export function mapOf(model, outputs) {
  if (!outputs.map) return null;
  const [, rows, columns] = outputs.map.dims;
  const size = rows * columns;
  const [top, values] = [{}, {}];
  for (const target of model.targets) {
    const start = TARGETS.indexOf(target) * size;
    const density = Array.from(outputs.map.data.subarray(start, start + size), (grams) => grams / model.quadrat_area_m2);
    const scale = model.map_scale_g_per_m2?.[TARGETS.indexOf(target)] ?? quantile(density, LARGEST_VALUES);
    top[target] = Math.max(scale, 1e-6);
    values[target] = density.map((value) => round(value, 1));
  }
  return { unit: "g/m2", rows, columns, top, values };
}

function cell(value) {
  return value === null || value === undefined || Number.isNaN(value) ? null : round(value, DIGITS);
}

function hectare(grams, model) {
  return grams === null ? null : round(kgPerHa(grams, model), DIGITS);
}

/** Whether a value can be an input of the heads: not too far outside the training range, and with a logarithm. */
function isUsable(model, { name, low, high }, value) {
  if (value === null || value === undefined) return false;
  const isNear = value >= low - (high - low) && value <= high + (high - low);
  return isNear && (value > 0 || !model.logarithms.includes(name));
}

function differs(ratio, factor) {
  return ratio < 1 / factor || ratio > factor;
}

function messages(model, photo, measured, isMeasured, training) {
  const found = [...photo.remarks, ...aboutMeasured(model, measured, isMeasured)];
  if (training?.training_photo) found.push("training photo: expect larger errors on new photos");
  if (training?.shape_differs) {
    const [own, usual] = [photo.aspect.toFixed(2), model.training.aspect.toFixed(2)];
    found.push(
      `aspect ratio (width / height) ${own}, training photos ${usual}; if the photo shows more than the quadrat, ` +
        "set the quadrat's corners",
    );
  }
  return found;
}

/** A message per measured value that cannot be used, or was used although it is outside the training range. */
function aboutMeasured(model, measured, isMeasured) {
  return model.measured_columns.flatMap((column) => {
    const { name, low, high } = column;
    const value = measured?.[name] ?? null;
    const range = `the training range, ${short(low)} to ${short(high)}`;
    if (value === null) return [];
    if (!isUsable(model, column, value)) return [`${name} ${short(value)} is not used: it is too far outside ${range}`];
    return isMeasured && (value < low || value > high) ? [`${name} ${short(value)} is outside ${range}`] : [];
  });
}

/** A number with six digits, without zeros at its end. */
function short(value) {
  return String(Number(value.toPrecision(6)));
}

/** The value below which this share of the values lies, interpolated between neighbours. */
function quantile(values, share) {
  const sorted = Float64Array.from(values).sort();
  const place = share * (sorted.length - 1);
  const [below, above] = [Math.floor(place), Math.ceil(place)];
  return sorted[below] + (place - below) * (sorted[above] - sorted[below]);
}
