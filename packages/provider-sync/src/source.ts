import type { ModelEndpoint, ModelListing, ProviderRecord } from "./model-listing.ts";

/** An item of a list that did not pass validation. The others are not touched by it. */
export interface RejectedItem {
  /** The item's own id, or its position where it has none. */
  readonly id: string;
  /** Field and kind of problem; never the value. */
  readonly problem: string;
}

/** What one source told, validated item by item and mapped, not yet guarded: prices may still be absurd or `NaN`. */
export interface SourceReading {
  readonly models?: readonly ModelListing[];
  readonly providers?: readonly ProviderRecord[];
  /** Hosts behind a router, by the listing id of the model. A model that is absent here keeps what was known. */
  readonly endpoints?: ReadonlyMap<string, readonly ModelEndpoint[]>;
  readonly rejected: readonly RejectedItem[];
}

/** How a source asks its upstream. */
export interface SourceRequest {
  /** Headers in addition to the client's. @default none */
  readonly headers?: Readonly<Record<string, string>>;
  /** Bytes of this body at most, decompressed, where that is less than the client's `maxBytes`. @default the client's */
  readonly maxBytes?: number;
}

/** What a source is given to read its upstream with. */
export interface SourceContext {
  /**
   * The JSON behind a URL (`https:`, `http:` or `file:`), under all limits of the run: deadline, size, rate, retries, conditional
   * request. An answer "not modified" gives the body stored by the former run.
   * @throws {SourceError} with the reason
   */
  getJson(url: string, request?: SourceRequest): Promise<unknown>;
  /** What the primary sources of this run told, by source name: for ancillary sources that add to it. */
  readonly primaries: ReadonlyMap<string, SourceReading>;
  /** Aborted when the run is cancelled or its time is over. */
  readonly signal: AbortSignal;
}

/**
 * An upstream list: where it is, and how its items become canonical records. Wholly its own business; everything after it (guards,
 * store, mirror) is the same for all.
 */
export interface Source {
  /** Unique among the sources of a sync; stored with every price. Up to 300 characters, no `#`, no control characters. */
  readonly name: string;
  /** `"primary"`: the run is complete only with it. `"ancillary"`: it adds, and its failure changes nothing else (I13), but where all are such. */
  readonly role: "primary" | "ancillary";
  /** Lowest number of models that is taken for a list at all. @default the policy's `minModels` */
  readonly minModels?: number;
  /** Lowest number of providers that is taken for a list at all. @default the policy's `minProviders` */
  readonly minProviders?: number;
  /** Reads the upstream. What it throws is this source's failure alone. */
  read(context: SourceContext): Promise<SourceReading>;
}
