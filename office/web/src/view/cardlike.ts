/**
 * Does a text hold something that looks like a card number? The console refuses such text in any case; this keeps it
 * from being sent, and from staying on the screen.
 */

/** Prefix, first and last, and the lengths issued under it: the card schemes' public ranges, narrower ones folded in. */
const RANGES: readonly [first: number, last: number, lengths: readonly number[]][] = [
  [4, 4, [16, 18, 19]],
  [51, 55, [16]],
  [2221, 2720, [16]],
  [34, 34, [15]],
  [37, 37, [15]],
  [300, 305, [14, 16, 19]],
  [36, 36, [14, 16, 19]],
  [38, 39, [14, 16, 19]],
  [2131, 2131, [16, 17, 18, 19]],
  [1800, 1800, [16, 17, 18, 19]],
  [3528, 3589, [16, 17, 18, 19]],
  [2200, 2204, [16, 17, 18, 19]],
  [9792, 9792, [16]],
  [81, 81, [14, 15, 16, 17, 18, 19]],
  [50, 50, [12, 13, 14, 15, 16, 17, 18, 19]],
  [56, 59, [12, 13, 14, 15, 16, 17, 18, 19]],
  [6, 6, [12, 13, 14, 15, 16, 17, 18, 19]],
];

const LENGTH_MIN = 12;
const LENGTH_MAX = 19;

export function cardLike(text: string): boolean {
  // Digits with at most one space, dash or dot between two of them count as one run.
  const runs = text.match(/\d(?:[ .-]?\d)*/g) ?? [];
  return runs.some((run) => holdsCard(run.replace(/\D/g, "")));
}

/** Any stretch of the run counts, so that a number cannot hide behind a digit put before it. */
function holdsCard(run: string): boolean {
  for (let length = LENGTH_MIN; length <= Math.min(LENGTH_MAX, run.length); length += 1) {
    for (let start = 0; start + length <= run.length; start += 1) {
      const stretch = run.slice(start, start + length);
      if (issued(stretch) && checkDigitFits(stretch)) return true;
    }
  }
  return false;
}

function issued(digits: string): boolean {
  return RANGES.some(([first, last, lengths]) => {
    const prefix = Number(digits.slice(0, String(first).length));
    return prefix >= first && prefix <= last && lengths.includes(digits.length);
  });
}

/** ISO/IEC 7812-1 annex B. */
function checkDigitFits(digits: string): boolean {
  let sum = 0;
  [...digits].reverse().forEach((digit, index) => {
    const value = Number(digit) * (index % 2 === 0 ? 1 : 2);
    sum += value > 9 ? value - 9 : value;
  });
  return sum % 10 === 0;
}
