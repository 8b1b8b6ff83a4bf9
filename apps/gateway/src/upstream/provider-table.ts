import type { Settings } from "../config/schema.ts";
import type { Provider } from "./provider.ts";

/** Where a request may go, best first. */
export interface RoutedTarget {
  readonly provider: Provider;
  /** The model's name at the provider. */
  readonly model: string;
}

/** What routing decides of a request. */
export interface Routing {
  /** The target chosen by weight, then the fallbacks. Never empty. */
  readonly targets: readonly RoutedTarget[];
  /** The settings of the route that matched, if one did. */
  readonly route: Settings["routes"][number] | undefined;
}

/**
 * All providers of one moment, and how model names lead to them. Immutable: a change makes a new table, and what was worked out from the
 * old one is recognised by it.
 *
 * A name is looked for, in this order: alias; routes of the configuration (exact before pattern); providers that list it;
 * `provider/model`; the default upstream.
 */
export class ProviderTable {
  readonly providers: ReadonlyMap<string, Provider>;
  readonly #settings: Pick<Settings, "aliases" | "routes">;
  readonly #fallback: Provider;
  readonly #anthropic: Provider | undefined;
  readonly #byModel = new Map<string, Provider>();
  readonly #exactRoutes = new Map<string, Settings["routes"][number]>();
  readonly #patternRoutes: Array<{ readonly pattern: RegExp; readonly route: Settings["routes"][number] }> = [];

  /** @param providers later ones win where two list a model; @param fallback takes every name not routed elsewhere */
  constructor(settings: Pick<Settings, "aliases" | "routes">, providers: readonly Provider[], fallback: Provider, anthropic?: Provider) {
    this.#settings = settings;
    this.#fallback = fallback;
    this.#anthropic = anthropic;
    const all = [fallback, ...(anthropic ? [anthropic] : []), ...providers];
    this.providers = new Map(all.map((provider) => [provider.id, provider]));
    for (const provider of providers) for (const model of provider.models) this.#byModel.set(model, provider);
    for (const route of settings.routes) {
      if (route.model.includes("*")) this.#patternRoutes.push({ pattern: toPattern(route.model), route });
      else this.#exactRoutes.set(route.model, route);
    }
  }

  /** The upstream of everything that names no model. */
  get fallback(): Provider {
    return this.#fallback;
  }

  /** The model names that clients may use beside what the upstreams list themselves. */
  get names(): string[] {
    return [...Object.keys(this.#settings.aliases), ...this.#exactRoutes.keys(), ...this.#byModel.keys()];
  }

  /**
   * Routes a model name. @param draw a number in [0, 1) that chooses among weighted targets: derived from the request, so that equal
   * requests meet in one cache entry
   */
  route(asked: string, kind: "openai" | "anthropic", draw: () => number): Routing {
    const name = Object.hasOwn(this.#settings.aliases, asked) ? (this.#settings.aliases[asked] as string) : asked;
    const route = this.#exactRoutes.get(name) ?? this.#patternRoutes.find(({ pattern }) => pattern.test(name))?.route;
    const chosen = route ? this.#targetsOf(route, name, draw) : [];
    return { targets: chosen.length > 0 ? chosen : [this.#single(name, kind)], route };
  }

  #targetsOf(route: Settings["routes"][number], name: string, draw: () => number): RoutedTarget[] {
    const known = route.targets.flatMap((target) => this.#toTarget(target, name));
    const fallbacks = route.fallbacks.flatMap((target) => this.#toTarget(target, name));
    const first = known.length > 1 ? pickByWeight(known, draw()) : known[0];
    const rest = known.filter((target) => target !== first);
    return [...(first ? [first] : []), ...fallbacks, ...(fallbacks.length === 0 ? rest : [])];
  }

  #toTarget(target: Settings["routes"][number]["targets"][number], name: string): Array<RoutedTarget & { weight: number }> {
    const provider = this.providers.get(target.provider);
    return provider ? [{ provider, model: target.model ?? name, weight: target.weight }] : [];
  }

  #single(name: string, kind: "openai" | "anthropic"): RoutedTarget {
    const listed = this.#byModel.get(name);
    if (listed) return { provider: listed, model: name };
    const slash = name.indexOf("/");
    const prefixed = slash > 0 ? this.providers.get(name.slice(0, slash)) : undefined;
    if (prefixed) return { provider: prefixed, model: name.slice(slash + 1) };
    return { provider: kind === "anthropic" ? (this.#anthropic ?? this.#fallback) : this.#fallback, model: name };
  }
}

function pickByWeight<T extends { readonly weight: number }>(targets: readonly T[], draw: number): T | undefined {
  let left = draw * targets.reduce((sum, target) => sum + target.weight, 0);
  return targets.find((target) => {
    left -= target.weight;
    return left < 0;
  });
}

function toPattern(glob: string): RegExp {
  return new RegExp(
    `^${glob
      .split("*")
      .map((part) => part.replace(/[\\^$.|?*+()[\]{}]/g, "\\$&"))
      .join(".*")}$`,
    "s",
  );
}
