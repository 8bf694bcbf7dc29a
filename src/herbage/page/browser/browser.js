// The estimator in the browser: a worker estimates, and nothing leaves the device.

import { Device } from "./device.js";
import { RequestError } from "./estimates.js";
import { writeFile } from "./files.js";
import { drawOverlay } from "./overlay.js";
import { paddockTable } from "./paddocks.js";

const INSECURE = "This page estimates only over HTTPS: open it at an address that begins with https://.";

export class BrowserEstimator {
  parallel = 1; // photos at a time: memory is scarce on phones
  texts = { privacy: "privacy_browser", unreachable: "unreachable_browser" };
  device = new Device();
  worker = null;
  tasks = new Map(); // of the photos that are being estimated, by number
  sent = 0;

  async model() {
    this.facts ??= (await fetch("model.json")).json();
    return this.facts;
  }

  /** One photo's prediction, with the arguments, the answer and the errors of `ServerEstimator.predict`. */
  async predict(file, { corners, measured }, onProgress, signal) {
    if (!isSecureContext) throw new RequestError(500, { detail: INSECURE });
    const id = this.sent++;
    const { digest } = (await this.model()).record;
    this.worker ??= this.start();
    try {
      return await new Promise((resolve, reject) => {
        this.tasks.set(id, { onProgress, resolve, reject });
        signal.addEventListener("abort", () => {
          this.worker?.postMessage({ id, cancel: true });
          reject(new DOMException("", "AbortError"));
        });
        this.worker.postMessage({ id, file, corners, measured, digest });
      });
    } finally {
      this.tasks.delete(id);
    }
  }

  start() {
    const worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
    worker.addEventListener("message", ({ data: { id, progress, answer, refusal, fault } }) => {
      if (fault) this.restart(new RequestError(500, { detail: fault }));
      const task = this.tasks.get(id);
      if (progress) task?.onProgress(progress);
      else if (answer) task?.resolve(answer);
      else if (refusal) task?.reject(new RequestError(refusal.status, refusal));
    });
    worker.addEventListener("error", () => this.restart(new RequestError(0, {})));
    return worker;
  }

  /** A worker that failed, such as for lack of memory, is not used again. */
  restart(error) {
    this.worker?.terminate();
    this.worker = null;
    for (const { reject } of this.tasks.values()) reject(error);
  }

  /** The picture of a card's photo under its map, as { blob, name }. */
  async overlay(card, target) {
    return drawOverlay(await this.model(), card, target);
  }

  /** The cover of paddocks, and remarks; `paddocks` has a name or null for each prediction. */
  async paddocks(predictions, paddocks) {
    return paddockTable(await this.model(), predictions, paddocks);
  }

  /** A file made from predictions, as { blob, name }: predictions.csv, photos.geojson, paddocks.csv or walk.json. */
  async file(kind, body) {
    const { text, name, type } = writeFile(kind, await this.model(), body);
    return { blob: new Blob([text], { type }), name };
  }
}
