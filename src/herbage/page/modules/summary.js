// Summary of all photos: a table with one row per paddock, and a map of where the photos were taken.

import { tableRow } from "./card.js";
import { kgPerHa, RequestError } from "./estimates.js";
import { estimator } from "./estimator.js";
import { number, percent, text } from "./text.js";

const SVG = "http://www.w3.org/2000/svg";
const [WIDTH, HEIGHT, MARGIN] = [600, 280, 40];
const LEGEND = 190;
const METRES_PER_DEGREE = 111_320; // of latitude
const NOTHING = { paddocks: [], remarks: [] };
const MIN_DEGREES = 20 / METRES_PER_DEGREE;

/**
 * Fill the table: first all photos of all days, then, if there are paddocks, each of them on its last visit; and the
 * remarks under it.
 */
export async function showPaddocks(container, predictions, paddocks, level, hasPaddocks) {
  const undated = predictions.map((row) => ({ ...row, taken_at: null }));
  const all = await estimator.paddocks(undated, predictions.map(() => text("all_photos")));
  const named = hasPaddocks ? await estimator.paddocks(predictions, paddocks).catch(refused) : NOTHING;
  const table = document.createElement("table");
  table.append(
    tableRow("th", [text("paddock"), text("kg_per_ha"), text("range"), text("photos"), text("GDM_g"), text("green_share"), text("legume_share"), text("day")]),
    ...[...all.paddocks, ...named.paddocks].map((row) =>
      tableRow("td", [
        row.paddock, figure(row.kg_per_ha), interval(row),
        photos(row), figure(row.GDM_kg_per_ha), share(row.green_share), share(row.legume_share), row.taken_on ?? "",
      ]),
    ),
  );
  container.replaceChildren(table);
  const messages = new Set([...all.remarks, ...named.remarks].map((remark) => remark.message));
  document.getElementById("remarks").replaceChildren(
    ...[...messages].map((message) => paragraph("soft", message)),
    ...(named.refusal ? [paragraph("warning", named.refusal)] : []),
  );
  document.getElementById("summary-note").textContent = text("summary_note", { level: percent(level) });
}

/** No rows of paddocks, and the reason, where the server refuses them: copies of a photo are in two paddocks. */
function refused(error) {
  if (!(error instanceof RequestError) || error.status !== 422) throw error;
  return { ...NOTHING, refusal: error.message };
}

function paragraph(className, message) {
  return Object.assign(document.createElement("p"), { className, textContent: message });
}

/** The photos in the mean, and those that are not: of earlier visits, and undated ones beside several visits. */
function photos(row) {
  const others = row.earlier_photos + row.undated_photos;
  return others ? text("photos_left_out", { photos: number(row.photos), others: number(others) }) : number(row.photos);
}

function interval(row) {
  if (row.kg_per_ha_low === null) return text("unknown");
  return text("interval_value", { low: number(row.kg_per_ha_low), high: number(row.kg_per_ha_high) });
}

function figure(value) {
  return value === null ? text("unknown") : number(value);
}

function share(value) {
  return value === null ? text("unknown") : percent(value);
}

/** Draw photos as points by longitude and latitude, coloured by kg DM/ha; returns their number. */
export function showPoints(container, predictions, main, colours) {
  const placed = predictions.filter((row) => row.status === "ok" && row.latitude !== null && row.longitude !== null && row[main] !== null);
  container.replaceChildren();
  if (!placed.length) return 0;
  const weights = placed.map((row) => kgPerHa(row[main], row));
  const [lightest, heaviest] = [Math.min(...weights), Math.max(...weights)];
  const aspect = Math.cos((placed[0].latitude * Math.PI) / 180); // length of a degree of longitude over one of latitude
  const xs = placed.map((row) => row.longitude * aspect);
  const ys = placed.map((row) => -row.latitude);
  const [left, top] = [Math.min(...xs), Math.min(...ys)];
  const pixelsPerDegree = Math.min(
    (WIDTH - LEGEND - 2 * MARGIN) / Math.max(Math.max(...xs) - left, MIN_DEGREES),
    (HEIGHT - 2 * MARGIN) / Math.max(Math.max(...ys) - top, MIN_DEGREES),
  );
  const svg = svgElement("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": text("where") });
  placed.forEach((row, index) => {
    const fraction = heaviest > lightest ? (weights[index] - lightest) / (heaviest - lightest) : 0.5;
    const dot = svgElement("circle", {
      cx: MARGIN + (xs[index] - left) * pixelsPerDegree, cy: MARGIN + (ys[index] - top) * pixelsPerDegree,
      r: 7, fill: colours[Math.round(fraction * (colours.length - 1))],
    });
    const weight = text("kg_per_ha_value", { value: number(weights[index]) });
    dot.append(Object.assign(svgElement("title", {}), { textContent: text("point", { photo: row.photo, weight }) }));
    svg.append(dot);
  });
  const metres = roundMetres((150 / pixelsPerDegree) * METRES_PER_DEGREE);
  const bar = (metres / METRES_PER_DEGREE) * pixelsPerDegree;
  svg.append(svgElement("line", { x1: WIDTH - MARGIN - bar, x2: WIDTH - MARGIN, y1: HEIGHT - 30, y2: HEIGHT - 30 }));
  svg.append(label(WIDTH - MARGIN, HEIGHT - 12, text("scale_m", { metres: number(metres) }), "end"));
  const gradient = svgElement("linearGradient", { id: "weights" });
  colours.forEach((colour, index) => gradient.append(svgElement("stop", { offset: index / (colours.length - 1), "stop-color": colour })));
  svg.append(gradient, svgElement("rect", { x: WIDTH - MARGIN - 150, y: MARGIN, width: 150, height: 12, fill: "url(#weights)" }));
  svg.append(label(WIDTH - MARGIN - 150, MARGIN + 28, number(lightest), "start"));
  svg.append(label(WIDTH - MARGIN, MARGIN + 28, text("kg_per_ha_value", { value: number(heaviest) }), "end"));
  container.append(svg);
  return placed.length;
}

function label(x, y, content, anchor) {
  return Object.assign(svgElement("text", { x, y, "text-anchor": anchor }), { textContent: content });
}

function roundMetres(metres) {
  const power = 10 ** Math.floor(Math.log10(metres));
  return ([5, 2, 1].find((digit) => digit * power <= metres) ?? 1) * power;
}

function svgElement(name, attributes) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}
