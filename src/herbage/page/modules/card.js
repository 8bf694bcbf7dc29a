// Card of one photo: upload progress, estimate and map.

import { askCorners } from "./corners.js";
import { kgPerHa, RequestError, save } from "./estimates.js";
import { estimator } from "./estimator.js";
import { PatchMap } from "./map.js";
import { MeasuredFields } from "./measured.js";
import { label, number, percent, text } from "./text.js";

const template = document.getElementById("card");
let created = 0;

export class Card {
  /**
   * `page.changed()` is called after every change; `page.target` and `page.opacity` select the map to show. `stored` is
   * the result of an earlier visit, whose `file` has only a name if the photo was not stored.
   */
  constructor(file, paddock, page, stored = null) {
    this.file = file;
    this.page = page;
    this.corners = stored?.corners ?? null;
    this.state = [stored ? "done" : "waiting"];
    Object.assign(this, stored && { key: stored.key, row: stored.row, map: stored.map });
    this.aborter = new AbortController();
    this.element = document.importNode(template.content, true).firstElementChild;
    this.find("h3").textContent = file.name;
    this.find("h3").id = `photo-${created++}`;
    this.element.setAttribute("aria-labelledby", this.find("h3").id);
    const columns = this.hasPhoto ? page.model.measured_columns : []; // values cannot change what is not estimated again
    this.measured = new MeasuredFields(this.find(".measured"), columns, this.find("h3").id, () => page.again(this));
    this.measured.values = stored?.measured ?? null;
    this.find(".paddock").value = paddock;
    this.find(".paddock").addEventListener("input", () => page.changed());
    this.find(".remove").addEventListener("click", () => page.remove(this));
    this.find(".again").addEventListener("click", () => page.again(this));
    this.find(".corners").addEventListener("click", () => this.askCorners());
    this.find(".overlay").addEventListener("click", () => this.saveOverlay());
    this.patches = new PatchMap(this.find(".map"), this.find(".spot"), page.model.map_colours);
    this.url = this.hasPhoto ? URL.createObjectURL(file) : "";
    this.image = this.find(".map img");
    this.image.hidden = !this.hasPhoto;
    this.loaded = this.hasPhoto ? this.load() : Promise.resolve(false);
    this.loaded.then((isLoaded) => {
      this.image.hidden = !isLoaded;
      this.find(".map").hidden = !isLoaded && !this.map;
    });
    this.show();
  }

  /** Load the photo for display; whether the browser can. Not `decode()`, which keeps all its pixels in memory. */
  load() {
    return new Promise((resolve) => {
      this.image.addEventListener("load", () => resolve(true));
      this.image.addEventListener("error", () => resolve(false));
      this.image.src = this.url;
    });
  }

  find(selector) {
    return this.element.querySelector(selector);
  }

  get hasPhoto() {
    return this.file instanceof Blob;
  }

  get paddock() {
    return this.find(".paddock").value.trim() || null;
  }

  get done() {
    return this.state[0] === "done";
  }

  get ended() {
    return this.done || this.state[0] === "failed";
  }

  get ok() {
    return this.done && this.row.status === "ok";
  }

  /** Send the photo and show the result; failed requests are shown, not thrown. */
  async run() {
    const { signal } = (this.aborter = new AbortController());
    this.row = this.map = undefined;
    const answer = await this.request(signal);
    if (signal.aborted) return;
    Object.assign(this, answer);
    this.setState(this.row ? "done" : "failed");
    this.page.changed();
  }

  /** The row, the map and the failure of a request, as far as there are any. */
  async request(signal) {
    try {
      const beside = { corners: this.corners, measured: this.measured.values };
      const answer = await estimator.predict(this.file, beside, (...state) => this.setState(...state), signal);
      await this.loaded;
      return answer;
    } catch (error) {
      if (error.name === "AbortError") return {};
      if (!(error instanceof RequestError)) throw error;
      const status = { 413: "skipped", 415: "unreadable", 422: "unreadable" }[error.status];
      const row = status && (error.rows[0] ?? { photo: this.file.name, status, message: error.message });
      return { row, failure: error };
    }
  }

  /** Stop a request whose corners or measured values are no longer those of the card. */
  abort() {
    this.aborter.abort();
  }

  dispose() {
    this.abort();
    URL.revokeObjectURL(this.url);
    this.element.remove();
  }

  setState(...state) {
    this.state = state;
    this.show();
  }

  /** Update the card after a change of state, language, target or opacity. */
  show() {
    label(this.element);
    this.measured.show();
    this.find(".remove").setAttribute("aria-label", text("remove_photo", { photo: this.file.name }));
    const [state, share] = this.state;
    const { ended, ok } = this;
    if (ended) this.answered = ok;
    // An answer that is being renewed keeps its space, so that no field or button moves away from under a finger.
    const renewed = !ended && Boolean(this.answered);
    this.element.classList.toggle("renewed", renewed);
    this.find(".progress").hidden = ended;
    this.find(".answer").hidden = !ok && !renewed;
    this.find(".failure").hidden = !ended || ok;
    this.find(".again").hidden = state !== "failed";
    if (!ended) this.showProgress(state, share);
    else if (ok) this.showAnswer();
    else this.showFailure(state);
    this.showMap(ok, renewed);
  }

