import type { InvalidationTarget } from "./invalidation.ts";
import { isWellFormed } from "./is-well-formed.ts";

/** Longest pattern that is kept apart, in characters: every read is held against it, and every batch of reads without a bus brings it along. */
export const MAX_PATTERN_LENGTH = 1_024;

/**
 * What an invalidation leaves in a lane's record: the kind and subject that scripts are given. Redis keeps UTF-8, which has no lone surrogates: a
 * pattern with one would come back as another, and what it dropped would be valid again. Such a one, or one that is too long, is marked as all,
 * which drops more and costs loads.
 */
export function markOf(target: InvalidationTarget): readonly [kind: InvalidationTarget["kind"], subject: string] {
  if (target.kind === "tag") return ["tag", target.tag];
  if (target.kind !== "pattern") return [target.kind, ""];
  const { pattern } = target;
  const isKept = pattern.length <= MAX_PATTERN_LENGTH && isWellFormed(pattern);
  return isKept ? ["pattern", pattern] : ["all", ""];
}
