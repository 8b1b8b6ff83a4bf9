import { globPattern } from "../config/glob-pattern.ts";
import type { RouteSettings, Settings } from "../config/schema.ts";
import { HttpError } from "../http/http-error.ts";
import type { Provider } from "./provider.ts";

/** Where a request may go, best first. */
export interface RoutedTarget {
  readonly provider: Provider;
  /** The model's name at the provider. */
  readonly model: string;
}

/** What of the settings a table is made of. */
export interface RoutingSettings extends Pick<Settings, "aliases" | "routes"> {
  /** Whether callers bring their own keys: then only providers are used that say what they are called with. @default false */
  readonly isPassthrough?: boolean;
}

/** What routing decides of a request. */
export interface Routing {
  /** The target chosen by weight, then the fallbacks. Never empty. */
  readonly targets: readonly RoutedTarget[];
  /** Every place that such requests may go to, whichever was drawn. Never empty. */
  readonly candidates: readonly RoutedTarget[];
  /** The settings of the route that matched, if one did. */
  readonly route: RouteSettings | undefined;
  /** What was asked for, or what that stands for where it is an alias. */
  readonly name: string;
}

/**
 * All providers of one moment, and how model names lead to them. Immutable: a change makes a new table, and what was worked out from the
 * old one is recognised by it.
 *
 * A name is looked for, in this order: alias; routes of the configuration (exact before pattern, an alias's own before those of what it stands
 * for); providers that list it; `provider/model`; the default upstream. In passthrough a route's targets that may not be used count as absent.
 */
export class ProviderTable {
  /** By id: of several with one, the one that the id leads to. */
  readonly providers: ReadonlyMap<string, Provider>;
  /** All to whom something leads, those of the environment whoever else has their ids. */
  readonly all: readonly Provider[];
  readonly #settings: RoutingSettings;
  readonly #fallback: Provider;
  readonly #anthropic: Provider | undefined;
  readonly #byModel = new Map<string, Provider>();
  readonly #exactRoutes = new Map<string, RouteSettings>();
  readonly #patternRoutes: Array<{ readonly fits: (name: string) => boolean; readonly route: RouteSettings }> = [];

