// Texts as they are compared, sorted and listed: the counterpart of herbage/formatting.py and herbage/remarks.py.

/** White space inside [] of a regular expression, as Python has it: \s of JavaScript has other characters. */
export const SPACE = "\\t-\\r\\x1c- \\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";

const INVISIBLE = /[\u200b\ufeff\u2060\u00ad]/g; // copied from web pages and documents
const OUTER_SPACE = new RegExp(`^[${SPACE}]+|[${SPACE}]+$`, "g");
const [NAMES_SHOWN, NAMES_STORED] = [5, 100];

/** Text in Unicode's composed form, without characters of no width and without outer spaces. */
export function clean(text) {
  return trim(text.replace(INVISIBLE, "").normalize("NFC"));
}

export function trim(text) {
  return text.replace(OUTER_SPACE, "");
}

/** A count with its noun: 0 photos, 1 photo, 2 photos. */
export function counted(count, noun) {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

/** The first names as text. */
export function firstNames(names) {
  return names.slice(0, NAMES_SHOWN).join(", ") + (names.length > NAMES_SHOWN ? " and more" : "");
}

/** What a user should know about these names; the message is followed by the first of them. */
export function remark(what, names, message, count = names.length) {
  return { what, count, message: `${message}: ${firstNames(names)}.`, names: names.slice(0, NAMES_STORED) };
}

/** Compare texts by code points, as Python sorts; JavaScript itself sorts by the units of UTF-16. */
export function byCodePoint(one, other) {
  let start = 0;
  while (start < one.length && one[start] === other[start]) start += 1;
  return (one.codePointAt(start) ?? -1) - (other.codePointAt(start) ?? -1);
}
