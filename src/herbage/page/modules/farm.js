// Saving the estimates of a walk: to the server's farm, whose season is shown, or without a farm as a file.

import { RequestError, save } from "./estimates.js";
import { estimator } from "./estimator.js";
import { showSeason } from "./season.js";
import { text } from "./text.js";

const find = (id) => document.getElementById(id);
const OPTIONS = { replace_estimates: "replace", reassign: "reassign" }; // checkboxes by the fields of a request

export class Farm {
  /**
   * `name` is that of the server's farm, or null. `grouped()` returns the finished rows and their paddocks, and
   * `changed()` is called when the names of the farm's paddocks are known.
   */
  constructor(name, grouped, changed) {
    this.name = name;
    this.grouped = grouped;
    this.changed = changed;
    this.season = null;
    this.failure = null;
    this.hasPhotos = false;
    if (name === null) {
      find("walk").before(find("undated"));
      find("walk").parentElement.after(find("saved"));
    }
    find("walk").hidden = name !== null;
    find("season").hidden = name === null;
    find("privacy-farm").hidden = name === null;
    find("save").addEventListener("click", () => this.send(find("save"), () => this.save()));
    find("walk").addEventListener("click", () => this.send(find("walk"), () => this.download()));
    this.load();
  }

  /** The names of the farm's paddocks. */
  get paddocks() {
    return this.season?.paddocks ?? [];
  }

  /** Update the fields for the photos that are finished now; an outcome of other rows is removed. */
  update() {
    const { predictions } = this.grouped();
    const estimated = predictions.filter((row) => row.status === "ok");
    find("saving").hidden = this.name === null || !estimated.length;
    find("undated").hidden = estimated.every((row) => row.taken_at !== null);
    if (predictions.length && !this.hasPhotos) find("wedge").open = false; // the photos are under it
    this.hasPhotos = predictions.length > 0;
    if (this.sent !== undefined && this.sent !== this.state()) this.clear();
  }

  /** Update the season after a change of language. */
  show() {
    if (this.name === null) return;
    find("privacy-farm").textContent = text("privacy_farm", { farm: this.name });
    showSeason(this.season, this.failure);
  }

  async load() {
    if (this.name === null) return;
    try {
      this.season = await estimator.season();
      this.failure = null;
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      this.failure = message(error);
    }
    this.show();
    this.changed();
  }

  /** The rows that would be sent now, as text. */
  state() {
    return JSON.stringify(this.grouped());
  }

  clear() {
    this.sent = undefined;
    tell();
    for (const id of Object.values(OPTIONS)) this.offer(id, false);
  }

  offer(id, isOffered) {
    find(id).parentElement.hidden = !isOffered;
    if (!isOffered) find(id).checked = false;
  }

  /** Send the rows while the button is disabled; a refusal is shown where the outcome would be. */
  async send(button, action) {
    this.sent = this.state();
    button.disabled = true;
    tell(paragraph(text("saving"), "soft"));
    try {
      tell(...(await action()));
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      tell(said(message(error), "warning"));
    } finally {
      button.disabled = false;
      button.focus();
    }
  }

  body() {
    return { ...this.grouped(), day: find("undated").hidden ? null : find("day").value || null };
  }

  /** Save to the farm; returns what to show. */
  async save() {
    const options = Object.fromEntries(Object.entries(OPTIONS).map(([field, id]) => [field, find(id).checked]));
    const answer = await estimator.saveToFarm({ ...this.body(), ...options });
    this.offer("replace", answer.kept > 0);
    this.offer("reassign", answer.elsewhere > 0);
    this.load();
    find("wedge").open = true;
    return [
      said(`${answer.text}.`, "saved"),
      ...(answer.by_position ? [paragraph(text("by_position", { photos: answer.by_position }), "soft")] : []),
      ...answer.remarks.map((remark) => said(readable(remark.message), remark.is_warning ? "warning" : "soft")),
    ];
  }

  /** Save as a file; returns what to show. */
  async download() {
    const file = await estimator.file("walk.json", this.body());
    save(file);
    return [paragraph(text("walk_saved", { file: file.name }), "soft")];
  }
}

function tell(...paragraphs) {
  find("saved").replaceChildren(...paragraphs);
}

function paragraph(textContent, className) {
  return Object.assign(document.createElement("p"), { textContent, className });
}

/** A paragraph of the server, which writes English. */
function said(content, className) {
  return Object.assign(paragraph(content, className), { lang: "en" });
}

function message(error) {
  return error.status ? readable(error.message) : text(estimator.texts.unreachable);
}

/** A message of the server with the labels of this page in place of the fields of a request. */
function readable(content) {
  return content.replace(/`(\w+)(?:=([^`]*))?`/g, (written, field, value) => {
    if (field in OPTIONS) return text("quoted", { label: find(OPTIONS[field]).parentElement.textContent.trim() });
    return field === "day" ? value : written;
  });
}
