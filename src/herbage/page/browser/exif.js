// Capture time and position from a photo's EXIF data, and why they were not used: the same as herbage.photos.exif.

import "./runtime/exif-reader.js";

const FIRST_DIGITAL_YEAR = 1990; // earlier times come from a clock that lost its power: it restarts in 1970 or 1980
const CLOCK_ERROR_MS = 24 * 60 * 60 * 1000; // clocks are wrong, and the time zone is not recorded
const DAMAGED = "its EXIF data is damaged and was not used";
const LATITUDES = { N: 1, NORTH: 1, S: -1, SOUTH: -1 };
const LONGITUDES = { E: 1, EAST: 1, W: -1, WEST: -1 };

const [DATE_TIME, EXIF_DIRECTORY, GPS_DIRECTORY, ORIGINAL, DIGITIZED] = [0x132, 0x8769, 0x8825, 0x9003, 0x9004];
const [LATITUDE_REF, LATITUDE, LONGITUDE_REF, LONGITUDE] = [1, 2, 3, 4];
const USED = [ORIGINAL, DIGITIZED, LATITUDE, LONGITUDE];

const HEADERS = ["II*\0", "MM\0*", "II\0*", "MM*\0"]; // the last two are invalid, but Pillow reads them
const [BYTE, ASCII, LONG, UNDEFINED, IFD] = [1, 2, 4, 7, 13];
const TYPE_BYTES = { 1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4 };
const READERS = {
  3: (view, at, little) => view.getUint16(at, little),
  4: (view, at, little) => view.getUint32(at, little),
  5: (view, at, little) => view.getUint32(at, little) / view.getUint32(at + 4, little),
  9: (view, at, little) => view.getInt32(at, little),
  10: (view, at, little) => view.getInt32(at, little) / view.getInt32(at + 4, little),
};

/** Local time as "2025-09-04T10:00:00", and degrees (WGS 84); null if unknown. Remarks say what was not used. */
export function readExif(content) {
  const facts = { takenAt: null, latitude: null, longitude: null, remarks: [] };
  const view = findBlock(content);
  if (!view.byteLength) return facts;
  if (view.byteLength < 8 || !HEADERS.includes(characters(view, 0, 4))) return { ...facts, remarks: [DAMAGED] };
  const block = { view, little: characters(view, 0, 1) === "I" };
  const main = readDirectory(block, view.getUint32(4, block.little));
  const [takenAt, remark] = captureTime(block, main, readPointed(block, main.get(EXIF_DIRECTORY)));
  facts.takenAt = takenAt;
  if (remark) facts.remarks.push(remark);
  try {
    [facts.latitude, facts.longitude] = position(block, readPointed(block, main.get(GPS_DIRECTORY)));
  } catch (error) {
    if (!(error instanceof Unusable)) throw error;
    facts.remarks.push(`its position was not used: ${error.message}`);
  }
  if ((takenAt === null || facts.latitude === null) && isCut(block)) {
    const lost = takenAt === null ? "its capture time" : "its position";
    const all = takenAt === null && facts.latitude === null;
    facts.remarks.push(all ? DAMAGED : `its EXIF data is damaged, and ${lost} could not be read`);
  }
  return facts;
}

/**
 * The EXIF block of a photo from its TIFF header on; empty where there is none. exifreader finds it. Its tags are not
 * used: it reads them beyond the end of a block that is cut off, and drops the types of values.
 */
function findBlock(content) {
  let found = {};
  try {
    found = self.ExifReader.load(content, { expanded: true, includeOffsets: true, includeTags: { file: ["FileType"] } });
  } catch {
    // not an image: decoding it reports that
  }
  const view = new DataView(content);
  const inside = {
    jpeg: ({ start, end }) => [start + 10, end],
    png: ({ start, end }) => [start + 8, end - 4],
    webp: ({ start }) => [start + 8, start + 8 + view.getUint32(start + 4, true)],
    heic: ({ start, end }) => [start + 4, end],
  }[found.file?.FileType?.value];
  const segments = inside ? (found.metadataRange?.blocks ?? []).filter(({ type }) => type === "exif") : [];
  const bytes = segments.flatMap((segment) => [...new Uint8Array(content.slice(...inside(segment)))]);
  const block = new DataView(Uint8Array.from(bytes).buffer);
  return characters(block, 0, 6) === "Exif\0\0" ? new DataView(block.buffer.slice(6)) : block;
}

