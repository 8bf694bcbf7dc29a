// Dialog for dragging four corners to the quadrat's frame.

import { number, text } from "./text.js";

const dialog = document.getElementById("corners");
const image = dialog.querySelector("img");
const frame = dialog.querySelector(".frame");
const polygon = dialog.querySelector("polygon");
const warning = dialog.querySelector(".warning");
const handles = [0, 1, 2, 3].map(() => frame.appendChild(document.createElement("button")));
let corners = [];
let finish = () => {};

handles.forEach((handle, index) => {
  handle.type = "button";
  handle.addEventListener("pointerdown", (event) => handle.setPointerCapture(event.pointerId));
  handle.addEventListener("pointermove", (event) => {
    if (!handle.hasPointerCapture(event.pointerId)) return;
    const box = image.getBoundingClientRect();
    place(index, ((event.clientX - box.left) / box.width) * image.naturalWidth, ((event.clientY - box.top) / box.height) * image.naturalHeight);
  });
  handle.addEventListener("keydown", (event) => {
    const steps = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] };
    if (!(event.key in steps)) return;
    event.preventDefault();
    const step = Math.max(1, image.naturalWidth * (event.shiftKey ? 0.05 : 0.005));
    place(index, corners[index][0] + steps[event.key][0] * step, corners[index][1] + steps[event.key][1] * step);
  });
});

for (const button of dialog.querySelectorAll("button[value]")) {
  button.addEventListener("click", () => {
    if (button.value === "use" && !warning.hidden) return;
    dialog.close(button.value);
  });
}
dialog.addEventListener("close", () => {
  const rounded = corners.map((corner) => corner.map((value) => Math.round(value * 10) / 10));
  finish({ use: rounded, whole: null }[dialog.returnValue]);
});

/** Open the dialog. Resolves to four [x, y] in pixels, to null for the whole photo, or to undefined if cancelled. */
export async function askCorners(url, previous) {
  image.src = url;
  await image.decode();
  const [width, height] = [image.naturalWidth, image.naturalHeight];
  corners = previous ?? [[0.1, 0.1], [0.9, 0.1], [0.9, 0.9], [0.1, 0.9]].map(([u, v]) => [u * width, v * height]);
  polygon.parentElement.setAttribute("viewBox", `0 0 ${width} ${height}`);
  polygon.parentElement.setAttribute("preserveAspectRatio", "none");
  corners.forEach(([x, y], index) => place(index, x, y));
  dialog.returnValue = "cancel";
  dialog.showModal();
  handles[0].focus();
  return new Promise((resolve) => (finish = resolve));
}

function place(index, x, y) {
  const [width, height] = [image.naturalWidth, image.naturalHeight];
  corners[index] = [Math.min(width, Math.max(0, x)), Math.min(height, Math.max(0, y))];
  const [cornerX, cornerY] = corners[index];
  handles[index].style.left = `${(100 * cornerX) / width}%`;
  handles[index].style.top = `${(100 * cornerY) / height}%`;
  const where = { corner: text(`corner_${index}`), x: number(cornerX), y: number(cornerY) };
  handles[index].setAttribute("aria-label", text("corner_at", where));
  polygon.setAttribute("points", corners.map((corner) => corner.join(",")).join(" "));
  warning.hidden = isQuadrilateral();
}

/** Whether the corners form a convex quadrilateral in clockwise order, as the server requires. */
function isQuadrilateral() {
  return corners.every(([x, y], index) => {
    const [beforeX, beforeY] = corners[(index + 3) % 4];
    const [nextX, nextY] = corners[(index + 1) % 4];
    return (x - beforeX) * (nextY - y) - (y - beforeY) * (nextX - x) > 1;
  });
}
