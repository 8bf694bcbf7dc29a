// Patch map over a photo: drawn patch by patch without interpolation, and read with the pointer or the arrow keys.

import { projective } from "./projective.js";
import { number, text } from "./text.js";

const WIDTH_PX = 1200;

export class PatchMap {
  /** `container` contains an img and a canvas; `spot` shows the value at the selected patch. */
  constructor(container, spot, colours) {
    this.container = container;
    this.spot = spot;
    this.colours = colours;
    this.image = container.querySelector("img");
    this.canvas = container.querySelector("canvas");
    this.at = null;
    container.addEventListener("pointermove", (event) => this.point(event));
    container.addEventListener("pointerdown", (event) => this.point(event));
    container.addEventListener("keydown", (event) => this.key(event));
  }

  /** Show a target in g per m², inside the quadrat's corners if they are given. */
  show(map, target, corners) {
    this.map = map;
    this.values = map.values[target];
    this.top = map.top[target];
    const bare = !this.image.naturalWidth;
    this.container.classList.toggle("bare", bare);
    const [width, height] = bare ? [map.columns, map.rows] : [this.image.naturalWidth, this.image.naturalHeight];
    const scale = WIDTH_PX / width;
    this.canvas.width = WIDTH_PX;
    this.canvas.height = Math.round(height * scale);
    const whole = [[0, 0], [width, 0], [width, height], [0, height]];
    this.plane = projective((bare ? whole : corners ?? whole).map(([x, y]) => [x * scale, y * scale]));
    this.draw();
    this.showValue();
  }

  draw() {
    const context = this.canvas.getContext("2d");
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    const { rows, columns } = this.map;
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        const share = Math.min(1, Math.max(0, this.values[row * columns + column] / this.top));
        const colour = this.colours[Math.round(share * (this.colours.length - 1))];
        this.outline(context, row, column);
        context.fillStyle = context.strokeStyle = colour;
        context.lineWidth = 1; // hides the seams between patches
        context.fill();
        context.stroke();
      }
    }
    if (this.at) {
      this.outline(context, ...this.at);
      context.lineWidth = 5;
      context.strokeStyle = "#fff";
      context.stroke();
      context.lineWidth = 2;
      context.strokeStyle = "#000";
      context.stroke();
    }
  }

  outline(context, row, column) {
    const { rows, columns } = this.map;
    context.beginPath();
    for (const [r, c] of [[row, column], [row, column + 1], [row + 1, column + 1], [row + 1, column]]) {
      context.lineTo(...this.plane.to(c / columns, r / rows));
    }
    context.closePath();
  }

  point(event) {
    if (!this.map) return;
    const box = this.canvas.getBoundingClientRect();
    const [u, v] = this.plane.from(
      ((event.clientX - box.left) / box.width) * this.canvas.width,
      ((event.clientY - box.top) / box.height) * this.canvas.height,
    );
    const inside = u >= 0 && u < 1 && v >= 0 && v < 1;
    this.move(inside ? [Math.floor(v * this.map.rows), Math.floor(u * this.map.columns)] : null);
  }

  key(event) {
    const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
    if (!this.map || !(event.key in steps)) return;
    event.preventDefault();
    const { rows, columns } = this.map;
    const [row, column] = this.at ?? [Math.floor(rows / 2), Math.floor(columns / 2)];
    const [down, right] = this.at ? steps[event.key] : [0, 0];
    this.move([Math.min(rows - 1, Math.max(0, row + down)), Math.min(columns - 1, Math.max(0, column + right))]);
  }

  move(at) {
    if (String(at) === String(this.at)) return;
    this.at = at;
    this.draw();
    this.showValue();
  }

  showValue() {
    const value = this.at && this.values[this.at[0] * this.map.columns + this.at[1]];
    this.spot.textContent = this.at ? text("spot", { value: number(value) }) : text("read_here");
  }
}
