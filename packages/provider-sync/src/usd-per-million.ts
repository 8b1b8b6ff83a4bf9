/**
 * Turns an upstream's price into US dollars per million tokens, the one unit of the catalog.
 *
 * Upstreams disagree twice: in the unit (per token, per million) and in the type (decimal string, number). Multiplying by 1e6 in
 * binary floating point gives 0.30000000000000004 for 3e-7; two sources that mean the same price would then look different. So the
 * decimal point is moved in the text and the number read once: the result is the double nearest to what was written.
 */

/** One way to read each text: `\d+\.?\d*` would try every split of a run of digits, and a body of them would hold up the process. */
const DECIMAL = /^([+-]?(?:\d+(?:\.\d*)?|\.\d+))(?:e([+-]?\d{1,3}))?$/i;
/** Characters of a price at most: the longest real ones have some twenty. */
const MAX_PRICE_TEXT = 64;

function shift(price: string | number, places: number): number {
  const text = String(price);
  const match = text.length <= MAX_PRICE_TEXT ? DECIMAL.exec(text.trim()) : null;
  if (!match) return Number.NaN;
  const shifted = Number(`${match[1]}e${Number(match[2] ?? 0) + places}`);
  return Object.is(shifted, -0) ? 0 : shifted;
}

function isAbsent(price: string | number | null | undefined): price is null | undefined | "" {
  return price === undefined || price === null || price === "";
}

/**
 * Dollars per million tokens from dollars per token. Absent, `null` and `""` stay `undefined`. What is no decimal number gives `NaN`,
 * which the guard quarantines: a price that cannot be read must not look like a price that is not there.
 */
export function fromUsdPerToken(price: string | number | null | undefined): number | undefined {
  return isAbsent(price) ? undefined : shift(price, 6);
}

/** Dollars as they are: for prices already per million tokens, and for those per request, image or search. */
export function fromUsd(price: string | number | null | undefined): number | undefined {
  return isAbsent(price) ? undefined : shift(price, 0);
}
