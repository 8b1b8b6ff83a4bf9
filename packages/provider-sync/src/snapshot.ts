import type { ModelEndpoint, ModelListing, ProviderRecord } from "./model-listing.ts";
import type { PricePath } from "./prices.ts";
import type { Acceptance, QuarantineEntry } from "./quarantine.ts";

/** A listing that a source tells, or told until lately. */
export interface ListedModel {
  /** The last good form of it: quarantined prices are not in it, the ones they would replace are. */
  readonly listing: ModelListing;
  /** Epoch milliseconds of the first run that saw it. */
  readonly firstSeenAt: number;
  /** Epoch milliseconds of the first run that missed it; absent while it is listed. */
  readonly vanishedAt?: number;
  /** Prices told until lately, by path: what comes back is judged against them. */
  readonly lapsedPrices?: readonly LapsedPrice[];
}

/** A price that a source tells no longer. */
export interface LapsedPrice {
  readonly path: PricePath;
  /** The last good one. */
  readonly price: number;
  /** Epoch milliseconds of the first run that did not tell it. */
  readonly lapsedAt: number;
}

/** What one source is believed to tell: its last good list, after the guards. */
export interface SourceLayer {
  /** The source's name. */
  readonly source: string;
  /** Sorted by id. */
  readonly models: readonly ListedModel[];
  /** Sorted by id. */
  readonly providers: readonly ProviderRecord[];
  /** By listing id, sorted. */
  readonly endpoints: ReadonlyArray<readonly [id: string, endpoints: readonly ModelEndpoint[]]>;
}

/**
 * Everything that a version of the catalog says. The catalog that readers see is computed from it, so that a version is one document:
 * it is committed, mirrored, and rolled back whole, guard memory included.
 */
export interface SnapshotContent {
  /** In order of trust: where sources disagree the earlier one is believed. */
  readonly layers: readonly SourceLayer[];
  /** What upstreams offer and the guards hold back. */
  readonly quarantine: readonly QuarantineEntry[];
  /** What was accepted by hand although the guards hold it back. */
  readonly acceptances: readonly Acceptance[];
}

/** Where a version came from. */
export type SnapshotReason = "sync" | "accept" | "rollback";

/** A version without its content. */
export interface SnapshotHead {
  /** Names the store that counts the versions: versions compare only inside one lineage. A later store's lineage is greater as text. */
  readonly lineage: string;
  /** Integer >= 1, greater than every earlier one of the lineage. */
  readonly version: number;
  /** Epoch milliseconds of the commit. */
  readonly createdAt: number;
  /** SHA-256 of the content, in hex. */
  readonly digest: string;
  readonly reason: SnapshotReason;
  /** Models in the merged catalog. */
  readonly modelCount: number;
}

/** A version of the catalog. */
export interface Snapshot extends SnapshotHead {
  readonly content: SnapshotContent;
}

/** An empty catalog: what a store holds before its first commit. */
export const emptyContent: SnapshotContent = { layers: [], quarantine: [], acceptances: [] };

/** One layer of a content. */
export function layerOf(content: SnapshotContent, source: string): SourceLayer | undefined {
  return content.layers.find((layer) => layer.source === source);
}
