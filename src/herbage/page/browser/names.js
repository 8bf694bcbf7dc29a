// Names of paddocks that look the same, as in herbage/results/paddock_assignment.py.

import { byCodePoint, remark, SPACE, trim } from "./formatting.js";
import { groupBy } from "./groups.js";

const SEPARATORS = new RegExp(`[${SPACE}_-]+`, "g");
const WHOLE_NUMBER = /^\d{1,9}(\.0+)?$/;
const DATE = /^\d{4}-\d\d-\d\d( 00:00:00)?$/;

/** Remarks about paddocks whose names look the same, or like dates into which a spreadsheet turns codes. */
export function similarNames(names) {
  const spellings = [...groupBy(names, plain).values()].filter((of) => of.length > 1);
  const alike = spellings.map((of) => [...of].sort(byCodePoint).join(" / "));
  const dates = names.filter((name) => DATE.test(name));
  const remarks = [];
  if (alike.length) {
    remarks.push(remark("similar_paddocks", alike, "Paddocks with nearly equal names are different paddocks"));
  }
  if (dates.length && dates.length < names.length) {
    const message = "Some paddocks have dates as names; spreadsheets turn codes such as 3-1 into dates";
    remarks.push(remark("paddocks_like_dates", dates, message));
  }
  return remarks;
}

/** A name without its case, spaces, hyphens, underscores and forms of letters; a whole number without zeros. */
function plain(name) {
  const words = trim(foldCase(name.normalize("NFKC"))).replace(SEPARATORS, " ");
  return WHOLE_NUMBER.test(words) ? String(Number(words)) : words;
}

/**
 * Text without case. Upper case joins letters that lower case alone leaves different, such as the German ß and SS; the
 * Turkish ı has the same upper case as i, and is another letter.
 */
function foldCase(text) {
  const folded = text.replace(/[^ı]+/g, (letters) => letters.toLowerCase().toUpperCase().toLowerCase());
  return folded.replaceAll("ς", "σ"); // the sigma at the end of a word
}
