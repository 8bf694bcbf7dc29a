// The estimator on the server, by the API of openapi.json.

import { RequestError } from "./estimates.js";

export class ServerEstimator {
  parallel = 4; // photos at a time, so that one is uploaded while another is estimated
  texts = { privacy: "privacy", unreachable: "unreachable" };
  device = null; // nothing is stored in the browser

  /** What the model is and what it estimates, with the colours of its maps. */
  async model() {
    return getJson("api/model");
  }

  /**
   * One photo's prediction as { row, map }; the map is null where there is none. `corners` are four [x, y] or null,
   * `measured` numbers by column name or null. Calls `onProgress` with ("uploading", share), ("estimating") or ("busy").
   * While the server is busy, the request is repeated after its Retry-After.
   */
  async predict(file, { corners, measured }, onProgress, signal) {
    for (;;) {
      const [status, body, retryAfter] = await send(file, { corners, measured }, onProgress, signal);
      if (status === 200) return withMap(body.predictions[0]);
      if (status !== 429) throw new RequestError(status, body);
      onProgress("busy");
      await new Promise((resolve) => {
        setTimeout(resolve, 1000 * Math.min(30, Number(retryAfter) || 5));
        signal.addEventListener("abort", resolve);
      });
      if (signal.aborted) throw new DOMException("", "AbortError");
    }
  }

  /** The picture of a card's photo under its map, as { blob, name }. */
  async overlay({ row, file }, target) {
    const form = new FormData();
    form.append("photo", file);
    return content(await request(`${row.map.slice(1)}/overlay?target=${target}`, { method: "POST", body: form }));
  }

  /** The cover of paddocks, and remarks; `paddocks` has a name or null for each prediction. */
  async paddocks(predictions, paddocks) {
    return (await postJson("api/paddocks", { predictions, paddocks })).json();
  }

  /** A file made from predictions, as { blob, name }: predictions.csv, photos.geojson, paddocks.csv or walk.json. */
  async file(kind, body) {
    return content(await postJson(`api/files/${kind}`, body));
  }

  /** The season of the farm. */
  async season() {
    return getJson("api/farm");
  }

  /** Save predictions to the farm. */
  async saveToFarm(body) {
    return (await postJson("api/farm", body)).json();
  }
}

async function withMap(row) {
  return { row, map: row.map && (await getJson(row.map.slice(1))) };
}

async function getJson(path) {
  return (await request(path)).json();
}

async function postJson(path, body) {
  return request(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
}

async function request(path, options) {
  const response = await fetch(path, options).catch(() => {
    throw new RequestError(0, {});
  });
  if (!response.ok) throw new RequestError(response.status, await response.json().catch(() => ({})));
  return response;
}

async function content(response) {
  const name = decodeURIComponent(response.headers.get("Content-Disposition").match(/filename\*=UTF-8''(.*)/)[1]);
  return { blob: await response.blob(), name };
}

/** Send a photo by XMLHttpRequest, since fetch has no upload progress. */
function send(file, { corners, measured }, onProgress, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const form = new FormData();
    form.append("photos", file);
    if (corners) form.append("corners", JSON.stringify([corners]));
    if (measured) form.append("measured", JSON.stringify([measured]));
    request.open("POST", "api/predictions");
    request.responseType = "json";
    request.upload.onprogress = (event) => onProgress("uploading", event.loaded / event.total);
    request.upload.onload = () => onProgress("estimating");
    request.onload = () => resolve([request.status, request.response ?? {}, request.getResponseHeader("Retry-After")]);
    request.onerror = () => reject(new RequestError(0, {}));
    request.onabort = () => reject(new DOMException("", "AbortError"));
    signal.addEventListener("abort", () => request.abort());
    request.send(form);
  });
}
