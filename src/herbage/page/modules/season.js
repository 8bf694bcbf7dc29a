// The season of the server's farm: its newest walk, and the feed wedge.

import { tableRow } from "./card.js";
import { number, percent, text } from "./text.js";

const find = (id) => document.getElementById(id);
const KG_PER_TONNE = 1000;

/** Show the season, or why it could not be loaded; `season` is null until it is known. */
export function showSeason(season, failure) {
  const { walk, wedge = [], remarks = [] } = season ?? {};
  find("season-failure").textContent = failure ?? "";
  find("season-failure").hidden = !failure;
  find("season-empty").hidden = !season || Boolean(walk);
  find("season-facts").replaceChildren(...(walk ? facts(walk, season.level) : []));
  find("wedge").hidden = !wedge.length;
  find("wedge-table").replaceChildren(wedgeTable(wedge));
  find("season-remarks").replaceChildren(...remarks.map((remark) => element("p", remark.message, "soft")));
  find("season-link").hidden = !walk;
}

function facts(walk, level) {
  const weight = (value) => text("kg_per_ha_value", { value: number(value) });
  const tonnes = (kg) => text("tonnes_value", { value: number(kg / KG_PER_TONNE, 1) });
  const area = (hectares) => text("hectares", { value: number(hectares, 1), paddocks: number(walk.paddocks) });
  const shown = [
    [text("walk_day"), walk.day],
    [text("average_cover"), quantity(walk, "kg_per_ha", weight, (value) => number(value), level)],
    [text("feed"), quantity(walk, "feed_kg", tonnes, (kg) => number(kg / KG_PER_TONNE, 1), level)],
    [text("feed_above"), quantity(walk, "feed_above_residual_kg", tonnes, (kg) => number(kg / KG_PER_TONNE, 1), level)],
    [text("area"), walk.area_ha === null ? text("unknown") : area(walk.area_ha)],
  ];
  return shown.map(([name, value]) => {
    const fact = element("div", "");
    fact.append(element("dt", name), element("dd", value));
    return fact;
  });
}

/** A figure with its unit and interval; unknown where there is none. */
function quantity(walk, name, withUnit, format, level) {
  if (walk[name] === null) return text("unknown");
  const [low, high] = [walk[`${name}_low`], walk[`${name}_high`]];
  if (low === null) return `${withUnit(walk[name])}, ${text("interval_unknown")}`;
  const range = text("interval_value", { low: format(low), high: format(high) });
  return `${withUnit(walk[name])} (${text("interval", { level: percent(level) })} ${range})`;
}

function wedgeTable(rows) {
  const table = document.createElement("table");
  const names = [text("paddock"), text("kg_per_ha"), text("range"), text("growth"), text("days_to_target"), text("last_visit")];
  table.append(
    tableRow("th", names),
    ...rows.map((row) => {
      const line = tableRow("td", [row.paddock, number(row.kg_per_ha), range(row, "kg_per_ha_low", "kg_per_ha_high"), "", "", row.date]);
      fill(line.children[3], growth(row), row.growth_note);
      fill(line.children[4], days(row), row.days_note);
      return line;
    }),
  );
  return table;
}

/** A figure with a line under it, or the server's reason why it is empty. */
function fill(cell, figure, reason) {
  if (figure === null) {
    cell.append(Object.assign(element("small", reason ?? text("unknown")), { lang: reason ? "en" : "" }));
    return;
  }
  const [value, under] = figure;
  cell.append(value, ...(under ? [element("small", under)] : []));
}

function growth(row) {
  if (row.growth_kg_per_ha_day === null) return null;
  const interval = range(row, "growth_low", "growth_high");
  return [number(row.growth_kg_per_ha_day), text("growth_since", { range: interval, day: row.growth_since })];
}

function days(row) {
  if (row.days_to_target === null) return null;
  if (row.days_to_target === 0) return [number(0), row.days_note];
  return [number(row.days_to_target), range(row, "days_low", "days_high")];
}

function range(row, low, high) {
  if (row[low] === null) return text("unknown");
  return text("interval_value", { low: number(row[low]), high: number(row[high]) });
}

function element(name, content, className = "") {
  return Object.assign(document.createElement(name), { textContent: content, className });
}
