import { finish, finishInTurns, forEachInSlices, type Sliced, stopAfter } from "./in-slices.ts";
import { type CatalogModel, mergeModelsInSlices, mergeProviders } from "./merge-layers.ts";
import type { ModelEndpoint, PriceTier, ProviderRecord, TokenPrices, UnitPrices } from "./model-listing.ts";
import { ProviderIndex } from "./provider-index.ts";
import { emptyContent, type SnapshotContent } from "./snapshot.ts";

/** What a model costs, and who says so. */
export interface ModelPrice {
  /** The model that the name was resolved to. */
  readonly id: string;
  readonly usdPerMillion: TokenPrices;
  readonly usdPerUnit?: UnitPrices;
  readonly priceTiers?: readonly PriceTier[];
  /** The source of all these prices. */
  readonly source: string;
}

/** How names are resolved. */
export interface CatalogViewOptions {
  /** Providers asked first when a name without provider is sold by several, in this order; others follow by name, those who take money for it first. @default `defaultPreferredProviders`: those who make models, then those who sell them on */
  readonly preferredProviders?: readonly string[];
  /** Names of providers that stand for several: asked for the virtual one, the catalog answers with its members. @default none */
  readonly virtualProviders?: Readonly<Record<string, readonly string[]>>;
}

/** Makers first, since their own price is what a bare name means; then routers. */
export const defaultPreferredProviders: readonly string[] = [
  "openai",
  "anthropic",
  "google",
  "xai",
  "mistral",
  "deepseek",
  "cohere",
  "moonshotai",
  "alibaba",
  "zai",
  "minimax",
  "perplexity",
  "llama",
  "openrouter",
  "vercel",
];

/**
 * One version of the catalog, indexed. Immutable: take one view for everything that must agree, and keep it as long as you like; a
 * newer version is another view.
 */
export class CatalogView {
  /** Integer >= 1, or 0 for the empty view before the first version. */
  readonly version: number;
  readonly #byId: Map<string, CatalogModel> = new Map();
  /** Names without provider, the preferred seller's model first. */
  readonly #byName: Map<string, CatalogModel> = new Map();
  readonly #byProvider: Map<string, CatalogModel[]> = new Map();
  readonly #prices: Map<CatalogModel, ModelPrice | undefined> = new Map();
  #models: readonly CatalogModel[] = [];
  #providerList: readonly ProviderRecord[] = [];
  #providers: ReadonlyMap<string, ProviderRecord> = new Map();
  #index: ProviderIndex;

