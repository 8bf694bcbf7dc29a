// What the estimators of this page have in common: the failure of a request, units, and files to download.

/** An unsuccessful request: `message` is the reason, `rows` describe photos that could not be read. Status 0: no response. */
export class RequestError extends Error {
  constructor(status, body) {
    super(body.detail ?? "");
    this.status = status;
    this.rows = body.predictions ?? [];
  }
}

/** Convert g per quadrat to kg per hectare, with the quadrat area of a prediction or a model: 1 g/m2 is 10 kg/ha. */
export function kgPerHa(grams, { quadrat_area_m2: area }) {
  return (grams / area) * 10;
}

/** Download a file, given as { blob, name }. */
export function save({ blob, name }) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
