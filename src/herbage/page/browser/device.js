// What the site stores on this device: itself (offline.js), and results until a person removes them.

import { Database } from "./database.js";
import { RequestError, save } from "./estimates.js";
import { writeFile } from "./files.js";
import { groupBy } from "./groups.js";
import { Offline } from "./offline.js";
import { number, text } from "./text.js";
import { localDay } from "./walk.js";

const find = (id) => document.getElementById(id);
const STORES_PHOTOS = "herbage stores photos"; // in localStorage

export class Device {
  database = null;
  cards = () => [];
  earlier = []; // results of another model
  written = new Map(); // row, paddock and file by key, as they are stored
  writing = Promise.resolve();

  /** `cards()` are those of the page; the results of earlier visits are passed to `restore`. */
  async start(model, cards, restore) {
    this.model = model;
    this.cards = cards;
    find("device").hidden = false;
    find("store-photos").addEventListener("change", () => this.changePhotos());
    find("remove-all").addEventListener("click", () => this.removeAll());
    this.offline = new Offline(cards);
    this.offline.start();
    try {
      find("store-photos").checked = localStorage.getItem(STORES_PHOTOS) === "yes";
      this.database = await new Database().open();
      await this.database.put("models", { digest: model.record.digest, model });
      this.isPersistent = await navigator.storage?.persisted?.();
      const results = await this.database.all("results");
      results.sort((one, other) => one.added - other.added);
      const isOwn = ({ row }) => (row.model ?? model.record.digest) === model.record.digest;
      for (const result of results.filter(isOwn)) {
        this.written.set(result.key, result);
        restore(result);
      }
      this.earlier = results.filter((result) => !isOwn(result));
    } catch (error) {
      this.fail(error);
    }
    this.refresh();
  }

  /** Show everything again after a change of language. */
  refresh() {
    this.offline.refresh();
    this.showPersistence();
    find("remove-all").hidden = !this.cards().length;
    this.showEarlier();
  }

  /** Store the finished results of the page, and remove those whose cards are gone. */
  sync() {
    find("remove-all").hidden = !this.cards().length;
    this.writing = this.writing.then(() => this.write()).then(() => this.offline?.sync()).catch((error) => this.fail(error));
  }

  async write() {
    if (!this.database) return;
    const there = new Set();
    for (const card of this.cards()) {
      await this.put(card).catch((error) => this.fail(error));
      if (card.key) there.add(card.key);
    }
    for (const key of this.written.keys()) {
      if (there.has(key)) continue;
      this.written.delete(key);
      await this.database.remove("results", key);
    }
  }

  async put(card) {
    if (!card.done && !this.written.has(card.key)) return;
    card.key ??= crypto.randomUUID();
    const stored = this.written.get(card.key); // of a card that is estimated again, until there is a new result
    const { row, map, corners } = card.done ? card : stored;
    const { key, paddock } = card;
    const file = find("store-photos").checked && card.hasPhoto ? card.file : null;
    if (stored?.row === row && stored.paddock === paddock && stored.file === file) return;
    const measured = card.done ? card.measured.values : stored.measured;
    const added = stored?.added ?? Date.now();
    const result = { key, added, name: card.file.name, row, map, paddock, corners, measured, file };
    find("store-failed").hidden = true;
    try {
      await this.database.put("results", result);
    } catch (error) {
      if (!file) throw error;
      result.file = null; // perhaps there is space for the figures
      await this.database.put("results", result);
      this.fail(error);
    }
    this.written.set(key, result);
    this.isPersistent ||= (await navigator.storage?.persist?.()) ?? false;
    this.showPersistence();
  }

  showPersistence() {
    find("stored").textContent = text(this.isPersistent ? "stored" : "stored_for_now");
  }

  changePhotos() {
    try {
      localStorage.setItem(STORES_PHOTOS, find("store-photos").checked ? "yes" : "no");
    } catch (error) {
      this.fail(error);
    }
    this.sync();
  }

  removeAll() {
    if (!confirm(text("remove_all_sure"))) return;
    for (const card of [...this.cards()]) card.page.remove(card);
    this.earlier = [];
    this.showEarlier();
    // Other tabs may have stored more.
    this.writing = this.writing.then(() => this.database?.clear("results")).catch((error) => this.fail(error));
  }

  /** Results of another model are no part of the page: the means and the files of a walk are of one model. */
  showEarlier() {
    const results = this.earlier;
    find("earlier").hidden = !results.length;
    find("earlier-text").textContent = text("earlier", { photos: number(results.length) });
    find("earlier-save").onclick = () => this.saveEarlier(results).catch((error) => this.fail(error));
    find("earlier-remove").onclick = () => this.removeEarlier(results).catch((error) => this.fail(error));
  }

  async saveEarlier(results) {
    for (const { digest, model } of await this.database.all("models")) {
      const own = results.filter(({ row }) => row.model === digest);
      if (!own.length) continue;
      for (const [day, ofDay] of groupBy(own, ({ added }) => localDay(new Date(added)))) {
        const body = { predictions: ofDay.map(({ row }) => row), paddocks: ofDay.map(({ paddock }) => paddock), day };
        for (const kind of ["predictions.csv", "walk.json"]) this.saveFile(kind, model, body);
      }
    }
  }

  saveFile(kind, model, body) {
    try {
      const { text: content, name, type } = writeFile(kind, model, body);
      save({ blob: new Blob([content], { type }), name });
    } catch (error) {
      this.fail(error);
    }
  }

  async removeEarlier(results) {
    for (const { key } of results) await this.database.remove("results", key);
    this.earlier = [];
    this.showEarlier();
  }

  fail(error) {
    find("store-failed").hidden = false;
    const isRefusal = error instanceof RequestError;
    find("store-failed").textContent = isRefusal ? error.message : text("store_failed", { reason: error.message });
  }
}
