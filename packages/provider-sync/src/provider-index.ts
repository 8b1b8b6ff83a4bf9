import type { CatalogModel } from "./merge-layers.ts";
import type { ProviderRecord } from "./model-listing.ts";

const nobody: ReadonlySet<string> = new Set();

function variantOf(model: string): string | undefined {
  const colon = model.lastIndexOf(":");
  return colon > model.lastIndexOf("/") ? model.slice(colon + 1).toLowerCase() : undefined;
}

/** Which hosts stand behind a model, and what they do with data. */
export class ProviderIndex {
  readonly #providers: ReadonlyMap<string, ProviderRecord>;
  readonly #virtual: Map<string, readonly string[]> = new Map();
  readonly #hosts: Map<CatalogModel, ReadonlySet<string>> = new Map();

  constructor(
    models: readonly CatalogModel[],
    providers: ReadonlyMap<string, ProviderRecord>,
    virtualProviders: Readonly<Record<string, readonly string[]>>,
  ) {
    this.#providers = providers;
    const toSlug = (member: string): string => member.toLowerCase();
    for (const [name, members] of Object.entries(virtualProviders)) this.#virtual.set(toSlug(name), members.map(toSlug));
    for (const model of models) if (model.endpoints.length > 0) this.#hosts.set(model, this.#hostsOf(model));
  }

  /** Slugs, lower case. A variant (`:free`) is narrowed to its own endpoints where any are told apart, else all count. */
  #hostsOf(model: CatalogModel): ReadonlySet<string> {
    const variant = variantOf(model.model);
    const own = variant === undefined ? [] : model.endpoints.filter((endpoint) => endpoint.variant?.toLowerCase() === variant);
    const standard = model.endpoints.filter((endpoint) => endpoint.variant === undefined || endpoint.variant === "standard");
    const chosen = own.length > 0 ? own : variant === undefined && standard.length > 0 ? standard : model.endpoints;
    return new Set(chosen.flatMap((endpoint) => (endpoint.provider ? this.expand(endpoint.provider) : [])));
  }

  hostsOf(model: CatalogModel | undefined): ReadonlySet<string> {
    return (model && this.#hosts.get(model)) ?? nobody;
  }

  collectsData(model: CatalogModel | undefined): boolean {
    const hosts = this.hostsOf(model);
    if (hosts.size === 0) return false;
    for (const host of hosts) if (this.#providers.get(host)?.trainsOnData !== true) return false;
    return true;
  }

  expand(id: string): readonly string[] {
    const slug = id.toLowerCase();
    return this.#virtual.get(slug) ?? [slug];
  }
}