  /** @param providers later ones win where two list a model; @param fallback takes every name not routed elsewhere */
  constructor(settings: RoutingSettings, providers: readonly Provider[], fallback: Provider, anthropic?: Provider) {
    this.#settings = settings;
    this.#fallback = fallback;
    this.#anthropic = anthropic;
    const all = [fallback, ...(anthropic ? [anthropic] : []), ...providers];
    this.providers = new Map(all.map((provider) => [provider.id, provider]));
    for (const provider of providers) for (const model of provider.models) this.#byModel.set(model, provider);
    const isLedTo = (provider: Provider): boolean =>
      this.providers.get(provider.id) === provider || provider.models.some((model) => this.#byModel.get(model) === provider);
    this.all = all.filter((provider) => provider === fallback || provider === anthropic || isLedTo(provider));
    for (const route of settings.routes) {
      if (route.model.includes("*")) this.#patternRoutes.push({ fits: globPattern(route.model), route });
      else this.#exactRoutes.set(route.model, route);
    }
  }

  /** The upstream of everything that names no model. */
  get fallback(): Provider {
    return this.#fallback;
  }

  /** The upstream of Anthropic's own paths that name no model. */
  get anthropic(): Provider {
    return this.#anthropic ?? this.#fallback;
  }

  /** The model names that clients may use beside what the upstreams list themselves. */
  get names(): string[] {
    const listed = [...this.#byModel].filter(([, provider]) => this.isUsable(provider)).map(([model]) => model);
    return [...Object.keys(this.#settings.aliases), ...this.#exactRoutes.keys(), ...listed];
  }

  /**
   * Routes a model name. @param draw a number in [0, 1) that chooses among weighted targets of a route: derived from the request, so that
   * equal requests, and those that the route's normalizers make equal, meet in one cache entry. @throws {HttpError} 403 when a caller with a key of their own asks for a provider that is not for such
   */
  route(asked: string, kind: "openai" | "anthropic", draw: (route: RouteSettings) => number): Routing {
    const name = Object.hasOwn(this.#settings.aliases, asked) ? (this.#settings.aliases[asked] as string) : asked;
    const route = this.#routeOf(asked, name);
    const single = this.#single(name, kind);
    const { known, fallbacks } = route ? this.#knownOf(route, name, single) : NOWHERE;
    const chosen = route ? this.#targetsOf(known, fallbacks, () => draw(route)) : [];
    if (chosen.length > 0) return { targets: chosen, candidates: [...known, ...fallbacks], route, name };
    if (this.isUsable(single.provider)) return { targets: [single], candidates: [single], route, name };
    throw new HttpError(403, `The provider ${single.provider.id} is not called for callers with keys of their own.`, {
      code: "provider_not_in_passthrough",
      param: "model",
    });
  }

  /** An alias has the routes of the name that it stands for, but for one that names the alias itself, or fits it where nothing fits that name. */
  #routeOf(asked: string, name: string): RouteSettings | undefined {
    const fitting = (told: string): RouteSettings | undefined => this.#patternRoutes.find(({ fits }) => fits(told))?.route;
    return this.#exactRoutes.get(asked) ?? this.#exactRoutes.get(name) ?? fitting(name) ?? (asked === name ? undefined : fitting(asked));
  }

  /** Whether a provider may be called for whoever comes: always, unless callers bring their own keys. */
  isUsable(provider: Provider): boolean {
    return !this.#settings.isPassthrough || provider.passthrough !== undefined;
  }

  /** @param single where the name leads by itself: a route that has fallbacks alone says nothing else of it */
  #knownOf(route: RouteSettings, name: string, single: RoutedTarget): KnownTargets {
    const isBySelf = route.targets.length === 0 && this.isUsable(single.provider);
    const known = isBySelf ? [{ ...single, weight: 1 }] : route.targets.flatMap((target) => this.#toTarget(target, name, single));
    return { known, fallbacks: route.fallbacks.flatMap((target) => this.#toTarget(target, name, single)) };
  }

  #targetsOf(known: KnownTargets["known"], fallbacks: KnownTargets["fallbacks"], draw: () => number): RoutedTarget[] {
    const first = known.length > 1 ? pickByWeight(known, draw()) : known[0];
    const rest = known.filter((target) => target !== first);
    const others = fallbacks.length === 0 ? rest : fallbacks;
    const all = first ? [first, ...others] : others;
    return all.filter((target) => target === all[0] || this.#isFallbackOf(all[0] as RoutedTarget, target));
  }

  /** A name that leads to the target's provider by itself, such as `provider/model`, is for that provider what it is without a route. */
  #toTarget(target: RouteSettings["targets"][number], name: string, single: RoutedTarget): Array<RoutedTarget & { weight: number }> {
    const provider = this.providers.get(target.provider);
    if (!provider || !this.isUsable(provider)) return [];
    return [{ provider, model: target.model ?? (provider === single.provider ? single.model : name), weight: target.weight }];
  }

  /** A caller's key is for one of the environment's two upstreams: when that one fails, the other must not be shown it. */
  #isFallbackOf(first: RoutedTarget, { provider }: RoutedTarget): boolean {
    if (!this.#settings.isPassthrough || provider.passthrough === "own-key") return true;
    return provider === first.provider || provider.source !== "environment";
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

/** A route's targets and fallbacks, but for those that there are not. */
type KnownTargets = Readonly<Record<"known" | "fallbacks", ReadonlyArray<RoutedTarget & { readonly weight: number }>>>;

const NOWHERE: KnownTargets = { known: [], fallbacks: [] };

function pickByWeight<T extends { readonly weight: number }>(targets: readonly T[], draw: number): T | undefined {
  let left = draw * targets.reduce((sum, target) => sum + target.weight, 0);
  return targets.find((target) => {
    left -= target.weight;
    return left < 0;
  });
}
