// The picture of a photo under its map, with the colour scale and the estimate.

import { kgPerHa } from "./estimates.js";
import { rectify } from "./quadrat.js";
import { number, text } from "./text.js";

const [WIDTH, MAX_HEIGHT, MARGIN, BAR] = [900, 1800, 16, 18];
const [HEAD, FOOT] = [2 * MARGIN + 18, 2 * MARGIN + BAR + 36];
const OPACITY = 0.6;

/** The picture of a card's estimate of one target, as { blob, name }. */
export async function drawOverlay(model, { row, map, corners, file }, target) {
  const photo = await quadrat(file, corners);
  const canvas = new OffscreenCanvas(WIDTH, HEAD + 2 * photo.height + MARGIN / 2 + FOOT);
  const context = canvas.getContext("2d");
  context.fillStyle = "#fff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  const weight = text("kg_per_ha_value", { value: number(kgPerHa(row[target], row)) });
  const title = `${text(target)}: ${number(row[target], 1)} ${text("grams_quadrat")}, ${weight}`;
  write(context, title, MARGIN, MARGIN, { size: 18 });
  const left = WIDTH - 3 * MARGIN - context.measureText(title).width;
  write(context, row.photo, WIDTH - MARGIN, MARGIN + 2, { align: "right", width: left });
  const under = HEAD + photo.height + MARGIN / 2;
  for (const top of [HEAD, under]) context.drawImage(photo, 0, top);
  context.globalAlpha = OPACITY;
  context.imageSmoothingQuality = "high";
  context.drawImage(coloured(model, map, target), 0, under, photo.width, photo.height);
  context.globalAlpha = 1;
  const label = `${text(target)}, ${text("g_per_m2")}`;
  drawScale(context, model.map_colours, map.top[target], canvas.height - FOOT + MARGIN, label);
  return { blob: await canvas.convertToBlob({ type: "image/png" }), name: `${row.photo.replace(/[/\\]/g, "__")}.png` };
}

/** The photo, or the quadrat between its corners, as a canvas of the picture's width. */
async function quadrat(file, corners) {
  const bitmap = await createImageBitmap(file);
  const scale = Math.min(1, (2 * WIDTH) / Math.max(bitmap.width, bitmap.height));
  let source = canvasOf(bitmap, Math.ceil(bitmap.width * scale), Math.ceil(bitmap.height * scale));
  if (corners) {
    const [across, down] = [source.width / bitmap.width, source.height / bitmap.height];
    source = rectified(source, corners.map(([x, y]) => [x * across, y * down]));
  }
  bitmap.close();
  return canvasOf(source, WIDTH, Math.max(1, Math.min(MAX_HEIGHT, Math.round((source.height * WIDTH) / source.width))));
}

function canvasOf(source, width, height) {
  const canvas = new OffscreenCanvas(width, height);
  canvas.getContext("2d").drawImage(source, 0, 0, width, height);
  return canvas;
}

function rectified(source, corners) {
  const { data } = source.getContext("2d").getImageData(0, 0, source.width, source.height);
  const rgb = data.filter((_, index) => index % 4 < 3);
  const flat = rectify({ width: source.width, height: source.height, rgb }, corners);
  const canvas = new OffscreenCanvas(flat.width, flat.height);
  const pixels = new ImageData(flat.width, flat.height);
  for (let from = 0, to = 0; from < flat.rgb.length; from += 3, to += 4) {
    pixels.data.set(flat.rgb.subarray(from, from + 3), to);
    pixels.data[to + 3] = 255;
  }
  canvas.getContext("2d").putImageData(pixels, 0, 0);
  return canvas;
}

/** The map with one pixel per patch. */
function coloured(model, { rows, columns, values, top }, target) {
  const canvas = new OffscreenCanvas(columns, rows);
  const context = canvas.getContext("2d");
  values[target].forEach((value, patch) => {
    const share = Math.min(1, Math.max(0, value / top[target]));
    context.fillStyle = model.map_colours[Math.round(share * (model.map_colours.length - 1))];
    context.fillRect(patch % columns, Math.floor(patch / columns), 1, 1);
  });
  return canvas;
}

/** The colours from 0 to the top of the scale, with ticks. */
function drawScale(context, colours, top, y, label) {
  const width = WIDTH - 2 * MARGIN;
  const ramp = context.createLinearGradient(MARGIN, 0, MARGIN + width, 0);
  colours.forEach((colour, index) => ramp.addColorStop(index / (colours.length - 1), colour));
  context.fillStyle = ramp;
  context.fillRect(MARGIN, y, width, BAR);
  for (let tick = 0; tick <= 4; tick++) {
    const value = number((top * tick) / 4);
    const align = ["left", "center", "center", "center", "right"][tick];
    write(context, tick < 4 ? value : text("or_more", { value }), MARGIN + (tick / 4) * width, y + BAR + 6, { align });
  }
  write(context, label, MARGIN, y + BAR + 24, {});
}

function write(context, content, x, y, { size = 15, align = "left", width }) {
  context.font = `${size}px system-ui, sans-serif`;
  context.fillStyle = "#000";
  context.textBaseline = "top";
  context.textAlign = align;
  context.fillText(content, x, y, width);
}
