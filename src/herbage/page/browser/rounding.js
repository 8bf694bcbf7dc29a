// Rounding as in Python, so that the files of the page equal those of the command line.

/**
 * A number to some decimal places. As in Python, it is the exact value that is rounded, and a tie goes to the even digit:
 * ties are the odd multiples of 1 / 2 ** (digits + 1), whose scaled values are exact.
 */
export function round(value, digits) {
  const isTie = Math.abs((value * 2 ** (digits + 1)) % 2) === 1;
  return isTie ? (2 * Math.round((value * 10 ** digits) / 2)) / 10 ** digits : Number(value.toFixed(digits));
}