/** The entries of the directory at `start` that are in the block. */
function* entries(block, start) {
  const { view, little } = block;
  const end = Math.min(directoryEnd(block, start), view.byteLength);
  for (let at = start + 2; at + 12 <= end; at += 12) {
    const type = view.getUint16(at + 2, little);
    const size = (TYPE_BYTES[type] ?? 0) * view.getUint32(at + 4, little);
    const offset = view.getUint32(at + 8, little);
    yield { tag: view.getUint16(at, little), type, size, offset, at: size > 4 ? offset : at + 8 };
  }
}

function directoryEnd({ view, little }, start) {
  return start + 2 + (start + 2 <= view.byteLength ? 12 * view.getUint16(start, little) : 0);
}

/** Entries by tag. As in Pillow, the first of a tag counts, and a value beyond the end of the block is the last. */
function readDirectory(block, start) {
  const { byteLength } = block.view;
  const found = new Map();
  let total = 0;
  for (const entry of entries(block, start)) {
    if (!entry.size || found.has(entry.tag)) continue;
    if (entry.size > 4 && (total += entry.size) > byteLength) continue;
    if (entry.at + entry.size > byteLength) break;
    found.set(entry.tag, entry);
  }
  return found;
}

function readPointed(block, entry) {
  return [LONG, IFD].includes(entry?.type) && entry.size === 4 ? readDirectory(block, entry.offset) : new Map();
}

/** Whether a directory, or the value of a tag in USED, is beyond the end of the block. */
function isCut(block) {
  const { view, little } = block;
  const first = view.getUint32(4, little);
  const pointers = [...entries(block, first)].filter(({ tag }) => tag === EXIF_DIRECTORY || tag === GPS_DIRECTORY);
  const isBeyond = ({ tag, size, at }) => USED.includes(tag) && size > 4 && at + size > view.byteLength;
  return [first, ...pointers.map(({ offset }) => offset).filter((offset) => offset)].some(
    (start) => directoryEnd(block, start) > view.byteLength || [...entries(block, start)].some(isBeyond),
  );
}

/** DateTimeOriginal, or else DateTimeDigitized, with a remark. DateTime is the date of the last change of the file. */
function captureTime(block, main, inner) {
  const refused = [];
  for (const tag of [ORIGINAL, DIGITIZED]) {
    const recorded = text(block, inner.get(tag));
    if (!hasDate(recorded)) continue;
    const taken = parseTime(recorded);
    if (taken === null) refused.push(`“${recorded}” is not a date`);
    else if (isFuture(taken)) refused.push(`${recorded} is in the future`);
    else if (taken < `${FIRST_DIGITAL_YEAR}`) refused.push(`${recorded} is before the time of digital cameras`);
    else if (recorded.length === 10) return [taken, "its capture time is a day without a time"];
    else return [taken, recorded.endsWith("Z") ? "its capture time is in UTC, not in local time" : null];
  }
  const changed = text(block, main.get(DATE_TIME));
  if (hasDate(changed)) refused.push(`${changed} is only the date of the last change of the file`);
  return [null, refused.length ? `it has no capture time: ${refused.join(", and ")}` : null];
}

const CLOCK = /^(\d\d)(?:(:?)(\d\d)(?:\2(\d\d))?)?(?:[.,]\d+)?$/;
const OFFSET = /(?:Z|[+-](?:[01]\d|2[0-3])(?:(:?)[0-5]\d(?:\1[0-5]\d)?)?(?:[.,]\d+)?)$/;

