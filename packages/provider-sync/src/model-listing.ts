/** What a price of tokens is asked for. All are US dollars per million tokens. */
export type TokenPriceField =
  | "input"
  | "output"
  | "cacheRead"
  | "cacheWrite"
  | "cacheWriteLong" // kept an hour instead of minutes
  | "reasoning" // reasoning tokens where they do not cost the same as output
  | "inputAudio"
  | "outputAudio"
  | "inputImage"
  | "outputImage";

/** Prices in US dollars per million tokens. An absent field is an unknown price, `0` a free one. */
export type TokenPrices = { readonly [field in TokenPriceField]?: number };

/** What is charged by the piece. */
export type UnitPriceField = "request" | "inputImage" | "outputImage" | "webSearch";

/** Prices in US dollars per request, image or search. An absent field is an unknown price, `0` a free one. */
export type UnitPrices = { readonly [field in UnitPriceField]?: number };

/** Prices that hold instead of the normal ones once a request's input is longer. */
export interface PriceTier {
  /** Input tokens above which the tier holds. */
  readonly aboveTokens: number;
  /** What holds then; an absent field keeps its normal price. */
  readonly usdPerMillion: TokenPrices;
}

/** What a model makes. `"other"` for what the source does not tell or we do not know. */
export type ModelKind = "chat" | "embedding" | "image" | "audio" | "video" | "rerank" | "moderation" | "other";

/**
 * One model as one source tells it, in the catalog's own words: the canonical record. Who sells it and under which name decide what
 * it is; the same model sold by two providers is two records, because it has two prices.
 */
export interface ModelListing {
  /** Who sells it and sends the bill: `openai`, `openrouter`, `amazon-bedrock`. Lower case. */
  readonly provider: string;
  /** The name that this provider's API takes, as the source spells it. */
  readonly model: string;
  /** The name that people read; the same as `model` where the source tells none. */
  readonly name: string;
  /** How the source calls it, when that is not `model`: the key of a price map. */
  readonly sourceId?: string;
  /** Who made it, where the source tells. Lower case. */
  readonly author?: string;
  /** What it makes. */
  readonly kind: ModelKind;
  /** What tokens cost. */
  readonly usdPerMillion: TokenPrices;
  /** What is charged by the piece; absent where nothing is, or nobody tells. */
  readonly usdPerUnit?: UnitPrices;
  /** Ascending by `aboveTokens`. */
  readonly priceTiers?: readonly PriceTier[];
  /** Tokens of input and output together, or of input where the source counts so. */
  readonly contextTokens?: number;
  /** Tokens of one answer at most. */
  readonly outputTokens?: number;
  /** `text`, `image`, `audio`, `video`, `file`; empty where the source does not tell. */
  readonly inputModalities: readonly string[];
  /** As `inputModalities`, of what comes back. */
  readonly outputModalities: readonly string[];
  /** Request parameters in OpenAI's spelling (`tools`, `reasoning`, `response_format`), sorted; empty where the source does not tell. */
  readonly supportedParameters: readonly string[];
  /** Other names under which it may be asked for. */
  readonly aliases?: readonly string[];
  /** Epoch milliseconds of its release or listing. */
  readonly releasedAt?: number;
  /** Epoch milliseconds from which it is no longer sold. */
  readonly retiresAt?: number;
  /** The source calls it deprecated. */
  readonly isDeprecated?: boolean;
  /** Month or day up to which it was trained, as the source writes it. */
  readonly knowledgeCutoff?: string;
  /** Anybody may run it; absent where the source does not tell. */
  readonly hasOpenWeights?: boolean;
  /** The provider filters what goes in and comes out. */
  readonly isModerated?: boolean;
}

/** One host behind a router that serves a model. */
export interface ModelEndpoint {
  /** The host's slug, lower case: `google-vertex`. */
  readonly provider: string;
  /** The endpoint's own tag, with region or quantization: `google-vertex/europe`. */
  readonly tag: string;
  /** The listing variant that it serves (`free`, `thinking`), where the source tells. */
  readonly variant?: string;
  /** Tokens of input and output together that this host takes. */
  readonly contextTokens?: number;
  /** Tokens of one answer at most at this host. */
  readonly outputTokens?: number;
  /** What tokens cost at this host. */
  readonly usdPerMillion: TokenPrices;
  /** How the host stores the weights, as the source writes it: `fp8`, `int4`. */
  readonly quantization?: string;
}

/** A company that sells or hosts models. */
export interface ProviderRecord {
  /** Slug, lower case. */
  readonly id: string;
  /** The name that people read. */
  readonly name: string;
  /** Base URL of its OpenAI-compatible or own API. */
  readonly apiUrl?: string;
  /** Its documentation. */
  readonly docsUrl?: string;
  /** What it does with what it is sent, in its own words. */
  readonly privacyPolicyUrl?: string;
  /** Its terms of use. */
  readonly termsUrl?: string;
  /** Where it tells of outages. */
  readonly statusPageUrl?: string;
  /** ISO 3166 two-letter code. */
  readonly headquarters?: string;
  /** ISO 3166 two-letter codes. */
  readonly datacenters?: readonly string[];
  /** Names of environment variables that usually hold its key. */
  readonly environment?: readonly string[];
  /** Whether it trains on what it is sent; `undefined` = not told. */
  readonly trainsOnData?: boolean;
}

/** The catalog's id of a listing: provider and model, in lower case because upstreams match names so. */
export function listingId(provider: string, model: string): string {
  return `${provider}/${model}`.toLowerCase();
}
