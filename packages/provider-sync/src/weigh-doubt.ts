import { createHash } from "node:crypto";
import type { GuardInput } from "./guard-input.ts";
import { type ListKind, listKey, type QuarantineEntry, type QuarantineReason } from "./quarantine.ts";

/**
 * What becomes of a list that is doubted as a whole: models, providers or endpoints.
 *
 * It is refused, but for two ways out, and each believes only what was looked at:
 * - By hand. The acceptance names the reason and carries a digest of what was wrong (the models missed or added, the prices moved). A
 *   list that misses one model more, or moves one price otherwise, was not accepted and is judged anew.
 * - By time. A shorter or longer list is believed when it was offered for the policy's time. Lists change a little every day, so that
 *   "the same list" means: besides what every list missed (or added) since the time began, it misses no more than any list may. That is
 *   remembered; a list that misses much more starts the time anew. Otherwise a shrunk list that was offered for a day would
 *   open the door to an empty one that was never offered before.
 */

/** What is wrong with a list. */
export interface ListDoubt {
  readonly kind: ListKind;
  readonly reason: QuarantineReason;
  /** Items served now, and offered. */
  readonly kept: number;
  readonly offered: number;
  /** Ids that the list misses, or adds: what it is doubted for. */
  readonly ids: readonly string[];
  /** What an acceptance by hand is of. */
  readonly evidence: readonly string[];
}

/** What became of it. */
export interface WeighedDoubt {
  readonly belief: "by-hand" | "by-time" | "refused";
  readonly reason: QuarantineReason;
  readonly entry: QuarantineEntry;
  /** The ids of the doubt at every offer since its time began. */
  readonly doubted: readonly string[];
}

/** Doubts that time can overcome. */
const CONFIRMABLE: ReadonlySet<QuarantineReason> = new Set(["dropped-too-many", "grew-too-much"]);
/** Doubts for which there is nothing that could be believed. */
const HOPELESS: ReadonlySet<QuarantineReason> = new Set(["mostly-invalid", "too-many"]);

/** Whether a doubt can be settled by hand at all. */
export function isAcceptable(reason: QuarantineReason): boolean {
  return !HOPELESS.has(reason);
}

/** What an acceptance is bound to. */
export function fingerprintOf(evidence: readonly string[]): string {
  return createHash("sha256")
    .update(JSON.stringify([...evidence].sort()))
    .digest("hex")
    .slice(0, 32);
}

/** What of the doubt was there at every offer since its time began: the time is over for these. */
function sharedIds(doubt: ListDoubt, known: readonly string[]): readonly string[] {
  const before = new Set(known);
  return doubt.ids.filter((id) => before.has(id));
}

/** Whether the list is, but for the changes that any list may have, the one that was offered when the time began. */
function isSameList(doubt: ListDoubt, shared: readonly string[], { policy }: GuardInput): boolean {
  const fresh = doubt.ids.length - shared.length;
  return fresh <= Math.max(policy.minDropCount, policy.maxDropShare * doubt.offered);
}

/** Settles a doubt about a whole list. */
export function weighDoubt(doubt: ListDoubt, input: GuardInput): WeighedDoubt {
  const { source, policy, now } = input;
  const { reason, offered } = doubt;
  const key = listKey(source, doubt.kind);
  const fingerprint = fingerprintOf(doubt.evidence);
  const known = input.doubted?.get(key);
  const held = input.quarantine.find((entry) => entry.key === key && entry.reason === reason);
  const shared = known && sharedIds(doubt, known);
  const isSame = CONFIRMABLE.has(reason) ? shared !== undefined && isSameList(doubt, shared, input) : held?.fingerprint === fingerprint;
  // A clock that was ahead must not hold up the time for as long.
  const since = held && isSame ? Math.min(held.since, now) : now;
  const expiresAt = CONFIRMABLE.has(reason) ? since + policy.listConfirmMs : Number.POSITIVE_INFINITY;
  const timing = Number.isFinite(expiresAt) ? { since, expiresAt } : { since };
  const entry: QuarantineEntry = { key, source, reason, kept: doubt.kept, offered, ...timing, fingerprint };
  const isAccepted = input.acceptances.some(
    (acceptance) => acceptance.key === key && acceptance.reason === reason && acceptance.fingerprint === fingerprint,
  );
  // An empty list is none.
  const canBeBelieved = offered > 0 && isAcceptable(reason);
  const belief = canBeBelieved && isAccepted ? "by-hand" : canBeBelieved && now >= expiresAt ? "by-time" : "refused";
  return { belief, reason, entry, doubted: held && isSame && shared ? shared : doubt.ids };
}
