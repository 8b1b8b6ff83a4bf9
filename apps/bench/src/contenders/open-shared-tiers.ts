import { PeerUnavailable } from "../peers.ts";
import type { ScenarioContext, UnavailableContender } from "../scenario.ts";
import { openSharedTier, type SharedTier, type SharedTierContender } from "./shared-tier-peers.ts";

/** One that is open, and whose it is. */
export interface OpenTier extends SharedTier {
  readonly name: string;
  readonly version: string;
}

/** Opens those that are installed, each under a name of its own, or one would read what another wrote; says why the others are not. */
export async function openSharedTiers(
  context: ScenarioContext,
  contenders: readonly SharedTierContender[],
  url: string,
  namespace: string,
): Promise<{ readonly tiers: OpenTier[]; readonly unavailable: UnavailableContender[] }> {
  const tiers: OpenTier[] = [];
  const unavailable: UnavailableContender[] = [];
  for (const contender of contenders) {
    const { name } = contender;
    try {
      tiers.push({ ...(await openSharedTier(contender, context.peers, url, `${namespace}-${contender.peer}`)), name });
    } catch (error) {
      if (!(error instanceof PeerUnavailable)) throw error;
      unavailable.push({ contender: name, why: error.message, install: error.install });
    }
  }
  return { tiers, unavailable };
}
