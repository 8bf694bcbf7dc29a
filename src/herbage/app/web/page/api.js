// The server's API, as openapi.json describes it.

/** An answer that is no success; `detail` says why, `rows` are of photos that could not be read. */
export class Refused extends Error {
  constructor(status, body) {
    super(body.detail ?? "");
    this.status = status;
    this.rows = body.predictions ?? [];
  }
}

export async function getJson(path) {
  return (await answered(path)).json();
}

export async function postJson(path, body) {
  return answered(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
}

export async function postPhoto(path, file) {
  const form = new FormData();
  form.append("photo", file);
  return answered(path, { method: "POST", body: form });
}

async function answered(path, options) {
  const answer = await fetch(path, options).catch(() => {
    throw new Refused(0, {});
  });
  if (!answer.ok) throw new Refused(answer.status, await answer.json().catch(() => ({})));
  return answer;
}

/**
 * One photo's prediction. `told` hears ("uploading", share), ("estimating") and ("busy"); a busy server is asked
 * again when it says so. XMLHttpRequest, since fetch does not tell how much was sent.
 */
export async function predict(file, corners, told, signal) {
  for (;;) {
    const [status, body, retryAfter] = await send(file, corners, told, signal);
    if (status === 200) return body.predictions[0];
    if (status !== 429) throw new Refused(status, body);
    told("busy");
    await new Promise((go) => {
      setTimeout(go, 1000 * Math.min(30, Number(retryAfter) || 5));
      signal.addEventListener("abort", go);
    });
    if (signal.aborted) throw new DOMException("", "AbortError");
  }
}

function send(file, corners, told, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const form = new FormData();
    form.append("photos", file);
    if (corners) form.append("corners", JSON.stringify([corners]));
    request.open("POST", "api/predictions");
    request.responseType = "json";
    request.upload.onprogress = (event) => told("uploading", event.loaded / event.total);
    request.upload.onload = () => told("estimating");
    request.onload = () => resolve([request.status, request.response ?? {}, request.getResponseHeader("Retry-After")]);
    request.onerror = () => reject(new Refused(0, {}));
    request.onabort = () => reject(new DOMException("", "AbortError"));
    signal.addEventListener("abort", () => request.abort());
    request.send(form);
  });
}

/** Kilograms a hectare of grams a quadrat, by the area that a prediction's photo shows. */
export function kgPerHa(grams, row) {
  return (grams * 10) / row.quadrat_area_m2;
}

/** Hand a file to the person. */
export function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
