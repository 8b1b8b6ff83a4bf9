import { CacheError } from "../errors.ts";
import type { Normalizer } from "./normalizer.ts";
import { textSlots } from "./text-slots.ts";

const MONTH = "(?:January|February|March|April|May|June|July|August|September|October|November|December)";

/** ISO dates, with or without a time; `November 21, 2026` and `21 November 2026`, with or without the day of the week. */
const DATE = new RegExp(
  [
    "\\b\\d{4}-\\d{2}-\\d{2}(?:[T ]\\d{2}:\\d{2}(?::\\d{2}(?:\\.\\d+)?)?(?:Z|[+-]\\d{2}:?\\d{2})?)?",
    `\\b(?:\\w{3,6}day,? )?(?:${MONTH} \\d{1,2}(?:st|nd|rd|th)?,? \\d{4}|\\d{1,2} ${MONTH} \\d{4})\\b`,
  ].join("|"),
  "g",
);

/** What stands where a date stood. */
const DATE_MARK = "\u27e8date\u27e9";

/**
 * Makes a normalizer that takes dates out of system prompts: "Today is November 21, 2026" makes every day's keys new, though few answers
 * depend on it. Whoever turns it on says that theirs do not. Dates in the conversation stay.
 * @param pattern what counts as a date, with the flag `g`. @default ISO dates and times, and dates with an English month
 * @throws {CacheError} ERR_CACHE_INVALID_OPTION when the pattern has no flag `g`
 */
export function dropSystemDate(pattern: RegExp = DATE): Normalizer {
  if (!pattern.global)
    throw new CacheError("ERR_CACHE_INVALID_OPTION", "pattern must have the flag g, or it would drop the first date alone");
  return {
    name: pattern === DATE ? "system-date" : `system-date:${pattern.source}:${pattern.flags}`,
    normalize(endpoint, body, report) {
      for (const slot of textSlots(endpoint, body)) {
        if (!slot.isSystem) continue;
        const text = slot.read();
        const dropped = text.replace(pattern, DATE_MARK);
        if (dropped === text) continue;
        slot.write(dropped);
        report(slot.path);
      }
    },
  };
}
