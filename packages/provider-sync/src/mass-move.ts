import type { GuardPolicy } from "./guard-policy.ts";
import type { ListDoubt } from "./weigh-doubt.ts";

/** Models (or hosts) whose prices may always move together: a list may hold no more than that. */
const ALWAYS_ALLOWED = 20;

/** How the prices of a list moved. */
export interface ListMoves extends Pick<ListDoubt, "kind" | "kept"> {
  /** Models or hosts judged, and those of them with a price that moved much or went. */
  readonly judged: number;
  readonly moved: number;
  readonly moves: readonly string[];
}

/**
 * Prices that move or go together are one error of the upstream and no news about so many models: a wrong unit, a lost column, another
 * currency. In the stored histories at most 4 % of a list's models moved by a fifth or more at once.
 */
export function massMoveDoubt({ kind, kept, judged, moved, moves }: ListMoves, policy: GuardPolicy): ListDoubt | undefined {
  if (moved <= Math.max(ALWAYS_ALLOWED, policy.maxJumpShare * judged)) return undefined;
  return { kind, reason: "mass-jump", kept, offered: judged, ids: [], evidence: moves };
}
