// The page's texts, from strings.csv on the server: one column per language.

const tables = await (await fetch("strings.json")).json();
let language = "en";

/** Available languages, as [code, native name]. */
export const languages = Object.entries(tables).map(([code, table]) => [code, table.language]);

/** The first of the browser's languages that is available, else English. */
export function preferredLanguage() {
  const codes = navigator.languages.map((tag) => tag.split("-")[0]);
  return codes.find((code) => code in tables) ?? "en";
}

export function setLanguage(code) {
  language = code;
  document.documentElement.lang = code;
  label(document);
}

/** A text in the current language, with each {name} replaced by its value. */
export function text(key, values = {}) {
  return tables[language][key].replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

/** Fill in all elements with data-text (their content) or data-label (their accessible name). */
export function label(root) {
  for (const element of root.querySelectorAll("[data-text]")) element.textContent = text(element.dataset.text);
  for (const element of root.querySelectorAll("[data-label]")) element.setAttribute("aria-label", text(element.dataset.label));
}

export function number(value, digits = 0) {
  return new Intl.NumberFormat(language, { minimumFractionDigits: digits, maximumFractionDigits: digits }).format(value);
}

/** A number as precisely as it was measured, for ranges of any size. */
export function measure(value) {
  return new Intl.NumberFormat(language, { maximumSignificantDigits: 6 }).format(value);
}

/**
 * The number that was typed, with a decimal point or comma; null for an empty text, and NaN for any other text. 1,234 is
 * NaN where the language separates thousands by commas, because it could mean 1234.
 */
export function parseNumber(typed) {
  const plain = typed.normalize("NFKC").replace("\u2212", "-").trim(); // NFKC: full-width digits of Japanese keyboards
  if (!plain) return null;
  const thousands = measure(1.5).includes(",") ? /^[+-]?[1-9]\d{0,2}\.\d{3}$/ : /^[+-]?[1-9]\d{0,2},\d{3}$/;
  if (!/^[+-]?(\d+([.,]\d*)?|[.,]\d+)$/.test(plain) || thousands.test(plain)) return NaN;
  return Number(plain.replace(",", "."));
}

export function percent(share) {
  return new Intl.NumberFormat(language, { style: "percent" }).format(share);
}
