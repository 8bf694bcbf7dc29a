// Client of the server's API (see openapi.json).

/** An unsuccessful request: `message` is the reason, `rows` describe photos that could not be read. Status 0: no response. */
export class RequestError extends Error {
  constructor(status, body) {
    super(body.detail ?? "");
    this.status = status;
    this.rows = body.predictions ?? [];
  }
}

export async function getJson(path) {
  return (await request(path)).json();
}

export async function postJson(path, body) {
  return request(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
}

export async function postPhoto(path, file) {
  const form = new FormData();
  form.append("photo", file);
  return request(path, { method: "POST", body: form });
}

async function request(path, options) {
  const response = await fetch(path, options).catch(() => {
    throw new RequestError(0, {});
  });
  if (!response.ok) throw new RequestError(response.status, await response.json().catch(() => ({})));
  return response;
}

/**
 * One photo's prediction. `corners` are four [x, y] or null, `measured` numbers by column name or null. Calls `onProgress` with ("uploading", share), ("estimating") or ("busy"). While the server
 * is busy, the request is repeated after its Retry-After. Uses XMLHttpRequest, since fetch has no upload progress.
 */
export async function predict(file, { corners, measured }, onProgress, signal) {
  for (;;) {
    const [status, body, retryAfter] = await send(file, { corners, measured }, onProgress, signal);
    if (status === 200) return body.predictions[0];
    if (status !== 429) throw new RequestError(status, body);
    onProgress("busy");
    await new Promise((resolve) => {
      setTimeout(resolve, 1000 * Math.min(30, Number(retryAfter) || 5));
      signal.addEventListener("abort", resolve);
    });
    if (signal.aborted) throw new DOMException("", "AbortError");
  }
}

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

/** Convert g per quadrat to kg per hectare, with the quadrat area of a prediction. */
export function kgPerHa(grams, row) {
  return (grams * 10) / row.quadrat_area_m2;
}

/** The name that the server gives to a file. */
export function nameOf(response) {
  return decodeURIComponent(response.headers.get("Content-Disposition").match(/filename\*=UTF-8''(.*)/)[1]);
}

/** Download a blob as a file. */
export function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
