// Number fields of a card, for what was measured beside its photo, such as the height of the sward.

import { measure, parseNumber, text } from "./text.js";

const template = document.getElementById("measure");

export class MeasuredFields {
  /** A field per column of the model; `changed()` is called when a user has changed one of the numbers. */
  constructor(container, columns, id, changed) {
    this.fields = columns.map((column, index) => {
      const element = container.appendChild(document.importNode(template.content, true).firstElementChild);
      const [label, input, hint] = ["label span", "input", "small"].map((part) => element.querySelector(part));
      hint.id = `${id}-measured-${index}`;
      input.setAttribute("aria-describedby", hint.id);
      input.inputMode = column.low < 0 ? "text" : "decimal"; // keyboards of phones for decimals lack the minus sign
      const field = { column, label, input, hint, value: null };
      input.addEventListener("change", () => {
        const value = parseNumber(input.value);
        const differs = !same(value, field.value);
        field.value = value;
        this.show();
        if (differs) changed();
      });
      return field;
    });
    this.show();
  }

  /** The numbers by column name; null if there are none. */
  get values() {
    const known = this.fields.filter(({ value }) => value !== null && !Number.isNaN(value));
    return known.length ? Object.fromEntries(known.map(({ column, value }) => [column.name, value])) : null;
  }

  /** Fill in the numbers of an earlier visit. */
  set values(numbers) {
    for (const field of this.fields) {
      field.value = numbers?.[field.column.name] ?? null;
      field.input.value = field.value === null ? "" : measure(field.value);
    }
    this.show();
  }

  /** Update labels and hints after a change of language or of a number. */
  show() {
    for (const { column, label, input, hint, value } of this.fields) {
      const { low, high, unit } = column;
      const range = { low: measure(low), high: measure(high) };
      const invalid = Number.isNaN(value);
      const outside = value !== null && (value < low || value > high);
      label.textContent = unit ? text("measured_label", { label: column.label, unit }) : column.label;
      if (invalid) hint.textContent = text("measured_invalid", { example: measure(12.5) });
      else hint.textContent = text(outside ? "measured_outside" : "measured_range", range);
      hint.classList.toggle("warning", invalid || outside);
      input.setAttribute("aria-invalid", invalid);
    }
  }
}

/** Whether two numbers are sent alike: what is not a number is not sent, as if it were missing. */
function same(one, other) {
  return (Number.isNaN(one) ? null : one) === (Number.isNaN(other) ? null : other);
}
