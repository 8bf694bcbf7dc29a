// Capture time and position from a photo's EXIF data, and why they were not used: the same as herbage.photos.exif.

import { readTags, TAGS } from "./exiftags.js";

const FIRST_DIGITAL_YEAR = "1990"; // earlier times come from a clock that lost its power: it restarts in 1970 or 1980
const CLOCK_ERROR_MS = 24 * 60 * 60 * 1000; // clocks are wrong, and the time zone is not recorded
const LATITUDES = { N: 1, NORTH: 1, S: -1, SOUTH: -1 };
const LONGITUDES = { E: 1, EAST: 1, W: -1, WEST: -1 };
const DAMAGED = "its EXIF data is damaged and was not used";

/**
 * `takenAt`, the local time as "2025-09-04T10:00:00", and degrees (WGS 84); null if unknown. `orientation` is 1 to 8,
 * `colours` are "Adobe RGB", "unknown" or null for sRGB, and `remarks` say what was not used.
 */
export function readExif(content) {
  const { main, inner, gps, interop, isCut } = readTags(content);
  const [takenAt, remark] = captureTime(main, inner);
  const remarks = remark ? [remark] : [];
  let [latitude, longitude] = [null, null];
  try {
    [latitude, longitude] = position(gps);
  } catch (error) {
    if (!(error instanceof Unusable)) throw error;
    remarks.push(`its position was not used: ${error.message}`);
  }
  if (isCut && takenAt === null && latitude === null) remarks.push(DAMAGED);
  else if (isCut && takenAt === null) remarks.push("its EXIF data is damaged, and its capture time could not be read");
  else if (isCut && latitude === null) remarks.push("its EXIF data is damaged, and its position could not be read");
  const [turn] = [main.get(TAGS.orientation)].flat();
  const orientation = turn >= 1 && turn <= 8 ? turn : 1;
  return { takenAt, latitude, longitude, orientation, colours: coloursOf(inner, interop), remarks };
}

/** Cameras that are set to Adobe RGB state it like this (DCF 2.0), mostly without a colour profile. */
function coloursOf(inner, interop) {
  const [space] = [inner.get(TAGS.colourSpace)].flat();
  const isAdobe = space === 2 || (space === 0xffff && text(interop.get(TAGS.interopIndex)).startsWith("R03"));
  return isAdobe ? "Adobe RGB" : space === 0xffff ? "unknown" : null;
}

/** DateTimeOriginal, or else DateTimeDigitized, with a remark. DateTime is the date of the last change of the file. */
function captureTime(main, inner) {
  const refused = [];
  for (const tag of [TAGS.original, TAGS.digitized]) {
    const recorded = text(inner.get(tag));
    if (!hasDate(recorded)) continue;
    const taken = parseTime(recorded);
    if (taken === null) refused.push(`“${recorded}” is not a date`);
    else if (isFuture(taken)) refused.push(`${recorded} is in the future`);
    else if (taken < FIRST_DIGITAL_YEAR) refused.push(`${recorded} is before the time of digital cameras`);
    else if (recorded.length === 10) return [taken, "its capture time is a day without a time"];
    else return [taken, recorded.endsWith("Z") ? "its capture time is in UTC, not in local time" : null];
  }
  const changed = text(main.get(TAGS.changed));
  if (hasDate(changed)) refused.push(`${changed} is only the date of the last change of the file`);
  return [null, refused.length ? `it has no capture time: ${refused.join(", and ")}` : null];
}

const CLOCK = /^(\d\d)(?:(:?)(\d\d)(?:\2(\d\d))?)?(?:[.,]\d+)?$/;
const OFFSET = /(?:Z|[+-](?:[01]\d|2[0-3])(?:(:?)[0-5]\d(?:\1[0-5]\d)?)?(?:[.,]\d+)?)$/;

/** Read EXIF's "2025:09:04 10:00:00", or ISO 8601 with or without a fraction of a second and an offset; else null. */
function parseTime(recorded) {
  const day = recorded.slice(0, 10).replaceAll(":", "-");
  const time = recorded.slice(10).replaceAll(" ", "").replace(/^T/, "");
  const clock = CLOCK.exec(time === "" ? "00" : time.replace(OFFSET, ""));
  if (!clock || day.startsWith("0000")) return null;
  const taken = `${day}T${clock[1]}:${clock[3] ?? "00"}:${clock[4] ?? "00"}`;
  const parsed = new Date(`${taken}Z`); // reads 30 February as 2 March
  return !Number.isNaN(parsed.getTime()) && parsed.toISOString() === `${taken}.000Z` ? taken : null;
}

