import type { PricePath } from "./prices.ts";

/** Why something that an upstream offers is held back. */
export type QuarantineReason =
  | "not-a-number" // a price that cannot be read
  | "negative"
  | "above-bound" // no model costs that much: a wrong unit
  | "jump" // moved by the policy's factor or more in one step
  | "dropped-to-zero" // a paid price became free
  | "price-withdrawn" // the input or output price is no longer told
  | "too-few" // a whole list below the floor
  | "dropped-too-many" // a whole list that lost more than the policy's share
  | "grew-too-much" // a whole list that gained more than the policy's share
  | "too-many" // a whole list above the ceiling
  | "mass-jump" // a whole list many of whose prices moved or went together: a wrong unit
  | "mostly-invalid" // a whole list most of whose items did not validate
  | "group-vanished"; // all models of one provider or author went at once

/**
 * Something that an upstream offers and the guards do not believe. What was known before stays served meanwhile. It leaves the
 * quarantine when the upstream no longer offers it, when it is accepted by hand, or, where `expiresAt` is given, when it has been
 * offered unchanged until then and is believed after all.
 */
export interface QuarantineEntry {
  /** Names it for acceptance: `source#id#path`, `source#models`, `source#providers`, `source#endpoints` or `source#group:name`. */
  readonly key: string;
  readonly source: string;
  readonly reason: QuarantineReason;
  /** The listing concerned; absent for a whole list or group. */
  readonly id?: string;
  /** The price concerned. */
  readonly path?: PricePath;
  /** What is served instead; absent when nothing was known. */
  readonly kept?: number;
  /** What the upstream offers: a price, or a number of models. `null` = a price that cannot be read, or none. */
  readonly offered: number | null;
  /** Epoch milliseconds since when it is offered unchanged; of a list, with no more changes than any list may have. */
  readonly since: number;
  /**
   * Epoch milliseconds from which it is believed if still offered; absent = never, only by hand. A shorter list stays here after that,
   * until what it misses is no longer served: accepted by hand, that goes at once.
   */
  readonly expiresAt?: number;
  /** Of a whole list: digest of the models that it misses or adds, or of the prices that it moves. An acceptance is of these alone. */
  readonly fingerprint?: string;
}

/** A decision by hand that outlives the run in which it was made. */
export interface Acceptance {
  /** The quarantine key. */
  readonly key: string;
  /** What was accepted: another value is judged anew. For a list or a group: the next run that offers it takes it. */
  readonly offered: number | null;
  /** What was wrong with it: the same key held for another reason is judged anew. Acceptances without are of an earlier release, and of prices alone. */
  readonly reason?: QuarantineReason;
  /** Of a whole list: what was accepted, as in its entry. */
  readonly fingerprint?: string;
  /** Epoch milliseconds of the decision. */
  readonly acceptedAt: number;
}

/** The quarantine keys of whole lists. */
export type ListKind = "models" | "providers" | "endpoints";

/** The quarantine key of a whole list. */
export function listKey(source: string, kind: ListKind): string {
  return `${source}#${kind}`;
}

/** The quarantine key of a group of models. */
export function groupKey(source: string, group: string): string {
  return `${source}#group:${group}`;
}

/** The quarantine key of a price. */
export function priceKey(source: string, id: string, path: PricePath): string {
  return `${source}#${id}#${path}`;
}
