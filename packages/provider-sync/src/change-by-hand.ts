import { CacheError, type Clock, type RandomSource, systemClock, systemRandom } from "@larder/cache-core";
import { diffModels } from "./diff-models.ts";
import { withEndpointPrice } from "./guard-endpoints.ts";
import { mergeModels } from "./merge-layers.ts";
import type { Mirror } from "./mirror.ts";
import { listingId } from "./model-listing.ts";
import { flattenPrices, type PricePath, withPrices } from "./prices.ts";
import { publishVersion, type VersionPublisher } from "./publish-version.ts";
import type { Acceptance, QuarantineEntry } from "./quarantine.ts";
import type { ListedModel, SnapshotContent, SnapshotHead, SnapshotReason } from "./snapshot.ts";
import { encodeContent } from "./snapshot-codec.ts";
import type { SnapshotStore } from "./snapshot-store.ts";
import { mirrorCurrent } from "./sync.ts";
import { isAcceptable } from "./weigh-doubt.ts";

/** What a change by hand works on and tells. */
export interface HandOptions {
  /** Where the change is committed. */
  readonly store: SnapshotStore;
  /** Written after the commit. @default none */
  readonly mirror?: Mirror;
  /** Told after the commit. @default none */
  readonly publisher?: VersionPublisher;
  /** @default the machine's */
  readonly clock?: Clock;
  /** @default the machine's */
  readonly random?: RandomSource;
}

const MAX_CONFLICTS = 5;

/** Commits what `change` makes of the current content, anew when a run committed meanwhile; then mirror and news as after a run. */
async function commitByHand(
  options: HandOptions,
  reason: SnapshotReason,
  change: (content: SnapshotContent, now: number) => SnapshotContent | Promise<SnapshotContent>,
): Promise<SnapshotHead> {
  const { store, mirror, publisher, clock = systemClock, random = systemRandom } = options;
  for (let conflicts = 0; conflicts <= MAX_CONFLICTS; conflicts += 1) {
    const state = await store.state();
    const now = clock.wallNow();
    const content = await change(state.content, now);
    const models = mergeModels(content);
    const changes = diffModels(mergeModels(state.content), models);
    const result = await store.commit({
      basedOn: { version: state.head?.version ?? 0, revision: state.pulse.revision },
      next: { encoded: await encodeContent(content), modelCount: models.length, changes, reason, createdAt: now },
      pulse: state.pulse,
      rawBodies: [],
      runId: random.token(),
    });
    if (result.outcome === "conflict" || !result.head) continue;
    if (mirror) await mirrorCurrent(mirror, store, { ...result.head, checkedAt: state.pulse.checkedAt ?? now });
    if (publisher) await publishVersion(publisher, result.head.version);
    return result.head;
  }
  throw new CacheError("ERR_CACHE_BACKEND", "other runs committed first each time");
}

/** The model with a price as the upstream offers it; one that is gone is remembered as one that went by itself. */
function withAccepted(model: ListedModel, path: PricePath, offered: number | null, now: number): ListedModel {
  const prices = flattenPrices(model.listing);
  const former = prices.get(path);
  if (offered === null) prices.delete(path);
  else prices.set(path, offered);
  const listing = withPrices(model.listing, prices);
  if (offered !== null || former === undefined) return { ...model, listing };
  return { ...model, listing, lapsedPrices: [{ path, price: former, lapsedAt: now }, ...(model.lapsedPrices ?? [])] };
}

function acceptPrice(content: SnapshotContent, entry: QuarantineEntry, now: number): SnapshotContent["layers"] {
  const { source, id, path, offered } = entry;
  if (id === undefined || path === undefined) return content.layers;
  return content.layers.map((layer) => {
    if (layer.source !== source) return layer;
    const models = layer.models.map((model) => {
      const isOther = listingId(model.listing.provider, model.listing.model) !== id || path.startsWith("endpoint[");
      return isOther ? model : withAccepted(model, path, offered, now);
    });
    const endpoints = layer.endpoints.map(([model, hosts]) =>
      model === id && path.startsWith("endpoint[")
        ? ([model, withEndpointPrice(hosts, path, offered)] as const)
        : ([model, hosts] as const),
    );
    return { ...layer, models, endpoints };
  });
}

function accept(content: SnapshotContent, key: string, now: number): SnapshotContent {
  const entry = content.quarantine.find((held) => held.key === key);
  if (!entry) throw new CacheError("ERR_CACHE_INVALID_REQUEST", "nothing is held back under this key: it may have been settled meanwhile");
  if (entry.reason === "not-a-number" || entry.reason === "negative" || !isAcceptable(entry.reason))
    throw new CacheError("ERR_CACHE_INVALID_REQUEST", `what is held back for "${entry.reason}" has no value that could be accepted`);
  const { offered, reason, fingerprint } = entry;
  const acceptance: Acceptance = { key, offered, reason, ...(fingerprint !== undefined && { fingerprint }), acceptedAt: now };
  const isPrice = entry.path !== undefined;
  return {
    layers: acceptPrice(content, entry, now),
    // A list is taken by the next run that offers it, and stays visible until then.
    quarantine: isPrice ? content.quarantine.filter((held) => held !== entry) : content.quarantine,
    acceptances: [...content.acceptances.filter((known) => known.key !== key), acceptance],
  };
}

/**
 * Believes what the guards hold back: a price at once, as a new version; a list or a group from the next run that offers it just so: one
 * that misses another model, or moves another price, is judged anew.
 * @throws {CacheError} ERR_CACHE_INVALID_REQUEST without keys, and when nothing acceptable is held under one of them: then none is accepted
 */
export async function acceptQuarantined(keys: readonly string[], options: HandOptions): Promise<SnapshotHead> {
  if (keys.length === 0) throw new CacheError("ERR_CACHE_INVALID_REQUEST", "keys must name at least one entry of the quarantine, got none");
  return commitByHand(options, "accept", (content, now) => keys.reduce((current, key) => accept(current, key, now), content));
}

/**
 * The content as it may be served again: what was held then is held with its whole time before it, since the same offer may come again
 * with the next run and is what the rollback undoes; a list or group accepted then was accepted as it was then.
 */
function renewed(former: SnapshotContent, now: number): SnapshotContent {
  const quarantine = former.quarantine.map((entry) => ({
    ...entry,
    since: now,
    ...(entry.expiresAt !== undefined && { expiresAt: now + (entry.expiresAt - entry.since) }),
  }));
  const isOfPrice = ({ key }: Acceptance): boolean => !/#(?:models|providers|endpoints|group:.*)$/.test(key);
  return { ...former, quarantine, acceptances: former.acceptances.filter(isOfPrice) };
}

/**
 * Brings a former version's content back, as a new version, so that readers and mirror move forward to it. The next run offers the
 * upstreams' lists again: what made the difference must be held by the guards, or the sync stopped, for the rollback to last.
 * @throws {CacheError} ERR_CACHE_INVALID_REQUEST when the version is not kept
 */
export function rollBack(version: number, options: HandOptions): Promise<SnapshotHead> {
  return commitByHand(options, "rollback", async (_content, now) => {
    const former = await options.store.read(version);
    if (!former) throw new CacheError("ERR_CACHE_INVALID_REQUEST", `version ${version} is not kept`);
    return renewed(former.content, now);
  });
}
