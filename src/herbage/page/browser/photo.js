// A photo's file as the estimator needs it: its identity, its EXIF data, and upright pixels in sRGB.

import { COLUMNS } from "./columns.js";
import { RequestError } from "./estimates.js";
import { readExif } from "./exif.js";
import { areaPx, rectify, sidesPx } from "./quadrat.js";

export const PIXEL_LIMIT = 50_000_000;
const ASPECT_LIMIT = 50;
const CORNER_REACH = 0.02; // how far a corner may be outside the photo, as a fraction of its width and height
const SMALL_QUADRAT = 0.05;
const BAND_ROWS = 64;
const BLANK_BYTES = 512; // a sector of a disk
const CONVERTED = "converted to sRGB"; // how the identity of pixels records a conversion of colours

/**
 * Open a photo: `key` identifies the file with its corners, `pixelKeys` are the possible identities of its pixels,
 * `aspect` is the width divided by the height, of the quadrat if there are corners, and `remarks` are what its row should
 * say. `pixels()` returns { width, height, rgb }. Throws RequestError where the photo cannot be used.
 */
export async function openPhoto(file, corners) {
  const content = await file.arrayBuffer().catch(() => refuse(file, "unreadable", "could not be read: choose it again"));
  if (!content.byteLength) refuse(file, "unreadable", "is empty: expected an image, got 0 bytes");
  const { takenAt, latitude, longitude, orientation, remarks } = readExif(content);
  checkContent(file, new Uint8Array(content), orientation);
  const bitmap = await createImageBitmap(file, { premultiplyAlpha: "none" }).catch(() => refuseFormat(file, content));
  const { width, height } = bitmap;
  checkSize(file, width, height);
  let aspect = width / height;
  if (corners) {
    aspect = checkCorners(file, corners, width, height);
    remarks.push(...aboutQuadrat(file, corners, width, height));
  }
  const digest = await sha256(content);
  const identities = [digest, await sha256(`${digest} ${CONVERTED}`)];
  const withCorners = corners ? await Promise.all(identities.map((of) => sha256(`${of} ${asPython(corners)}`))) : identities;
  return {
    key: withCorners[0], pixelKeys: withCorners, aspect, takenAt, latitude, longitude, remarks,
    pixels: () => {
      const upright = read(bitmap);
      return corners ? rectify(upright, corners) : upright;
    },
  };
}

/** Throw the error of a photo that cannot be used, with its row of predictions.csv. */
export function refuse(file, status, reason) {
  const message = `${file.name} ${reason}`;
  const flags = { training_photo: false, shape_differs: false, measured: false };
  const row = { ...Object.fromEntries(COLUMNS.map((column) => [column, null])), photo: file.name, status, message, ...flags };
  throw new RequestError(status === "skipped" ? 413 : 422, { detail: message, predictions: [row] });
}

/** Whether the browser returns the pixels that were drawn; some change them, so that sites cannot recognise a person. */
export async function readsTruePixels() {
  const side = 64;
  const drawn = new ImageData(side, side);
  for (let i = 0; i < drawn.data.length; i++) drawn.data[i] = i % 4 === 3 ? 255 : (i * 7919) % 251;
  const { rgb } = read(await createImageBitmap(drawn));
  return rgb.every((value, i) => value === drawn.data[Math.floor(i / 3) * 4 + (i % 3)]);
}

let buffer = new ArrayBuffer(0); // of all photos in turn: garbage of their size would be collected too late

/** The pixels of a bitmap on white, as { width, height, rgb } until the next call; the bitmap is closed. */
function read(bitmap) {
  const { width, height } = bitmap;
  const size = width * height * 3;
  if (buffer.byteLength < size) buffer = new ArrayBuffer(size);
  const rgb = new Uint8Array(buffer, 0, size);
  // Bands: phones limit the size of a canvas, and it would take memory for the whole photo twice.
  const canvas = new OffscreenCanvas(width, Math.min(height, BAND_ROWS));
  const context = canvas.getContext("2d", { willReadFrequently: true, colorSpace: "srgb" });
  for (let top = 0; top < height; top += BAND_ROWS) {
    const rows = Math.min(BAND_ROWS, height - top);
    context.fillStyle = "#fff";
    context.fillRect(0, 0, width, rows);
    context.drawImage(bitmap, 0, -top);
    const { data } = context.getImageData(0, 0, width, rows);
    for (let from = 0, to = top * width * 3; from < data.length; from += 4) {
      rgb[to++] = data[from];
      rgb[to++] = data[from + 1];
      rgb[to++] = data[from + 2];
    }
  }
  bitmap.close();
  return { width, height, rgb };
}

