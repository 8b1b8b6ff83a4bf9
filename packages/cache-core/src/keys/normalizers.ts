import { CacheError } from "../errors.ts";
import type { JsonObject, Normalizer } from "./normalizer.ts";
import type { Endpoint } from "./request-fields.ts";
import { textSlots, toolCallHolders } from "./text-slots.ts";

/** Which properties name a tool call or the answer to one. */
const ID_NAMES: Readonly<Partial<Record<Endpoint, readonly string[]>>> = {
  chat: ["id", "tool_call_id"],
  messages: ["id", "tool_use_id"],
  responses: ["call_id"],
};

function mentionsOf(endpoint: Endpoint, body: JsonObject): Array<{ holder: JsonObject; name: string; path: string }> {
  const names = ID_NAMES[endpoint] ?? [];
  return toolCallHolders(endpoint, body).flatMap(([path, holder]) =>
    names.filter((name) => typeof holder[name] === "string").map((name) => ({ holder, name, path: `${path}.${name}` })),
  );
}

/**
 * Tool-call ids by order of appearance: `call_1`, `call_2`, … Providers make them up at random, so that an agent that goes the same way
 * twice never hits. All ids of a request are renamed, one to one, so two requests become one only when they differ by a renaming.
 */
export const renumberToolCalls: Normalizer = {
  name: "tool-call-ids",
  normalize(endpoint, body, report) {
    const numbers = new Map<string, string>();
    for (const { holder, name, path } of mentionsOf(endpoint, body)) {
      const id = holder[name] as string;
      if (!numbers.has(id)) numbers.set(id, `call_${numbers.size + 1}`);
      const renamed = numbers.get(id);
      if (renamed !== id) report(path);
      holder[name] = renamed;
    }
  },
};

/** White space at the end of prompts and messages: templates and editors leave it there. Inside a text it stays. */
export const trimTrailingSpace: Normalizer = {
  name: "trailing-space",
  normalize(endpoint, body, report) {
    for (const slot of textSlots(endpoint, body)) {
      const trimmed = slot.read().trimEnd();
      if (trimmed === slot.read()) continue;
      slot.write(trimmed);
      report(slot.path);
    }
  },
};

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
