// The worker of the page: estimates photos one at a time, so that the page stays responsive.

import "./site.js";
import * as ort from "./runtime/ort.wasm.min.js";
import { RequestError } from "./estimates.js";
import { openPhoto, readsTruePixels, refuse } from "./photo.js";
import { mapOf, measuredInputs, rowOf } from "./row.js";

const MAX_THREADS = 4;
const WASM = "runtime/ort-wasm-simd-threaded.wasm";

const FALSIFIED = "cannot be estimated: this browser changes pixels against fingerprinting; allow this site to read canvas data";
const REPLACED = "Another tab has loaded a newer version of this page: reload this one.";

const waiting = [];
let opened;
let isRunning = false;

self.addEventListener("message", async ({ data }) => {
  if (data.cancel) {
    const place = waiting.findIndex(({ id }) => id === data.id);
    if (place >= 0) waiting.splice(place, 1);
    return;
  }
  waiting.push(data);
  if (isRunning) return;
  isRunning = true;
  while (waiting.length) await run(waiting.shift());
  isRunning = false;
});

async function run({ id, file, corners, measured, digest }) {
  try {
    postMessage({ id, progress: "loading" });
    opened ??= open();
    const estimator = await opened.catch((error) => {
      opened = undefined; // so that the next photo tries again
      throw error;
    });
    if (estimator.model.record.digest !== digest) throw new RequestError(409, { detail: REPLACED });
    postMessage({ id, progress: "estimating" });
    postMessage({ id, answer: await estimate(estimator, file, corners, measured) });
  } catch (error) {
    const { status, message: detail, rows: predictions } = error;
    postMessage(error instanceof RequestError ? { id, refusal: { status, detail, predictions } } : { id, fault: String(error) });
  }
}

/** The model's facts, an open session, and whether this browser returns true pixels. */
async function open() {
  const model = await (await fetch("model.json")).json();
  Object.assign(ort.env.wasm, {
    numThreads: self.crossOriginIsolated ? Math.min(MAX_THREADS, navigator.hardwareConcurrency) : 1,
    wasmBinary: await bytes(WASM),
    wasmPaths: { mjs: new URL("runtime/ort-wasm-simd-threaded.js", import.meta.url).href },
  });
  const [network, ...weights] = model.estimator;
  const session = await ort.InferenceSession.create(await bytes(network), {
    executionProviders: ["wasm"],
    enableCpuMemArena: false, // an arena keeps the memory of the largest photo
    enableMemPattern: false,
    externalData: await Promise.all(weights.map(async (name) => ({ path: name.split("/").pop(), data: await bytes(name) }))),
  });
  ort.env.wasm.wasmBinary = undefined; // it is compiled now
  return { model, session, isTrue: await readsTruePixels() };
}

async function bytes(name) {
  const response = await fetch(name, { integrity: self.site.files[name].integrity }).catch(() => undefined);
  if (!response?.ok) throw new RequestError(0, {});
  return new Uint8Array(await response.arrayBuffer());
}

async function estimate({ model, session, isTrue }, file, corners, measured) {
  const photo = await openPhoto(file, corners);
  if (!isTrue) refuse(file, "unreadable", FALSIFIED);
  const { width, height, rgb } = photo.pixels();
  const inputs = { photo: new ort.Tensor("uint8", rgb, [height, width, 3]) };
  if (model.measured_columns.length) {
    const values = measuredInputs(model, measured);
    inputs.measured = new ort.Tensor("float32", values, [values.length]);
  }
  const outputs = await session.run(inputs);
  const answer = { row: rowOf(model, file.name, photo, outputs, measured), map: mapOf(model, outputs) };
  for (const tensor of [...Object.values(inputs), ...Object.values(outputs)]) tensor.dispose();
  return answer;
}
