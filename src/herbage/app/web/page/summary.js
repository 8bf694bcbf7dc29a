// What stands in all photos together: a row a paddock, and where the photos were taken.

import { kgPerHa, postJson } from "./api.js";
import { tableRow } from "./card.js";
import { number, percent, text } from "./text.js";

const SVG = "http://www.w3.org/2000/svg";
const [WIDTH, HEIGHT, MARGIN] = [600, 280, 40];
const LEGEND = 190;
const METRES_A_DEGREE = 111_320;
const LEAST_DEGREES = 20 / METRES_A_DEGREE;

/** Fill the table: all photos of all days first, then the last day of each paddock that was named. */
export async function showPaddocks(place, predictions, paddocks, level) {
  const undated = predictions.map((row) => ({ ...row, taken_at: null }));
  const all = await rowsOf(undated, predictions.map(() => text("all_photos")));
  const named = paddocks.some((one) => one !== null) ? await rowsOf(predictions, paddocks) : [];
  const table = document.createElement("table");
  table.append(
    tableRow("th", [text("paddock"), text("kg_per_ha"), text("range"), text("photos"), text("GDM_g"), text("green_share"), text("legume_share"), text("day")]),
    ...[...all, ...named].map((row) =>
      tableRow("td", [
        row.paddock, figure(row.kg_per_ha), interval(row),
        number(row.photos), figure(row.GDM_kg_per_ha), share(row.green_share), share(row.legume_share), row.taken_on ?? "",
      ]),
    ),
  );
  place.replaceChildren(table);
  document.getElementById("summary-note").textContent = text("summary_note", { level: percent(level) });
}

async function rowsOf(predictions, paddocks) {
  return (await (await postJson("api/paddocks", { predictions, paddocks })).json()).paddocks;
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

/** Points by longitude and latitude, coloured by kg DM/ha; returns how many there are. */
export function showPoints(place, predictions, main, colours) {
  const placed = predictions.filter((row) => row.status === "ok" && row.latitude !== null && row.longitude !== null && row[main] !== null);
  place.replaceChildren();
  if (!placed.length) return 0;
  const weights = placed.map((row) => kgPerHa(row[main], row));
  const [lightest, heaviest] = [Math.min(...weights), Math.max(...weights)];
  const narrow = Math.cos((placed[0].latitude * Math.PI) / 180); // a degree of longitude, by one of latitude
  const xs = placed.map((row) => row.longitude * narrow);
  const ys = placed.map((row) => -row.latitude);
  const [left, up] = [Math.min(...xs), Math.min(...ys)];
  const pixels = Math.min(
    (WIDTH - LEGEND - 2 * MARGIN) / Math.max(Math.max(...xs) - left, LEAST_DEGREES),
    (HEIGHT - 2 * MARGIN) / Math.max(Math.max(...ys) - up, LEAST_DEGREES),
  ); // a degree
  const svg = make("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": text("where") });
  placed.forEach((row, index) => {
    const part = heaviest > lightest ? (weights[index] - lightest) / (heaviest - lightest) : 0.5;
    const dot = make("circle", {
      cx: MARGIN + (xs[index] - left) * pixels, cy: MARGIN + (ys[index] - up) * pixels,
      r: 7, fill: colours[Math.round(part * (colours.length - 1))],
    });
    const weight = text("kg_per_ha_value", { value: number(weights[index]) });
    dot.append(Object.assign(make("title", {}), { textContent: text("point", { photo: row.photo, weight }) }));
    svg.append(dot);
  });
  const metres = roundMetres((150 / pixels) * METRES_A_DEGREE);
  const bar = (metres / METRES_A_DEGREE) * pixels;
  svg.append(make("line", { x1: WIDTH - MARGIN - bar, x2: WIDTH - MARGIN, y1: HEIGHT - 30, y2: HEIGHT - 30 }));
  svg.append(words(WIDTH - MARGIN, HEIGHT - 12, text("scale_m", { metres: number(metres) }), "end"));
  const gradient = make("linearGradient", { id: "weights" });
  colours.forEach((colour, index) => gradient.append(make("stop", { offset: index / (colours.length - 1), "stop-color": colour })));
  svg.append(gradient, make("rect", { x: WIDTH - MARGIN - 150, y: MARGIN, width: 150, height: 12, fill: "url(#weights)" }));
  svg.append(words(WIDTH - MARGIN - 150, MARGIN + 28, number(lightest), "start"));
  svg.append(words(WIDTH - MARGIN, MARGIN + 28, text("kg_per_ha_value", { value: number(heaviest) }), "end"));
  place.append(svg);
  return placed.length;
}

function words(x, y, content, anchor) {
  return Object.assign(make("text", { x, y, "text-anchor": anchor }), { textContent: content });
}

function roundMetres(metres) {
  const power = 10 ** Math.floor(Math.log10(metres));
  return ([5, 2, 1].find((one) => one * power <= metres) ?? 1) * power;
}

function make(name, attributes) {
  const one = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) one.setAttribute(key, value);
  return one;
}
