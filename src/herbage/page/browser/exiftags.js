// The tags of a photo's EXIF data: directories of values, as Pillow reads them, also where the data is cut off.

import "./runtime/exif-reader.js";

export const TAGS = {
  orientation: 0x112, changed: 0x132, exifDirectory: 0x8769, gpsDirectory: 0x8825, original: 0x9003, digitized: 0x9004,
  colourSpace: 0xa001, interopDirectory: 0xa005, interopIndex: 1, latitudeRef: 1, latitude: 2, longitudeRef: 3, longitude: 4,
};
const USED = [TAGS.original, TAGS.digitized, TAGS.latitude, TAGS.longitude];
const POINTERS = [TAGS.exifDirectory, TAGS.gpsDirectory];
const HEADERS = ["II*\0", "MM\0*", "II\0*", "MM*\0"]; // the last two are invalid, but Pillow reads them
const TYPES = {
  1: [1], 2: [1], 3: [2, "getUint16"], 4: [4, "getUint32"], 5: [8, "getUint32"], 6: [1, "getInt8"], 7: [1],
  8: [2, "getInt16"], 9: [4, "getInt32"], 10: [8, "getInt32"], 11: [4, "getFloat32"], 12: [8, "getFloat64"],
  13: [4, "getUint32"],
}; // of TIFF 6.0: bytes per value, and how numbers are read
const [ASCII, BYTES, RATIONALS, INTEGERS] = [2, [1, 7], [5, 10], [3, 4, 6, 8, 9, 13]];

/**
 * The directories `main`, `inner` (of the exposure), `gps` and `interop`, which map tags to values. A value is a text, or a list of
 * numbers in which NaN is 0/0, which stands for an unknown number. The data `isCut` if its header is not readable, or if
 * a directory or the value of a tag in USED is beyond its end.
 */
export function readTags(content) {
  const view = findBlock(content);
  if (view.byteLength < 8 || !HEADERS.includes(characters(view, 0, 4))) {
    return { main: new Map(), inner: new Map(), gps: new Map(), interop: new Map(), isCut: view.byteLength > 0 };
  }
  const block = { view, little: characters(view, 0, 1) === "I" };
  const entries = readDirectory(block, view.getUint32(4, block.little));
  const pointed = POINTERS.map((tag) => readPointed(block, entries.get(tag)));
  const ofColours = readPointed(block, pointed[0].get(TAGS.interopDirectory));
  const [main, inner, gps, interop] = [entries, ...pointed, ofColours].map(
    (directory) => new Map([...directory].map(([tag, entry]) => [tag, readValue(block, entry)])),
  );
  return { main, inner, gps, interop, isCut: isCut(block) };
}

/**
 * The EXIF block of a photo, from its TIFF header on; empty where there is none. exifreader finds it, but its tags are
 * not used: it reads values beyond the end of a block, and does not give their types.
 */
function findBlock(content) {
  const options = { expanded: true, includeOffsets: true, includeTags: { file: ["FileType"] } };
  let found = {};
  try {
    found = self.ExifReader.load(content, options);
  } catch {
    // not an image, which is reported when it is decoded
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
    const size = (TYPES[type]?.[0] ?? 0) * view.getUint32(at + 4, little);
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
  const start = INTEGERS.includes(entry?.type) ? readValue(block, entry)[0] : -1;
  return start >= 0 ? readDirectory(block, start) : new Map();
}

/** Whether a directory, or the value of a tag in USED, is beyond the end of the block. */
function isCut(block) {
  const { view, little } = block;
  const first = view.getUint32(4, little);
  const pointers = [...entries(block, first)].filter(({ tag }) => POINTERS.includes(tag));
  const isBeyond = ({ tag, size, at }) => USED.includes(tag) && size > 4 && at + size > view.byteLength;
  return [first, ...pointers.map(({ offset }) => offset).filter((offset) => offset)].some(
    (start) => directoryEnd(block, start) > view.byteLength || [...entries(block, start)].some(isBeyond),
  );
}

function readValue({ view, little }, { type, size, at }) {
  if (type === ASCII) return characters(view, at, size);
  if (BYTES.includes(type)) return characters(view, at, size).replace(/[\x80-\xff]/g, "\ufffd");
  const [bytes, read] = TYPES[type];
  const number = (place) => view[read](place, little);
  const places = Array.from({ length: size / bytes }, (_, index) => at + index * bytes);
  if (RATIONALS.includes(type)) return places.map((place) => number(place) / number(place + 4));
  return places.map(number).map((value) => (Number.isNaN(value) ? Infinity : value)); // not readable, but not 0/0
}

/** Bytes as characters of Latin-1. */
function characters(view, at, length) {
  const bytes = new Uint8Array(view.buffer).slice(at, at + length);
  return Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
}