function isFuture(taken) {
  const now = new Date();
  return Date.parse(`${taken}Z`) > now.getTime() - now.getTimezoneOffset() * 60_000 + CLOCK_ERROR_MS;
}

/** Whether a date is recorded: unknown ones are zeros or blanks, with or without colons. */
function hasDate(recorded) {
  return /[^0:\-/ T]/.test(recorded);
}

/** Why a recorded position is not used. */
class Unusable extends Error {}

/** Latitude and longitude in degrees, null where none are recorded; throws Unusable. */
function position(gps) {
  if (!gps.has(TAGS.latitude) && !gps.has(TAGS.longitude)) return [null, null];
  const latitude = degreesOf("latitude", gps.get(TAGS.latitude), gps.get(TAGS.latitudeRef), LATITUDES, 90);
  const longitude = degreesOf("longitude", gps.get(TAGS.longitude), gps.get(TAGS.longitudeRef), LONGITUDES, 180);
  if (latitude === 0 && longitude === 0) throw new Unusable("it is 0, 0, as written without a fix");
  return [latitude, longitude];
}

/** The signed angle `name`; its hemisphere is given by a negative number or by the reference. */
function degreesOf(name, recorded, reference, signs, limit) {
  const [size, isNegative] = angle(name, typeof recorded === "string" ? [Infinity] : (recorded ?? []));
  if (size > limit) throw new Unusable(`the ${name} is over ${limit} degrees`);
  const hemisphere = text(reference);
  const sign = signs[hemisphere.toUpperCase()];
  if (hemisphere && !sign) throw new Unusable(`the hemisphere of the ${name} is recorded as “${hemisphere}”`);
  if (isNegative) return -size; // written by a program that ignores the reference, so it is south whatever that says
  if (!hemisphere && size) throw new Unusable("the hemisphere is not recorded");
  return (sign ?? 1) * size;
}

/** Degrees from one to three numbers (degrees, minutes, seconds; the last may have a fraction), and their sign. */
function angle(name, recorded) {
  const known = recorded.filter((part) => !Number.isNaN(part));
  if (!known.length) throw new Unusable(`the ${name} is not recorded`);
  const isShort = Number.isNaN(recorded.at(-1)); // unknown seconds are 0, and unknown minutes are 0 beside a fraction
  if (isShort && known.length === 1 && Number.isInteger(known[0])) {
    throw new Unusable(`the minutes of the ${name} are not recorded`);
  }
  const parts = isShort ? known : recorded;
  if (parts.length > 3 || !parts.every(Number.isFinite)) throw new Unusable(`the ${name} is not readable`);
  const [degrees, minutes = 0, seconds = 0] = parts;
  const [d, m, s] = [degrees, minutes, seconds].map(sixDigits);
  if (Math.abs(minutes) > 60 || Math.abs(seconds) > 60) { // 60 itself is rounded up, and carries
    throw new Unusable(`the ${name} has ${m} minutes and ${s} seconds`);
  }
  if ((degrees % 1 && (minutes || seconds)) || (minutes % 1 && seconds)) {
    throw new Unusable(`the ${name} is recorded as ${d} degrees, ${m} minutes, ${s} seconds`);
  }
  if (Math.min(minutes, seconds) < 0 && degrees > 0) {
    throw new Unusable(`the ${name} has positive degrees and negative minutes or seconds`);
  }
  const size = Math.abs(degrees) + Math.abs(minutes) / 60 + Math.abs(seconds) / 3600;
  return [size, Math.min(degrees, minutes, seconds) < 0];
}

/** As Python's format "g": six digits, a tie to the even digit, and an exponent for large and small numbers. */
function sixDigits(value) {
  const [digits, exponent] = value.toExponential(100).split("e"); // 100 digits are exact, so that a tie is seen
  const isTie = /^-?\d\.\d{4}[02468]50*$/.test(digits);
  const rounded = Number(isTie ? `${digits.slice(0, -95)}e${exponent}` : value.toPrecision(6));
  if (rounded === 0 || (Math.abs(rounded) >= 1e-4 && Math.abs(rounded) < 1e6)) return `${rounded}`;
  return rounded.toExponential().replace(/(?<=e[+-])(?=\d$)/, "0");
}

/** The text of an EXIF value, which may be padded. */
function text(value) {
  return typeof value === "string" ? value.replace(/(?! )[\p{C}\p{Z}]/gu, "").trim() : "";
}
