import type { ModelEndpoint, ModelListing, ProviderRecord } from "./model-listing.ts";
import type { RejectedItem, SourceReading } from "./source.ts";

/**
 * What may name a model, a provider or a host, whatever source tells it, one of a user's own included. Names become keys of databases,
 * lines of logs and of terminals: PostgreSQL takes no U+0000 and no index row of some thousand bytes, and one such name would fail
 * every commit for as long as an upstream lists it. So the item goes, as any other that does not validate, and the list stays.
 */

/** Characters of a name at most; the longest real ones have about a hundred. */
const MAX_NAME = 300;
/**
 * Control and format characters (a terminal obeys both), halves of surrogate pairs (no database can store them), line separators, and what stands
 * for bytes that were no UTF-8: the name is another one.
 */
const UNUSABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\uFFFD]/u;

/** What is wrong with a name, in a few words that do not quote it; `undefined` = nothing. */
export function problemOf(name: string): string | undefined {
  if (name.length === 0 || name.length > MAX_NAME) return "id: length";
  if (UNUSABLE.test(name)) return "id: control characters";
  return name.trim() === name ? undefined : "id: white space";
}

/** Ids of listings are provider, slash and model: a slash in the provider would make another provider's model of it. */
function problemOfProvider(provider: string): string | undefined {
  return provider.includes("/") ? "provider: slash" : undefined;
}

function firstProblem(names: readonly string[]): string | undefined {
  for (const name of names) {
    const problem = problemOf(name);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

/** A name as it may be shown: cut, and with what a terminal would obey replaced. */
function shown(name: string): string {
  return name.slice(0, MAX_NAME).replaceAll(new RegExp(UNUSABLE, "gu"), "\uFFFD");
}

function withUsableAliases(listing: ModelListing): ModelListing {
  const aliases = listing.aliases?.filter((alias) => problemOf(alias) === undefined);
  if (aliases?.length === listing.aliases?.length) return listing;
  const { aliases: _all, ...rest } = listing;
  return aliases?.length ? { ...rest, aliases } : rest;
}

/** Slugs are looked up in lower case, in which every source of ours tells them: `OpenAI` would be another provider, whose models nobody finds. */
function withSlug<Item extends { readonly provider: string }>(item: Item): Item {
  const provider = item.provider.toLowerCase();
  return provider === item.provider ? item : { ...item, provider };
}

/** The reading without what has no usable name, which is among the rejected items then, and with slugs in lower case. */
export function withUsableIds(reading: SourceReading): SourceReading {
  const rejected: RejectedItem[] = [];
  const keep = <Item>(items: readonly Item[], namesOf: (item: Item) => readonly string[], providerOf?: (item: Item) => string): Item[] =>
    items.filter((item) => {
      const names = namesOf(item);
      const problem = firstProblem(names) ?? (providerOf && problemOfProvider(providerOf(item)));
      if (problem !== undefined) rejected.push({ id: shown(names.join("/")), problem });
      return problem === undefined;
    });
  const { models, providers, endpoints } = reading;
  const usable: { models?: ModelListing[]; providers?: ProviderRecord[]; endpoints?: Map<string, ModelEndpoint[]> } = {};
  if (models)
    usable.models = keep(
      models,
      ({ provider, model, author, sourceId }) => [provider, model, author ?? "-", sourceId ?? "-"],
      ({ provider }) => provider,
    ).map((listing) => withSlug(withUsableAliases(listing)));
  if (providers)
    usable.providers = keep(
      providers,
      ({ id }) => [id],
      ({ id }) => id,
    ).map((provider) => ({ ...provider, id: provider.id.toLowerCase() }));
  if (endpoints)
    usable.endpoints = new Map(
      [...endpoints].map(([id, hosts]) => {
        const kept = keep(hosts, ({ provider, tag, variant }) => [provider, tag, variant ?? "-"]);
        return [id.toLowerCase(), kept.map(withSlug)];
      }),
    );
  const told = reading.rejected.map((item) => (problemOf(item.id) === undefined ? item : { ...item, id: shown(item.id) }));
  return { ...usable, rejected: [...told, ...rejected] };
}
