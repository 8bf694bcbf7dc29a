// The site without a network: its service worker, what it has stored, and a newer version.

import { percent, text } from "./text.js";

const find = (id) => document.getElementById(id);
const RELOADED = `herbage reloaded ${new URL("./", location).pathname}`; // in sessionStorage: a second reload would not help

export class Offline {
  /** `cards()` are those of the page: photos that are not estimated yet must not be lost in a reload. */
  constructor(cards) {
    this.cards = cards;
    this.isReplaced = false; // whether a newer version has taken over
    this.state = null; // not known yet
    this.isTouched = false;
    for (const kind of ["pointerdown", "keydown"]) addEventListener(kind, () => (this.isTouched = true), { capture: true });
  }

  async start() {
    const { serviceWorker } = navigator;
    if (!serviceWorker) {
      this.show("offline_unavailable");
      return;
    }
    serviceWorker.addEventListener("message", ({ data }) => data.stored < 1 && this.show("offline_storing", data.stored));
    const hadController = Boolean(serviceWorker.controller);
    serviceWorker.addEventListener("controllerchange", () => (hadController ? this.replace() : this.isolate()));
    find("update-now").addEventListener("click", () => this.registration.waiting?.postMessage("activate"));
    try {
      this.registration = await serviceWorker.register("service-worker.js", { updateViaCache: "none" });
    } catch {
      this.show("offline_failed");
      return;
    }
    this.follow(this.registration.installing);
    this.registration.addEventListener("updatefound", () => this.follow(this.registration.installing));
    if (this.registration.active) this.ready();
    if (serviceWorker.controller) this.isolate();
  }

  /** Follow the installation of a version. */
  follow(worker) {
    worker?.addEventListener("statechange", () => {
      if (worker.state === "redundant" && !this.registration.active) this.show("offline_failed");
      else if (this.registration.active || worker.state === "activated") this.ready();
    });
  }

  ready() {
    this.show("offline_ready");
    find("update").hidden = !this.registration.waiting;
  }

  show(...state) {
    this.state = state;
    const [key, share] = state;
    find("offline").textContent = text(key, { share: share === undefined ? "" : percent(share) });
  }

  /** Show the state again after a change of language. */
  refresh() {
    if (this.state) this.show(...this.state);
  }

  /** Reload the page, since a newer version has taken over in this tab or another. */
  replace() {
    this.isReplaced = true;
    this.sync();
  }

  /** Offer the newer version, and reload for it, only while no photo is waiting. */
  sync() {
    const isBusy = this.cards().some((card) => !card.ended);
    find("update-now").disabled = isBusy;
    if (this.isReplaced && !isBusy) location.reload();
  }

  /** Reload the page once, where that gives it the headers that allow threads, and nobody uses it yet. */
  isolate() {
    if (crossOriginIsolated || this.isTouched || this.cards().length) return;
    try {
      if (sessionStorage.getItem(RELOADED)) return;
      sessionStorage.setItem(RELOADED, "yes");
    } catch {
      return; // without storage it could reload for ever
    }
    location.reload();
  }
}