/** Refuse what browsers decode without a word: a JPEG with blocks that were never written, and a turned WebP. */
function checkContent(file, bytes, orientation) {
  if (isJpeg(bytes) && hasBlankScan(bytes)) {
    refuse(file, "unreadable", "could not be decoded: its image data are damaged (a block of zeros): copy the photo again");
  }
  if (isWebp(bytes) && orientation !== 1) {
    refuse(file, "unreadable", "is a WebP with an EXIF orientation, which browsers ignore: save it as JPEG");
  }
}

function isJpeg(bytes) {
  return bytes[0] === 0xff && bytes[1] === 0xd8;
}

function isWebp(bytes) {
  return text(bytes, 0, 4) === "RIFF" && text(bytes, 8, 12) === "WEBP";
}

/** Whether the first image of a JPEG has a run of zeros as long as a sector in its image data (ITU-T T.81, annex B). */
function hasBlankScan(bytes) {
  let at = 2;
  while (at + 4 < bytes.length && bytes[at] === 0xff && bytes[at + 1] !== 0xda) at += 2 + bytes[at + 2] * 256 + bytes[at + 3];
  let zeros = 0;
  for (; at < bytes.length; at++) {
    zeros = bytes[at] ? 0 : zeros + 1;
    if (zeros >= BLANK_BYTES) return true;
    if (bytes[at] === 0xff && bytes[at + 1] === 0xd9) return false; // the end of the image
  }
  return false;
}

/** Refuse a file that the browser cannot decode, with the name of its format where that is the reason. */
function refuseFormat(file, content) {
  const bytes = new Uint8Array(content);
  const format = FORMATS.find(([, isOf]) => isOf(bytes))?.[0];
  if (format) refuse(file, "unreadable", `is ${format}, which this browser cannot decode: save it as JPEG`);
  refuse(file, "unreadable", "is not a readable image: it is damaged, or no photo: copy the photo again");
}

const FORMATS = [
  ["a TIFF", (bytes) => ["II*\0", "MM\0*"].includes(text(bytes, 0, 4))],
  ["HEIC", (bytes) => text(bytes, 4, 8) === "ftyp" && /^(hei|hev|mif|msf)/.test(text(bytes, 8, 12))],
  ["a PDF", (bytes) => text(bytes, 0, 4) === "%PDF"],
];

function text(bytes, from, to) {
  return String.fromCharCode(...bytes.subarray(from, to));
}

function checkSize(file, width, height) {
  const size = `has ${grouped(width)} x ${grouped(height)} pixels`.replaceAll(",", "");
  if (width * height > PIXEL_LIMIT) {
    refuse(file, "skipped", `${size}, over the limit of ${grouped(PIXEL_LIMIT)} in a browser; save a smaller version`);
  }
  if (Math.max(width, height) > ASPECT_LIMIT * Math.min(width, height)) {
    refuse(file, "skipped", `${size}; expected a longer side of at most ${ASPECT_LIMIT} times the shorter one`);
  }
}

/** The quadrat's width divided by its height. */
function checkCorners(file, corners, width, height) {
  const isInside = (share) => share >= -CORNER_REACH && share <= 1 + CORNER_REACH;
  if (!corners.every(([x, y]) => isInside(x / width) && isInside(y / height))) {
    refuse(file, "unreadable", `is ${width} x ${height} pixels, but corners of its quadrat are outside it`);
  }
  const [across, down] = sidesPx(corners);
  checkSize(file, Math.round(across), Math.round(down));
  return across / down;
}

function aboutQuadrat(file, corners, width, height) {
  const share = areaPx(corners) / (width * height);
  return share < SMALL_QUADRAT ? [`the quadrat between its corners covers only ${(100 * share).toFixed(1)}% of the photo`] : [];
}

function grouped(count) {
  return count.toLocaleString("en");
}

async function sha256(content) {
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Corners as Python writes a tuple of tuples of floats, which the identity of a photo with corners contains. */
export function asPython(corners) {
  const small = (x) => x.toExponential().replace(/e-(\d)$/, "e-0$1");
  const float = (x) => (Number.isInteger(x) ? x.toFixed(1) : Math.abs(x) < 1e-4 ? small(x) : String(x));
  return `(${corners.map(([x, y]) => `(${float(x)}, ${float(y)})`).join(", ")})`;
}
