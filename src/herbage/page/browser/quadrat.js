// The quadrat between four corners: its shape, and its pixels with the perspective corrected.

import { projective } from "./projective.js";
import { round } from "./rounding.js";

/** Width and height of the quadrilateral: the mean lengths of opposite sides. */
export function sidesPx([upperLeft, upperRight, lowerRight, lowerLeft]) {
  const length = ([x, y], [toX, toY]) => Math.hypot(toX - x, toY - y);
  return [
    (length(upperLeft, upperRight) + length(lowerLeft, lowerRight)) / 2,
    (length(upperLeft, lowerLeft) + length(upperRight, lowerRight)) / 2,
  ];
}

/** The area of the quadrilateral, by the shoelace formula. */
export function areaPx(corners) {
  return corners.reduce((sum, [x, y], i) => {
    const [nextX, nextY] = corners[(i + 1) % corners.length];
    return sum + (x * nextY - nextX * y) / 2;
  }, 0);
}

/**
 * The pixels between the corners as a rectangle, as { width, height, rgb }; black outside the photo.
 *
 * The values are those of the bicubic filter of Pillow's `Image.transform`, as the server computes them.
 */
export function rectify(photo, corners) {
  const [width, height] = sidesPx(corners).map((side) => Math.max(1, round(side, 0)));
  const plane = projective(corners);
  const rgb = new Uint8Array(width * height * 3);
  const pixel = [0, 0, 0];
  for (let row = 0, to = 0; row < height; row++) {
    for (let column = 0; column < width; column++, to += 3) {
      const [x, y] = plane.to((column + 0.5) / width, (row + 0.5) / height);
      if (x < 0 || x >= photo.width || y < 0 || y >= photo.height) continue;
      sample(photo, x - 0.5, y - 0.5, pixel);
      rgb.set(pixel, to);
    }
  }
  return { width, height, rgb };
}

/** The value at a place between the centres of pixels, from the 4 x 4 pixels around it; the edges are repeated. */
function sample({ width, height, rgb }, x, y, pixel) {
  const [left, top] = [Math.floor(x), Math.floor(y)];
  const [dx, dy] = [x - left, y - top];
  const clip = (at, length) => Math.min(length - 1, Math.max(0, at));
  for (let channel = 0; channel < 3; channel++) {
    const row = (at) => {
      const start = clip(at, height) * width;
      const value = (column) => rgb[(start + clip(column, width)) * 3 + channel];
      return cubic(value(left - 1), value(left), value(left + 1), value(left + 2), dx);
    };
    const between = cubic(row(top - 1), row(top), row(top + 1), row(top + 2), dy);
    pixel[channel] = Math.max(0, Math.min(255, between)); // stored without its fraction, as Pillow does
  }
}

/** Cubic convolution with the parameter -1 (Keys 1981, doi:10.1109/TASSP.1981.1163711). */
function cubic(before, one, two, after, share) {
  const square = 2 * (before - one) + two - after;
  return one + share * (two - before + share * (square + share * (one - before - two + after)));
}
