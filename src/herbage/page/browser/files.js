// The files that the server writes at /api/files/: the counterpart of herbage/results/predictions.py and geojson.py.

import { COLUMNS } from "./columns.js";
import { SPACE } from "./formatting.js";
import { PADDOCK_COLUMNS, paddockTable } from "./paddocks.js";
import { walkOf } from "./walk.js";

const CONTROL = /[\x00-\x1f\x7f\u2028\u2029]+/g;
const FORMULA = new RegExp(`^[${SPACE}]*[=+@-]`); // as a spreadsheet would read it

const WRITERS = {
  "predictions.csv": (_, { predictions }) => csvFile("predictions.csv", COLUMNS, predictions),
  "photos.geojson": (_, { predictions }) => {
    return { text: photosGeoJson(predictions), name: "photos.geojson", type: "application/geo+json" };
  },
  "paddocks.csv": (model, { predictions, paddocks }) => {
    return csvFile("paddocks.csv", PADDOCK_COLUMNS, paddockTable(model, predictions, paddocks).paddocks);
  },
  "walk.json": (model, body) => {
    const { walk, latest } = walkOf(model, body);
    const text = JSON.stringify(walk, (_, value) => value ?? undefined, 1); // without keys whose value is null
    return { text, name: `walk-${latest}.json`, type: "application/json" };
  },
};

/**
 * A file made from predictions, as { text, name, type }. `kind` is predictions.csv, photos.geojson, paddocks.csv or
 * walk.json; `body` is that of the server's route. Refused as there.
 */
export function writeFile(kind, model, body) {
  return WRITERS[kind](model, body);
}

function csvFile(name, columns, rows) {
  const lines = [columns, ...rows.map((row) => columns.map((column) => csvCell(row[column])))];
  return { text: lines.map((cells) => `${cells.join(",")}\n`).join(""), name, type: "text/csv; charset=utf-8" };
}

/** A value as pandas reads it, in quotes where it has to be. */
function csvCell(value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value === "number") return String(value);
  const cell = spreadsheetText(value);
  return /[",]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;
}

/** Text on one line, with a leading apostrophe where a spreadsheet would read it as a formula. */
function spreadsheetText(text) {
  const line = text.replace(CONTROL, " ");
  return FORMULA.test(line) || /^[\t\r]/.test(text) ? `'${line}` : line;
}

/** The estimated photos with a position as points according to RFC 7946 (WGS 84, longitude first). */
function photosGeoJson(rows) {
  const placed = rows.filter((row) => row.status === "ok" && row.longitude !== null && row.latitude !== null);
  const features = placed.map((row) => {
    const keys = COLUMNS.filter((column) => !["longitude", "latitude"].includes(column));
    const properties = Object.fromEntries(keys.map((key) => [key, row[key]]));
    const geometry = { type: "Point", coordinates: [row.longitude, row.latitude] };
    return `\n${JSON.stringify({ type: "Feature", geometry, properties })}`;
  });
  return `{"type": "FeatureCollection", "features": [${features.join(",")}\n]}\n`;
}
