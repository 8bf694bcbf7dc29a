// The page: creates a card per photo, has a few photos at a time estimated, and updates the summary.

import { Card } from "./card.js";
import { RequestError, save } from "./estimates.js";
import { estimator } from "./estimator.js";
import { Farm } from "./farm.js";
import { showPaddocks, showPoints } from "./summary.js";
import { languages, number, preferredLanguage, setLanguage, text } from "./text.js";

const DEBOUNCE_MS = 300;
const find = (id) => document.getElementById(id);

const cards = [];
const waiting = [];
let running = 0;
let summaryTimer;

const page = {
  model: await estimator.model(),
  get target() {
    return find("target").value;
  },
  get opacity() {
    return find("opacity").value / 100;
  },
  /** Update the status and what can be saved now, and the summary once there are no more changes for DEBOUNCE_MS. */
  changed() {
    showStatus();
    farm.update();
    estimator.device?.sync();
    clearTimeout(summaryTimer);
    summaryTimer = setTimeout(() => summarise().catch(showError), DEBOUNCE_MS);
  },
  remove(card) {
    cards.splice(cards.indexOf(card), 1);
    card.dispose();
    (cards[0]?.find(".remove") ?? find("choose")).focus();
    page.changed();
  },
  again(card) {
    card.abort();
    card.setState("waiting");
    if (!waiting.includes(card)) waiting.push(card);
    next();
    page.changed();
  },
};

const farm = new Farm(page.model.farm, grouped, () => page.changed());

/** Show a failed request in the status line; rethrow any other error, which is a bug of the page. */
function showError(error) {
  if (!(error instanceof RequestError)) throw error;
  find("status").textContent = error.status ? error.message : text(estimator.texts.unreachable);
}

function add(files) {
  for (const file of files) {
    waiting.push(show(new Card(file, find("paddock").value, page)));
  }
  page.changed();
  next();
}

/** Show the result of an earlier visit. */
function restore(stored) {
  show(new Card(stored.file ?? { name: stored.name }, stored.paddock, page, stored));
}

function show(card) {
  cards.push(card);
  find("cards").append(card.element);
  return card;
}

function addFrom(input) {
  add([...input.files]);
  input.value = "";
}

function next() {
  while (running < estimator.parallel && waiting.length) {
    const card = waiting.shift();
    if (!cards.includes(card)) continue;
    running++;
    card.run().finally(() => {
      running--;
      next();
    });
  }
}

function finishedRows() {
  return cards.filter((card) => card.done).map((card) => card.row);
}

function grouped() {
  return { predictions: finishedRows(), paddocks: cards.filter((card) => card.done).map((card) => card.paddock) };
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
  // While the only estimate is renewed, its summary stays: the page must not move under the user's hand.
  if (!predictions.length && cards.some((card) => !card.ended)) return;
  const estimated = predictions.some((row) => row.status === "ok");
  const names = [...new Set(cards.map((card) => card.paddock).filter(Boolean))];
  find("paddocks").replaceChildren(...[...new Set([...farm.paddocks, ...names])].map((name) => new Option(name)));
  const isOfFarm = farm.paddocks.length > 0; // photos without a name are assigned by their position
  find("results").hidden = find("files").hidden = !predictions.length;
  find("overlays").hidden = !cards.some((card) => card.map && card.hasPhoto);
  find("summary").hidden = find("summary-note").hidden = find("remarks").hidden = !estimated;
  if (!predictions.length) return;
  find("paddocks-csv").hidden = !names.length && !isOfFarm;
  const placed = showPoints(find("points"), predictions, page.model.main_target, page.model.map_colours);
  find("place").hidden = find("geojson").hidden = !placed;
  const hasPaddocks = isOfFarm || paddocks.some((paddock) => paddock !== null);
  if (estimated) await showPaddocks(find("summary"), predictions, paddocks, page.model.level, hasPaddocks);
}

function showModel() {
  const { recipe, backbone, training, score, measured_score: measured } = page.model;
  const facts = { recipe, backbone, photos: number(training?.photos), groups: number(training?.groups) };
  const r2 = (of) => (Number.isFinite(of?.weighted_r2) ? number(of.weighted_r2, 2) : text("unknown"));
  find("model").textContent = training
    ? text("model_known", { ...facts, score: r2(score) })
    : text("model_imported", facts);
  if (measured) find("model").append(` ${text("model_measured", { score: r2(measured) })}`);
  const selected = find("target").value || page.model.main_target;
  find("target").replaceChildren(...page.model.targets.map((target) => new Option(text(target), target, false, target === selected)));
}

function changeLanguage(code) {
  setLanguage(code);
  showModel();
  farm.show();
  estimator.device?.refresh();
  for (const card of cards) card.show();
  page.changed();
}

async function download(kind, body) {
  await estimator.file(kind, body).then(save).catch(showError);
}

find("language").replaceChildren(...languages.map(([code, name]) => new Option(name, code)));
find("language").value = preferredLanguage();
find("language").addEventListener("change", (event) => changeLanguage(event.target.value));
for (const id of ["choose", "take"]) find(id).addEventListener("change", (event) => addFrom(event.target));
for (const kind of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    find("drop").classList.toggle("over", kind === "dragover");
    if (kind === "drop") add([...event.dataTransfer.files]);
  });
}
for (const id of ["target", "opacity"]) find(id).addEventListener("input", () => cards.forEach((card) => card.show()));
find("csv").addEventListener("click", () => download("predictions.csv", { predictions: finishedRows() }));
find("geojson").addEventListener("click", () => download("photos.geojson", { predictions: finishedRows() }));
find("paddocks-csv").addEventListener("click", () => download("paddocks.csv", grouped()));
find("overlays").addEventListener("click", async () => {
  for (const card of cards) if (card.map && card.hasPhoto) await card.saveOverlay();
});
find("privacy").dataset.text = estimator.texts.privacy;
setLanguage(find("language").value);
showModel();
await estimator.device?.start(page.model, () => cards, restore);
changeLanguage(find("language").value);
for (const id of ["choose", "take"]) addFrom(find(id)); // files chosen before this script was loaded
