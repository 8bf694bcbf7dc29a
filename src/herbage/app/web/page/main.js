// The page: photos come in, cards are made, a few photos at a time go to the server, the summary follows.

import { getJson, postJson, Refused, save } from "./api.js";
import { Card } from "./card.js";
import { showPaddocks, showPoints } from "./summary.js";
import { languages, number, preferredLanguage, setLanguage, text } from "./text.js";

const AT_ONCE = 4;
const SETTLE_MS = 300;
const find = (id) => document.getElementById(id);

const cards = [];
const waiting = [];
let running = 0;
let settling;

const page = {
  model: await getJson("api/model"),
  get target() {
    return find("target").value;
  },
  get opacity() {
    return find("opacity").value / 100;
  },
  /** Something changed that the summary shows; it is made anew when it has been quiet for a moment. */
  changed() {
    showStatus();
    clearTimeout(settling);
    settling = setTimeout(() => summarise().catch(told), SETTLE_MS);
  },
  remove(card) {
    cards.splice(cards.indexOf(card), 1);
    card.leave();
    (cards[0]?.find(".remove") ?? find("choose")).focus();
    page.changed();
  },
  again(card) {
    card.tell("waiting");
    waiting.push(card);
    next();
    page.changed();
  },
};

/** A refusal is said in the status line; any other error is a fault of the page. */
function told(error) {
  if (!(error instanceof Refused)) throw error;
  find("status").textContent = error.status ? error.message : text("unreachable");
}

function add(files) {
  for (const file of files) {
    const card = new Card(file, find("paddock").value, page);
    cards.push(card);
    find("cards").append(card.element);
    waiting.push(card);
  }
  page.changed();
  next();
}

function take(input) {
  add([...input.files]);
  input.value = "";
}

function next() {
  while (running < AT_ONCE && waiting.length) {
    const card = waiting.shift();
    if (!cards.includes(card)) continue;
    running++;
    card.run().finally(() => {
      running--;
      next();
    });
  }
}

function rows() {
  return cards.filter((card) => card.done).map((card) => card.row);
}

function grouped() {
  return { predictions: rows(), paddocks: cards.filter((card) => card.done).map((card) => card.paddock) };
}

function showStatus() {
  const ended = cards.filter((card) => card.ended);
  const failed = ended.filter((card) => !card.ok).length;
  const values = { done: number(ended.length - failed), total: number(cards.length), failed: number(failed) };
  find("status").textContent = cards.length ? text(failed ? "status_failed" : "status", values) : "";
  find("photos").hidden = !cards.length;
  find("controls").hidden = !page.model.has_map;
  find("no-map").hidden = page.model.has_map;
}

async function summarise() {
  const { predictions, paddocks } = grouped();
  const estimated = predictions.some((row) => row.status === "ok");
  find("results").hidden = !predictions.length;
  find("overlays").hidden = !cards.some((card) => card.map);
  find("summary").hidden = find("summary-note").hidden = !estimated;
  if (!predictions.length) return;
  const names = [...new Set(cards.map((card) => card.paddock).filter(Boolean))];
  find("paddocks").replaceChildren(...names.map((name) => new Option(name)));
  find("paddocks-csv").hidden = !names.length;
  const placed = showPoints(find("points"), predictions, page.model.main_target, page.model.map_colours);
  find("place").hidden = find("geojson").hidden = !placed;
  if (estimated) await showPaddocks(find("summary"), predictions, paddocks, page.model.level);
}

function showModel() {
  const { recipe, backbone, training, score } = page.model;
  const facts = { recipe, backbone, photos: number(training?.photos), groups: number(training?.groups) };
  const known = score?.weighted_r2 !== null && score?.weighted_r2 !== undefined;
  find("model").textContent = training
    ? text("model_known", { ...facts, score: known ? number(score.weighted_r2, 2) : text("unknown") })
    : text("model_imported", facts);
  const chosen = find("target").value || page.model.main_target;
  find("target").replaceChildren(...page.model.targets.map((target) => new Option(text(target), target, false, target === chosen)));
}

function speak(code) {
  setLanguage(code);
  showModel();
  for (const card of cards) card.show();
  page.changed();
}

async function download(path, body, name) {
  await postJson(path, body).then(async (answer) => save(await answer.blob(), name)).catch(told);
}

find("language").replaceChildren(...languages.map(([code, name]) => new Option(name, code)));
find("language").value = preferredLanguage();
find("language").addEventListener("change", (event) => speak(event.target.value));
for (const id of ["choose", "take"]) find(id).addEventListener("change", (event) => take(event.target));
for (const kind of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    find("drop").classList.toggle("over", kind === "dragover");
    if (kind === "drop") add([...event.dataTransfer.files]);
  });
}
for (const id of ["target", "opacity"]) find(id).addEventListener("input", () => cards.forEach((card) => card.show()));
find("csv").addEventListener("click", () => download("api/files/predictions.csv", { predictions: rows() }, "predictions.csv"));
find("geojson").addEventListener("click", () => download("api/files/photos.geojson", { predictions: rows() }, "photos.geojson"));
find("paddocks-csv").addEventListener("click", () => download("api/files/paddocks.csv", grouped(), "paddocks.csv"));
find("overlays").addEventListener("click", async () => {
  for (const card of cards) if (card.map) await card.saveOverlay();
});
speak(find("language").value);
for (const id of ["choose", "take"]) take(find(id)); // chosen before this script was there