/** Read EXIF's "2025:09:04 10:00:00", or ISO 8601 with or without a fraction of a second and an offset; else null. */
function parseTime(recorded) {
  const day = recorded.slice(0, 10).replaceAll(":", "-");
  const time = recorded.slice(10).replaceAll(" ", "").replace(/^T/, "");
  const clock = CLOCK.exec(time.replace(OFFSET, "") || (time ? "" : "00"));
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
function position(block, gps) {
  if (!gps.has(LATITUDE) && !gps.has(LONGITUDE)) return [null, null];
  const latitude = degreesOf("latitude", block, gps.get(LATITUDE), gps.get(LATITUDE_REF), LATITUDES, 90);
  const longitude = degreesOf("longitude", block, gps.get(LONGITUDE), gps.get(LONGITUDE_REF), LONGITUDES, 180);
  if (latitude === 0 && longitude === 0) throw new Unusable("it is 0, 0, as written without a fix");
  return [latitude, longitude];
}

/** The signed angle `name`; its hemisphere is given by a negative number or by the reference. */
function degreesOf(name, block, recorded, reference, signs, limit) {
  const [size, isNegative] = angle(name, recorded ? numbers(block, recorded) : []);
  if (size > limit) throw new Unusable(`the ${name} is over ${limit} degrees`);
  const hemisphere = text(block, reference);
  const sign = signs[hemisphere.toUpperCase()];
  if (hemisphere && !sign) throw new Unusable(`the hemisphere of the ${name} is recorded as “${hemisphere}”`);
  if (isNegative) return -size; // a program that ignores the reference wrote it: beside N, or S, or nothing, the place is south
  if (!hemisphere && size) throw new Unusable("the hemisphere is not recorded");
  return (sign ?? 1) * size;
}

/** Degrees from one to three numbers (degrees, minutes, seconds; the last may have a fraction), and their sign. */
function angle(name, recorded) {
  const known = recorded.filter((part) => !Number.isNaN(part));
  if (!known.length) throw new Unusable(`the ${name} is not recorded`);
  const isShort = Number.isNaN(recorded.at(-1)); // unknown seconds are 0, and unknown minutes beside a fraction
  if (isShort && known.length === 1 && Number.isInteger(known[0])) throw new Unusable(`the minutes of the ${name} are not recorded`);
  const parts = isShort ? known : recorded;
  const [degrees, minutes = 0, seconds = 0] = parts;
  if (parts.length > 3 || ![degrees, minutes, seconds].every(Number.isFinite)) throw new Unusable(`the ${name} is not readable`);
  const [d, m, s] = [degrees, minutes, seconds].map(sixDigits);
  // 60 itself is rounded up, and carries
  if (Math.abs(minutes) > 60 || Math.abs(seconds) > 60) throw new Unusable(`the ${name} has ${m} minutes and ${s} seconds`);
  if ((degrees % 1 && (minutes || seconds)) || (minutes % 1 && seconds)) {
    throw new Unusable(`the ${name} is recorded as ${d} degrees, ${m} minutes, ${s} seconds`);
  }
  if (Math.min(minutes, seconds) < 0 && degrees > 0) {
    throw new Unusable(`the ${name} has positive degrees and negative minutes or seconds`);
  }
  return [Math.abs(degrees) + Math.abs(minutes) / 60 + Math.abs(seconds) / 3600, Math.min(degrees, minutes, seconds) < 0];
}

/** As Python's format "g": six digits, a tie to the even digit, and an exponent for large and small numbers. */
function sixDigits(value) {
  const [digits, exponent] = value.toExponential(100).split("e"); // 100 digits are exact, so that a tie is seen
  const rounded = Number(/^-?\d\.\d{4}[02468]50*$/.test(digits) ? `${digits.slice(0, -95)}e${exponent}` : value.toPrecision(6));
  if (rounded === 0 || (Math.abs(rounded) >= 1e-4 && Math.abs(rounded) < 1e6)) return `${rounded}`;
  return rounded.toExponential().replace(/(?<=e[+-])(?=\d$)/, "0");
}

/** The numbers of a value. 0/0, which stands for an unknown number, is NaN; what is not readable is infinite. */
function numbers({ view, little }, { type, size, at }) {
  const [read, bytes] = [READERS[type], TYPE_BYTES[type]];
  if (!read) return [Infinity];
  return Array.from({ length: size / bytes }, (_, index) => read(view, at + index * bytes, little));
}

/** The text of an EXIF value, which may be bytes and padded. */
function text({ view }, entry) {
  if (![BYTE, ASCII, UNDEFINED].includes(entry?.type)) return "";
  const raw = characters(view, entry.at, entry.size);
  const decoded = entry.type === ASCII ? raw : raw.replace(/[\x80-\xff]/g, "\ufffd");
  return decoded.replace(/(?! )[\p{C}\p{Z}]/gu, "").trim();
}

/** Bytes as characters of Latin-1. */
function characters(view, at, length) {
  const bytes = new Uint8Array(view.buffer).slice(at, at + length);
  return Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
}