  showProgress(state, share) {
    const bar = this.find("progress");
    if (share === undefined) bar.removeAttribute("value");
    else bar.value = share;
    const message = text(state, { share: share === undefined ? "" : percent(share) });
    bar.setAttribute("aria-label", message);
    this.find(".progress span").textContent = message;
  }

  showFailure(state) {
    const [first, second] = this.find(".failure").children;
    const unreachable = state === "failed" && this.failure.status === 0;
    first.textContent = text(unreachable ? estimator.texts.unreachable : state === "failed" ? "failed" : this.row.status);
    second.textContent = this.row?.message ?? this.failure?.message ?? "";
  }

  showAnswer() {
    const { row } = this;
    const { main_target: main, targets } = this.page.model;
    const [headline, range] = this.find(".headline").children;
    headline.textContent = `${text(main)}: ${text("kg_per_ha_value", { value: this.kg(row[main]) })}`;
    range.textContent = row[`${main}_low`] === null
      ? text("interval_unknown")
      : `${text("interval", { level: percent(row.level) })} ${this.range(main, (value) => this.kg(value))}`;
    const second = main === "Dry_Total_g" && row.GDM_g !== null;
    this.find(".second").hidden = !second;
    if (second) this.find(".second").textContent = `${text("GDM_g")}: ${text("kg_per_ha_value", { value: this.kg(row.GDM_g) })}`;
    this.find(".basis").hidden = !this.page.model.measured_columns.length;
    this.find(".basis").textContent = text(row.measured ? "with_measured" : this.measured.values ? "measured_unused" : "photo_alone");
    this.remark(range, main);
    if (second) this.remark(this.find(".second"), "GDM_g");
    this.find(".outside").hidden = row.in_domain !== false;
    this.find(".trained").hidden = !row.training_photo;
    this.find(".shape").hidden = !row.shape_differs;
    this.find("table").replaceChildren(
      tableRow("th", [text("weight"), text("kg_per_ha"), text("grams_quadrat")]),
      ...targets.map((target) => {
        const line = tableRow("td", [text(target), this.kg(row[target]), number(row[target], 1)]);
        line.classList.toggle("main", target === main);
        this.remark(line.firstChild, target);
        if (row[`${target}_low`] !== null) {
          line.children[1].append(small(this.range(target, (value) => this.kg(value))));
          line.children[2].append(small(this.range(target, (value) => number(value, 1))));
        }
        return line;
      }),
    );
  }

  /** Mark a target whose estimates were not shown to be better than the mean of the training photos. */
  remark(element, target) {
    if (!this.page.model.no_better_than_mean[this.row.measured ? "measured" : "photo"].includes(target)) return;
    const remark = element.appendChild(small(text("no_better")));
    remark.className = "no-better";
    remark.title = text("no_better_explained");
  }

  showMap(ok, renewed) {
    const map = ok && this.map;
    const space = map || (renewed && this.page.model.has_map);
    for (const part of [".legend", ".spot"]) this.find(part).hidden = !space;
    this.find(".overlay").hidden = !space || !this.hasPhoto;
    this.find(".corners").hidden = (!this.row && !renewed) || this.image.hidden;
    const container = this.find(".map");
    container.tabIndex = map ? 0 : -1;
    container.setAttribute("role", map ? "application" : "img");
    this.find("canvas").hidden = !map;
    const { target, opacity } = this.page;
    container.setAttribute("aria-label", map ? text("map_label", { photo: this.file.name, target: text(target) }) : this.file.name);
    if (!map) return;
    container.hidden = false;
    this.patches.show(map, target, this.corners);
    this.find("canvas").style.opacity = this.image.hidden ? 1 : opacity;
    this.find(".ramp").style.background = `linear-gradient(to right, ${this.page.model.map_colours.join()})`;
    this.find(".top").textContent = `${text("or_more", { value: number(map.top[target]) })} ${text("g_per_m2")}`;
  }

  async askCorners() {
    const corners = await askCorners(this.url, this.corners);
    if (corners === undefined) return;
    this.corners = corners;
    this.page.again(this);
  }

  async saveOverlay() {
    try {
      save(await estimator.overlay(this, this.page.target));
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      this.find(".spot").textContent = error.status === 404 ? text("map_gone") : error.message;
      this.find(".again").hidden = false;
    }
  }

  kg(grams) {
    return number(kgPerHa(grams, this.row));
  }

  range(target, format) {
    return text("interval_value", { low: format(this.row[`${target}_low`]), high: format(this.row[`${target}_high`]) });
  }
}

export function tableRow(kind, cells) {
  const line = document.createElement("tr");
  for (const cell of cells) {
    const element = line.appendChild(document.createElement(kind));
    element.textContent = cell;
    if (kind === "th") element.scope = "col";
  }
  return line;
}

function small(content) {
  const element = document.createElement("small");
  element.textContent = content;
  return element;
}