  /** Indexes at once: some 10 ms a thousand models, for which nothing else in this process runs. `build` does it in slices. */
  constructor(version: number, content: SnapshotContent, options: CatalogViewOptions = {}) {
    this.version = version;
    this.#index = new ProviderIndex([], this.#providers, {});
    finish(this.#fill(content, options));
  }

  /** Indexes like the constructor, and lets the event loop go on after every few hundred models. The view is given out when it is whole. */
  static async build(version: number, content: SnapshotContent, options: CatalogViewOptions = {}): Promise<CatalogView> {
    const view = new CatalogView(version, emptyContent);
    await finishInTurns(view.#fill(content, options));
    return view;
  }

  /** All models, sorted by id. */
  get models(): readonly CatalogModel[] {
    return this.#models;
  }

  /** All providers, sorted by id. */
  get providers(): readonly ProviderRecord[] {
    return this.#providerList;
  }

  /** The model with this id (`provider/model`, any case); `undefined` when there is none. O(1). */
  model(id: string): CatalogModel | undefined {
    return this.#byId.get(id) ?? this.#byId.get(id.toLowerCase());
  }

  /**
   * The model that a name means: an id, or a name or alias as sold by `provider`, or by the preferred one of those that sell it.
   * O(1), case does not matter.
   */
  find(name: string, provider?: string): CatalogModel | undefined {
    if (provider === undefined) return this.model(name) ?? this.#byName.get(name) ?? this.#byName.get(name.toLowerCase());
    const id = `${provider}/${name}`.toLowerCase();
    return this.#byId.get(id) ?? this.#byName.get(`\0${id}`);
  }

  /** What a name costs, resolved as by `find`; `undefined` when the model or its price is unknown. O(1). */
  price(name: string, provider?: string): ModelPrice | undefined {
    const model = this.find(name, provider);
    if (!model) return undefined;
    let price = this.#prices.get(model);
    if (price === undefined && !this.#prices.has(model)) {
      price = toPrice(model);
      this.#prices.set(model, price);
    }
    return price;
  }

  /** Models sold by a provider, sorted by id; empty when it is unknown. O(1). */
  modelsOf(provider: string): readonly CatalogModel[] {
    return this.#byProvider.get(provider) ?? this.#byProvider.get(provider.toLowerCase()) ?? [];
  }

  /** A provider by slug, any case. O(1). */
  provider(id: string): ProviderRecord | undefined {
    return this.#providers.get(id) ?? this.#providers.get(id.toLowerCase());
  }

  /** Slugs of the hosts that serve a model behind its router; empty when the model or its hosts are unknown. */
  hostsOf(name: string, provider?: string): ReadonlySet<string> {
    return this.#index.hostsOf(this.find(name, provider));
  }

  /** Hosts of a model with their own limits and prices; empty when not told. */
  endpointsOf(name: string, provider?: string): readonly ModelEndpoint[] {
    return this.find(name, provider)?.endpoints ?? [];
  }

  /** Whether every known host of a model trains on what it is sent: then the model cannot be used without giving the data away. */
  collectsData(name: string, provider?: string): boolean {
    return this.#index.collectsData(this.find(name, provider));
  }

  /** The members of a virtual provider, or the provider itself. */
  expandProvider(id: string): readonly string[] {
    return this.#index.expand(id);
  }

  *#fill(content: SnapshotContent, options: CatalogViewOptions): Sliced<void> {
    const { preferredProviders = defaultPreferredProviders, virtualProviders = {} } = options;
    this.#models = yield* mergeModelsInSlices(content);
    this.#providerList = mergeProviders(content, this.#models);
    this.#providers = new Map(this.#providerList.map((provider) => [provider.id, provider]));
    this.#index = new ProviderIndex(this.#models, this.#providers, virtualProviders);
    yield* stopAfter(this.#models.length);
    yield* forEachInSlices(this.#models, (model) => {
      this.#byId.set(model.id, model);
      const group = this.#byProvider.get(model.provider);
      if (group) group.push(model);
      else this.#byProvider.set(model.provider, [model]);
    });
    yield* this.#indexNames(preferredProviders);
  }

  *#indexNames(preferredProviders: readonly string[]): Sliced<void> {
    const rank = new Map(preferredProviders.map((provider, index) => [provider.toLowerCase(), index]));
    const rankOf = (model: CatalogModel): number =>
      (model.status === "vanished" ? 1000 : 0) + (rank.get(model.provider) ?? (takesMoney(model) ? 500 : 501));
    const ranked = this.#models.map((model) => [rankOf(model), model] as const).sort(([a], [b]) => a - b);
    yield* stopAfter(ranked.length);
    const claim = (name: string, model: CatalogModel): void => {
      if (!this.#byName.has(name)) this.#byName.set(name, model);
    };
    // All names before any alias: an alias must not take a name that somebody sells.
    yield* forEachInSlices(ranked, ([, model]) => claim(model.model.toLowerCase(), model));
    yield* forEachInSlices(ranked, ([, model]) => {
      for (const alias of model.aliases ?? []) {
        claim(alias.toLowerCase(), model);
        claim(`\0${model.provider}/${alias}`.toLowerCase(), model);
      }
    });
  }
}

/** Plans and free tiers list models at 0, and by name many come before those whose price the model has. */
function takesMoney({ usdPerMillion, usdPerUnit = {} }: CatalogModel): boolean {
  return [...Object.values(usdPerMillion), ...Object.values(usdPerUnit)].some((price) => price > 0);
}

function toPrice(model: CatalogModel): ModelPrice | undefined {
  const { id, usdPerMillion, usdPerUnit, priceTiers, priceSource } = model;
  if (priceSource === undefined) return undefined;
  return Object.freeze({ id, usdPerMillion, ...(usdPerUnit && { usdPerUnit }), ...(priceTiers && { priceTiers }), source: priceSource });
}
