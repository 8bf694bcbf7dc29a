// The page's texts: one table of strings on the server, a language a column.

const tables = await (await fetch("strings.json")).json();
let language = "en";

/** The languages there are, as [code, own name]. */
export const languages = Object.entries(tables).map(([code, table]) => [code, table.language]);

/** The first language that the browser asks for and the table has. */
export function preferredLanguage() {
  const asked = navigator.languages.map((one) => one.split("-")[0]);
  return asked.find((one) => one in tables) ?? "en";
}

export function setLanguage(code) {
  language = code;
  document.documentElement.lang = code;
  label(document);
}

/** A text in the chosen language, with {name} replaced by values. */
export function text(key, values = {}) {
  return tables[language][key].replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

/** Put the texts into what has data-text (its content) or data-label (its accessible name). */
export function label(root) {
  for (const one of root.querySelectorAll("[data-text]")) one.textContent = text(one.dataset.text);
  for (const one of root.querySelectorAll("[data-label]")) one.setAttribute("aria-label", text(one.dataset.label));
}

export function number(value, digits = 0) {
  return new Intl.NumberFormat(language, { minimumFractionDigits: digits, maximumFractionDigits: digits }).format(value);
}

export function percent(share) {
  return new Intl.NumberFormat(language, { style: "percent" }).format(share);
}
