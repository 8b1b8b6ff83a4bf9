import type { GuardPolicy } from "./guard-policy.ts";
import { listingId } from "./model-listing.ts";
import { type Acceptance, groupKey, type QuarantineEntry } from "./quarantine.ts";
import type { ListedModel } from "./snapshot.ts";

/** What the guard of vanished models remembers. */
export interface VanishContext {
  readonly source: string;
  readonly policy: GuardPolicy;
  /** Epoch milliseconds of the run. */
  readonly now: number;
  /** Runs in a row that missed a model, by id. */
  readonly missedRuns: ReadonlyMap<string, number>;
  readonly held: ReadonlyMap<string, QuarantineEntry>;
  readonly accepted: ReadonlyMap<string, Acceptance>;
  /** The shorter list was accepted by hand as a whole: what it misses is gone at once. */
  readonly isListAccepted: boolean;
}

/** What becomes of the models that a list misses. */
export interface VanishedModels {
  /** Still served, marked with the instant they were first missed. */
  readonly kept: readonly ListedModel[];
  /** Runs in a row that missed each of them. */
  readonly missedRuns: ReadonlyMap<string, number>;
  /** Ids of models that are served no longer. */
  readonly removed: readonly string[];
  readonly entries: readonly QuarantineEntry[];
}

function groupOf(model: ListedModel): string {
  const { provider, author } = model.listing;
  return author === undefined ? provider : `${provider}/${author}`;
}

function countByGroup(models: Iterable<ListedModel>): Map<string, number> {
  const counts = new Map<string, number>();
  for (const model of models) counts.set(groupOf(model), (counts.get(groupOf(model)) ?? 0) + 1);
  return counts;
}

/** Groups most of whose models are missed. */
interface VanishedGroups {
  /** Held back: served on. */
  readonly held: Map<string, QuarantineEntry>;
  /** Let go by hand. */
  readonly accepted: Set<string>;
}

/** Whether a group was let go by hand as it is now, or with even less left of it: another value is judged anew. */
function isGroupAccepted(acceptance: Acceptance | undefined, remaining: number): boolean {
  return acceptance !== undefined && acceptance.offered !== null && remaining >= acceptance.offered;
}

/** An upstream's own fault rather than so many single farewells. */
function vanishedGroups(served: readonly ListedModel[], missing: readonly ListedModel[], context: VanishContext): VanishedGroups {
  const { policy, now, source } = context;
  const sizes = countByGroup(served);
  const groups = { held: new Map<string, QuarantineEntry>(), accepted: new Set<string>() };
  for (const [group, count] of countByGroup(missing)) {
    const size = sizes.get(group) ?? count;
    if (size < policy.minGroupSize || count / size <= policy.maxGroupDropShare) continue;
    const key = groupKey(source, group);
    const since = Math.min(context.held.get(key)?.since ?? now, now);
    const expiresAt = since + policy.groupConfirmMs;
    const remaining = size - count;
    if (isGroupAccepted(context.accepted.get(key), remaining)) groups.accepted.add(group);
    if (groups.accepted.has(group) || now >= expiresAt) continue;
    const timing = Number.isFinite(expiresAt) ? { since, expiresAt } : { since };
    groups.held.set(group, { key, source, reason: "group-vanished", kept: size, offered: remaining, ...timing });
  }
  return groups;
}

/**
 * Decides how long models that a list misses stay served. Histories show models gone for hours to days and back again, one by one and
 * by whole providers; consumers must not see that flapping. A model goes when it was missed for the policy's number of runs and time;
 * a whole group is held longer and shown as one incident.
 */
export function guardVanished(served: readonly ListedModel[], missing: readonly ListedModel[], context: VanishContext): VanishedModels {
  const { policy, now } = context;
  const groups = vanishedGroups(context.isListAccepted ? [] : served, context.isListAccepted ? [] : missing, context);
  const kept: ListedModel[] = [];
  const removed: string[] = [];
  const missedRuns = new Map<string, number>();
  for (const model of missing) {
    const id = listingId(model.listing.provider, model.listing.model);
    const runs = (context.missedRuns.get(id) ?? 0) + 1;
    // A clock that was ahead must not keep it for longer.
    const vanishedAt = Math.min(model.vanishedAt ?? now, now);
    const isOver = runs > policy.vanishedRuns && now - vanishedAt >= policy.vanishedMs;
    if (context.isListAccepted || groups.accepted.has(groupOf(model)) || (isOver && !groups.held.has(groupOf(model)))) {
      removed.push(id);
      continue;
    }
    kept.push(model.vanishedAt === vanishedAt ? model : { ...model, vanishedAt });
    missedRuns.set(id, runs);
  }
  return { kept, missedRuns, removed, entries: [...groups.held.values()] };
}
