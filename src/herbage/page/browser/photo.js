// A photo's file as the estimator needs it: its identity, its EXIF data, and upright pixels in sRGB.

import { COLUMNS } from "./columns.js";
import { decodable, readContent } from "./content.js";
import { RequestError } from "./estimates.js";
import { readExif } from "./exif.js";
import { areaPx, rectify, sidesPx } from "./quadrat.js";

const PIXEL_LIMIT = 50_000_000;
const ASPECT_LIMIT = 50;
const CORNER_REACH = 0.02; // how far a corner may be outside the photo, as a fraction of its width and height
const SMALL_QUADRAT = 0.05;
const BAND_ROWS = 64;
const UNREADABLE = "is not a readable image: it is damaged, or this browser does not read its format: copy it again";
const CONVERTED = "converted to sRGB"; // how the identity of pixels records a conversion of colours

/**
 * Open a photo: `key` identifies the file with its corners, `pixelKeys` are the possible identities of its pixels,
 * `aspect` is the width divided by the height, of the quadrat if there are corners, and `remarks` are what its row should
 * say. `pixels()` returns { width, height, rgb }. Throws RequestError where the photo cannot be used.
 */
export async function openPhoto(file, corners) {
  const content = await file.arrayBuffer().catch(() => refuse(file, "unreadable", "could not be read: choose it again"));
  if (!content.byteLength) refuse(file, "unreadable", "is empty: expected an image, got 0 bytes");
  const exif = readExif(content);
  const bytes = new Uint8Array(content);
  const { size, remarks: ofContent, refusal } = readContent(bytes, exif);
  if (refusal) refuse(file, "unreadable", refusal);
  if (size) checkSize(file, ...size);
  const decoding = createImageBitmap(decodable(file, bytes), { premultiplyAlpha: "none" });
  const bitmap = await decoding.catch(() => refuse(file, "unreadable", UNREADABLE));
  const { width, height } = bitmap;
  checkSize(file, width, height);
  checkOrientation(file, exif.orientation, size, width);
  const { takenAt, latitude, longitude } = exif;
  const remarks = [...exif.remarks, ...ofContent];
  let aspect = width / height;
  if (corners) {
    aspect = checkCorners(file, corners, width, height);
    remarks.push(...aboutQuadrat(corners, width, height));
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
  const empty = Object.fromEntries(COLUMNS.map((column) => [column, null]));
  const row = { ...empty, photo: file.name, status, message, ...flags };
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

function checkSize(file, width, height) {
  const size = `has ${grouped(width)} x ${grouped(height)} pixels`.replaceAll(",", "");
  if (width * height > PIXEL_LIMIT) {
    refuse(file, "skipped", `${size}, over the limit of ${grouped(PIXEL_LIMIT)} in a browser; save a smaller version`);
  }
  if (Math.max(width, height) > ASPECT_LIMIT * Math.min(width, height)) {
    refuse(file, "skipped", `${size}; expected a longer side of at most ${ASPECT_LIMIT} times the shorter one`);
  }
}

/** Refuse a photo that lies on its side by EXIF, and that the browser has not turned. */
function checkOrientation(file, orientation, size, width) {
  if (orientation >= 5 && size && size[0] !== size[1] && width === size[0]) {
    refuse(file, "unreadable", "is turned by its EXIF data, which this browser does not read: turn it and save it again");
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

function aboutQuadrat(corners, width, height) {
  const share = areaPx(corners) / (width * height); // the page's corners are pixels, so they need no check for percent
  const percent = (100 * share).toFixed(1);
  return share < SMALL_QUADRAT ? [`the quadrat between its corners covers only ${percent}% of the photo`] : [];
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
