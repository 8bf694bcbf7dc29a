// Rounding as in Python, so that files of the page equal those of the command line.

/** Round to a number of decimal places; exact ties go to the even digit. */
export function round(value, digits) {
  return Number(value.toFixed(digits));
}
