import { scrub } from "./scrub.ts";
import type { Secret } from "./secret.ts";

const ERROR = Buffer.from('"error"');
const ERROR_EVENT = Buffer.from("event: error");

/**
 * A piece of an answer (a JSON body, a server-sent event) without credentials where it tells an error: providers send errors with status
 * 200 as well, and quote keys in them. What is no error is left alone, whatever it looks like: a model may write a text that begins like a
 * key.
 */
export function scrubError(bytes: Buffer, secrets: ReadonlyArray<Secret | undefined>): Buffer {
  if (!tellsError(bytes) || secrets.every((secret) => secret === undefined)) return bytes;
  return Buffer.from(scrub(bytes.toString("utf8"), secrets));
}

/** Whether `scrubError` may change any of the events in a text, which is at one byte a character. Asked once for all of a packet's events. */
export function mayTellError(events: string): boolean {
  // Both are looked for by what is rare in them: each quotation mark would be a place to look closer (of 20 events 0.5 us, and not 4).
  return events.includes("rror") && (events.includes('"error"') || events.includes("event: error"));
}

/** Whether JSON has a member or a value named error that is not null. In a text of the model's its quotes would be escaped. */
function tellsError(bytes: Buffer): boolean {
  for (let at = bytes.indexOf(ERROR); at >= 0; at = bytes.indexOf(ERROR, at + ERROR.length))
    if (!/^\s*:\s*null\b/.test(bytes.toString("latin1", at + ERROR.length, at + ERROR.length + 16))) return true;
  return bytes.indexOf(ERROR_EVENT) === 0;
}
