// The site without a network: its service worker, what it has stored, and a newer version.

import { percent, text } from "./text.js";

const find = (id) => document.getElementById(id);
const RELOADED = "herbage reloaded"; // in sessionStorage: a second reload would not help

export class Offline {
  /** `isIdle()` says whether a reload loses nothing. */
  constructor(isIdle) {
    this.isIdle = isIdle;
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
    serviceWorker.addEventListener("controllerchange", () => this.isolate());
    find("update-now").addEventListener("click", () => this.update());
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

  /** Use the newer version; the page is reloaded when it has taken over. */
  update() {
    navigator.serviceWorker.addEventListener("controllerchange", () => location.reload());
    this.registration.waiting?.postMessage("activate");
  }

  /** Reload the page once, where that gives it the headers that allow threads, and nobody uses it yet. */
  isolate() {
    if (crossOriginIsolated || this.isTouched || !this.isIdle() || sessionStorage.getItem(RELOADED)) return;
    sessionStorage.setItem(RELOADED, "yes");
    location.reload();
  }
}
