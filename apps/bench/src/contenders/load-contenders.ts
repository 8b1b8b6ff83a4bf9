import { type Peers, PeerUnavailable } from "../peers.ts";
import type { ScenarioContext, UnavailableContender } from "../scenario.ts";
import { leftOutOfQuick } from "./left-out-of-quick.ts";
import { peerPackages } from "./peer-packages.ts";
import type { ReadThroughContender } from "./read-through.ts";
import { larder, larderWithoutL2 } from "./read-through-larder.ts";
import { readThroughPeers } from "./read-through-peers.ts";

/** A contender whose peer is installed. */
export interface InstalledContender {
  readonly contender: ReadThroughContender;
  readonly version: string | undefined;
}

/** All read-through caches by name. */
export const readThroughContenders: readonly ReadThroughContender[] = [larder, larderWithoutL2, ...readThroughPeers];

/** Peers that a quick run does without: each process of each experiment takes its time, and these have no bus. */
const LEFT_OUT_OF_QUICK: readonly string[] = ["cache-manager", "async-cache-dedupe"];

/** The contenders of a scenario in which each takes long. */
export async function installForRun(
  contenders: readonly ReadThroughContender[],
  { quick, peers }: Pick<ScenarioContext, "quick" | "peers">,
): Promise<{ readonly installed: InstalledContender[]; readonly unavailable: UnavailableContender[] }> {
  const isAsked = ({ name }: ReadThroughContender): boolean => !quick || !LEFT_OUT_OF_QUICK.includes(name);
  const { installed, unavailable } = await installContenders(contenders.filter(isAsked), peers);
  const leftOut = contenders.filter((contender) => !isAsked(contender)).map(({ name }) => leftOutOfQuick(name));
  return { installed, unavailable: [...unavailable, ...leftOut] };
}

/** The version of a peer that is there as a whole: one that cannot be imported would end the scenario when its turn comes. */
async function importedVersion(name: string, peers: Peers): Promise<string> {
  const peer = await peers.load(name);
  for (const each of [name, ...Object.keys(peerPackages[name]?.beside ?? {})]) await peer.import(each);
  return peer.version;
}

/** Installs the peers of the contenders. @returns those that are there, and why the others are not */
export async function installContenders(
  contenders: readonly ReadThroughContender[],
  peers: Peers,
): Promise<{ readonly installed: InstalledContender[]; readonly unavailable: UnavailableContender[] }> {
  const installed: InstalledContender[] = [];
  const unavailable: UnavailableContender[] = [];
  for (const contender of contenders) {
    try {
      installed.push({ contender, version: contender.peer ? await importedVersion(contender.peer, peers) : undefined });
    } catch (error) {
      if (!(error instanceof PeerUnavailable)) throw error;
      unavailable.push({ contender: contender.name, why: error.message, install: error.install });
    }
  }
  return { installed, unavailable };
}
