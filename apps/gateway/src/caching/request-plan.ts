import { CacheError } from "@larder/cache-core";
import { type Explanation, explainRequest } from "@larder/cache-core/explain";
import {
  type CanonicalRequest,
  type Endpoint,
  embeddingItemKeys,
  type KeyScope,
  KeyScopes,
  RawBodyAlias,
  readRequest,
  requestKey,
} from "@larder/cache-core/keys";
import { dropSystemDate, type Normalizer, normalizeRequest, renumberToolCalls, trimTrailingSpace } from "@larder/cache-core/normalize";
import { isObject, objectsOf } from "../answers/json.ts";
import { labelsOf } from "../answers/labels.ts";
import type { NormalizerSettings, RouteSettings, Settings } from "../config/schema.ts";
import type { Exchange } from "../http/exchange.ts";
import { HttpError } from "../http/http-error.ts";
import type { Identity } from "../security/authenticator.ts";
import { digestOf } from "../security/digest.ts";
import type { ProviderTable, RoutedTarget, Routing } from "../upstream/provider-table.ts";
import type { CacheControls } from "./cache-controls.ts";
import { readItems } from "./read-items.ts";
import { nearestRequest, type RecentRequest, RecentRequests } from "./recent-requests.ts";
import { type Continued, continuedBy } from "./response-book.ts";
import { Sightings } from "./sightings.ts";

/** One place where a request may be answered. */
export interface PlannedTarget extends RoutedTarget {
  /** The cache key under this target. */
  readonly key: string;
  /** Keys of the single items, for embeddings. */
  readonly itemKeys: readonly string[];
  /** By what an answer of this target can be dropped: tenant, model as asked for, what that stands for, and model as this target calls it. */
  readonly tags: readonly string[];
}

/** Items of an embeddings request that go to one place. */
export interface PlannedBatch {
  /** Where the items stand in the request's input. */
  readonly positions: readonly number[];
  /** As those of a plan, with the keys of these items alone. */
  readonly targets: readonly PlannedTarget[];
}

/** Everything worked out about a request's bytes. Kept by their digest once they have come twice, so that further identical requests need not be read. */
export interface RequestPlan {
  readonly model: string;
  readonly isStream: boolean;
  /** Whether the caller wants the closing usage chunk. */
  readonly includeUsage: boolean;
  /** Whether the caller says anything about its stream, be it `null`. */
  readonly hasStreamOptions: boolean;
  /** What tells the request's labels from others'; empty when it has none. */
  readonly labels: string;
  /** `base64` or `float`: how embeddings are told. */
  readonly encodingFormat: "float" | "base64";
  /** The target chosen by weight, then the fallbacks. Never empty. */
  readonly targets: readonly PlannedTarget[];
  /** Of embeddings whose items are drawn to several places, those of each: an item is cached by itself, so each meets its equals. Absent otherwise. */
  readonly batches?: readonly PlannedBatch[] | undefined;
  /** Of responses that may be made at several places, all of these; empty otherwise. */
  readonly candidates: readonly PlannedTarget[];
  /** What is gone on from that one of several candidates keeps. */
  readonly continued: Continued | undefined;
  readonly route: RouteSettings | undefined;
  /** Why the cache takes no part, whatever the caller says; `undefined` when it does. */
  readonly bypass: string | undefined;
  /** Whether the same request is meant to give the same answer: temperature 0 or a seed. */
  readonly isDeterministic: boolean;
  /** The providers of which this was worked out. */
  readonly table: ProviderTable;
}

/** Why a request has the key it has. */
export interface ExplainedRequest {
  /** Of embeddings the first item's: a batch has no entry of its own. */
  readonly key: string;
  /** Keys of the single items, for embeddings; empty otherwise. */
  readonly itemKeys: readonly string[];
  /** The canonical JSON of the fields in the key. */
  readonly canonical: string;
  readonly fields: Explanation["fields"];
  /** Names of the fields that are not part of the key. */
  readonly excluded: readonly string[];
  readonly statefulFields: readonly string[];
  readonly provider: string;
  readonly model: string;
  /** What the normalizers changed. */
  readonly normalized: Explanation["changes"];
  readonly skippedNormalizers: Explanation["skippedNormalizers"];
  /** The remembered request that differs in the fewest fields; `undefined` when there is none of this tenant and endpoint. */
  readonly nearest: { readonly key: string; readonly differs: readonly string[] } | undefined;
  /** What decides with its headers whether the cache takes part. */
  readonly judged: Pick<RequestPlan, "bypass" | "isDeterministic" | "route">;
}

/** Characters of a model's name at most: it is kept with every answer and plan. */
const MAX_MODEL = 512;
/** Items of a batch up to which its plan is remembered: it holds a key for each, while an alias stands for about a kilobyte. */
const MAX_REMEMBERED_ITEMS = 16;
/** Bytes of the cache for each alias: even when all places are taken, aliases are small beside the answers. */
const BYTES_PER_ALIAS = 4_096;
/** What an alias table may hold at most. */
const MAX_ALIASES = 2 ** 24;

/** Turns request bodies into plans. */
export class RequestPlanner {
  readonly #scopes: KeyScopes;
  readonly #aliases: RawBodyAlias<RequestPlan>;
  readonly #sightings: Sightings;
  readonly #normalizers: Settings["normalizers"];
  readonly #made = new Map<NormalizerSettings, readonly Normalizer[]>();
  #lastTags: TagSet | undefined;
  /** What the last requests were made of. */
  readonly recent: RecentRequests = new RecentRequests();

  constructor(settings: Settings) {
    this.#scopes = new KeyScopes();
    const aliases = Math.min(settings.cacheMaxEntries * 2, Math.floor(settings.cacheMaxBytes / BYTES_PER_ALIAS));
    const maxEntries = Math.min(Math.max(1024, aliases), MAX_ALIASES);
    this.#aliases = new RawBodyAlias<RequestPlan>({ maxEntries });
    this.#sightings = new Sightings(maxEntries);
    this.#normalizers = settings.normalizers;
  }

  /** The plan of a request. @throws {HttpError} 400 for a body that cannot be keyed */
  plan(
    endpoint: Endpoint,
    exchange: Exchange,
    identity: Identity,
    controls: CacheControls,
    body: Buffer,
    table: ProviderTable,
  ): RequestPlan {
    const namespace = exchange.search === "" ? controls.namespace : withSearch(controls.namespace, exchange.search);
    const scope = this.#scopes.of({ endpoint, tenant: identity.tenant, namespace, headers: exchange.headers() });
    const digest = this.#aliases.digest(body);
    const known = this.#aliases.get(scope, digest);
    if (known && known.table === table) return known;
    const plan = this.#make(endpoint, scope, identity, body, table);
    if (this.#sightings.note(scope, digest) && plan.targets.every(({ itemKeys }) => itemKeys.length <= MAX_REMEMBERED_ITEMS))
      this.#aliases.set(scope, digest, plan);
    return plan;
  }

  /**
   * Tells why a request has the key it has, and which remembered one is nearest. `known`: the requests that other workers remember count too.
   * @throws {HttpError} 400 as `plan`
   */
  explain(
    endpoint: Endpoint,
    tenant: string,
    namespace: string,
    headers: Readonly<Record<string, string | undefined>>,
    body: Buffer,
    table: ProviderTable,
    known: readonly RecentRequest[] = this.recent.all,
  ): ExplainedRequest {
    const scope = this.#scopes.of({ endpoint, tenant, namespace, headers });
    const request = readBody(endpoint, body);
    const { routings, keyed } = this.#route(scope, request, table);
    const [routing] = routings;
    const target = routing.targets[0] as RoutedTarget;
    const route = routeOf(target);
    const explained = explainRequest(body, { scope, route, normalizers: this.#normalizersOf(routing.route) });
    const { canonicalJson, fields, statefulFields, changes, skippedNormalizers } = explained;
    const itemKeys = endpoint === "embedding" ? embeddingItemKeys(scope, keyed, route) : [];
    const toTarget = (each: RoutedTarget): PlannedTarget => planTarget(scope, keyed, each, []);
    for (const { positions, targets } of partBatch(routings, toTarget) ?? [])
      for (const [index, position] of positions.entries()) itemKeys[position] = targets[0]?.itemKeys[index] ?? "";
    const key = itemKeys[0] ?? explained.key;
    return {
      key,
      itemKeys,
      canonical: canonicalJson,
      fields,
      excluded: fields.filter((field) => !field.isInKey).map((field) => field.name),
      statefulFields,
      provider: target.provider.id,
      model: target.model,
      normalized: changes,
      skippedNormalizers,
      nearest: nearestRequest(known, scope, keyed, key),
      judged: { bypass: bypassReason(endpoint, request, routing.route), isDeterministic: isDeterministic(request), route: routing.route },
    };
  }

  /**
   * Where a request goes, and as what it is keyed there. The draw goes by that too: what a route's normalizers make equal meets at one target. Each item of
   * embeddings has one of its own, where there is one. @throws {HttpError} 400 without a model
   */
  #route(
    scope: KeyScope,
    request: CanonicalRequest,
    table: ProviderTable,
  ): { readonly routings: readonly [Routing, ...Routing[]]; readonly keyed: CanonicalRequest } {
    const keyedBy = (route: RouteSettings | undefined): CanonicalRequest => normalizeRequest(request, this.#normalizersOf(route)).request;
    const { model } = request;
    if (model === "" && scope.endpoint !== "image") throw badRequest("The request has no model: name one in the field `model`.", "model");
    if (model.length > MAX_MODEL) throw badRequest(`The model's name is longer than ${MAX_MODEL} characters.`, "model");
    // Before a key is made of each: a million of them held up everyone else for seconds.
    if (scope.endpoint === "embedding") readItems(request.get("input"));
    const kind = scope.endpoint === "messages" ? "anthropic" : "openai";
    let others: readonly number[] = [];
    const routing = table.route(model, kind, (route) => {
      const [first = 0, ...rest] = drawsOf(scope, keyedBy(route));
      others = rest;
      return first;
    });
    return { routings: [routing, ...others.map((draw) => table.route(model, kind, () => draw))], keyed: keyedBy(routing.route) };
  }

  #normalizersOf(route: RouteSettings | undefined): readonly Normalizer[] {
    const settings = route?.normalizers ?? this.#normalizers;
    if (!settings) return NO_NORMALIZERS;
    const known = this.#made.get(settings) ?? createNormalizers(settings);
    this.#made.set(settings, known);
    return known;
  }

  /** Plans are kept by the ten thousand, and those that follow each other are mostly of one tenant and model: they share their tags. */
  #tagsOf(tenant: string, asked: string, name: string, model: string): readonly string[] {
    if (!this.#lastTags?.isOf(tenant, asked, name, model)) this.#lastTags = new TagSet(tenant, asked, name, model);
    return this.#lastTags.tags;
  }

  #make(endpoint: Endpoint, scope: KeyScope, identity: Identity, body: Buffer, table: ProviderTable): RequestPlan {
    const request = readBody(endpoint, body);
    const { model } = request;
    const { routings, keyed } = this.#route(scope, request, table);
    const [routing] = routings;
    const toTarget = (target: RoutedTarget): PlannedTarget =>
      planTarget(scope, keyed, target, this.#tagsOf(identity.tenant, model, routing.name, target.model));
    const targets = routing.targets.map(toTarget);
    const isOneOfSeveral = endpoint === "responses" && routing.candidates.length > 1;
    this.recent.add(scope, keyed, targets[0]?.key || (targets[0]?.itemKeys[0] ?? ""));
    const streamOptions = request.get("stream_options");
    return {
      model,
      isStream: request.form("stream") === "true",
      includeUsage: isObject(streamOptions) && streamOptions.include_usage === true,
      hasStreamOptions: streamOptions !== undefined,
      labels: labelsOf(request),
      encodingFormat: request.get("encoding_format") === "base64" ? "base64" : "float",
      targets,
      batches: partBatch(routings, toTarget),
      candidates: isOneOfSeveral ? routing.candidates.map(toTarget) : NO_TARGETS,
      continued: isOneOfSeveral ? continuedOf(request) : undefined,
      route: routing.route,
      bypass: bypassReason(endpoint, request, routing.route),
      isDeterministic: isDeterministic(request),
      table,
    };
  }
}

function continuedOf(request: CanonicalRequest): Continued | undefined {
  const [previous_response_id, conversation] = ["previous_response_id", "conversation"].map((name) => request.get(name));
  // Long texts are not parsed for nothing.
  const namesItems = request.form("input")?.includes('"id"');
  return continuedBy({ previous_response_id, conversation, input: namesItems ? request.get("input") : undefined });
}

function isDeterministic(request: CanonicalRequest): boolean {
  return Number(request.get("temperature") ?? 1) === 0 || typeof request.get("seed") === "number";
}

const NO_ITEMS: readonly string[] = [];
const NO_TARGETS: readonly PlannedTarget[] = [];
const NO_NORMALIZERS: readonly Normalizer[] = [];

function createNormalizers(settings: NormalizerSettings): readonly Normalizer[] {
  return [
    ...(settings.toolCallIds ? [renumberToolCalls] : []),
    ...(settings.trailingWhitespace ? [trimTrailingSpace] : []),
    ...settings.systemPatterns.map((pattern) => dropSystemDate(new RegExp(pattern, "g"))),
  ];
}

/**
 * The tags of one tenant and model. An alias hides from callers what it stands for, and a route what its target calls that; not from whoever
 * wants that model's answers gone.
 */
class TagSet {
  readonly tags: readonly string[];
  readonly #tenant: string;
  readonly #asked: string;
  readonly #name: string;
  readonly #model: string;

  constructor(tenant: string, asked: string, name: string, model: string) {
    this.tags = [`tenant:${tenant}`, ...[...new Set([asked, name, model])].map((each) => `model:${each}`)];
    this.#tenant = tenant;
    this.#asked = asked;
    this.#name = name;
    this.#model = model;
  }

  isOf(tenant: string, asked: string, name: string, model: string): boolean {
    return this.#tenant === tenant && this.#asked === asked && this.#name === name && this.#model === model;
  }
}

function routeOf({ provider, model }: RoutedTarget): { readonly baseUrl: string; readonly model: string } {
  return { baseUrl: provider.baseUrl, model };
}

function planTarget(scope: KeyScope, request: CanonicalRequest, target: RoutedTarget, tags: readonly string[]): PlannedTarget {
  const route = routeOf(target);
  const { provider, model } = target;
  if (scope.endpoint !== "embedding") return { provider, model, key: requestKey(scope, request, route), itemKeys: NO_ITEMS, tags };
  return { provider, model, key: "", itemKeys: embeddingItemKeys(scope, request, route), tags };
}

/** Parts items by the place that each is drawn to. @returns `undefined` when that is one place */
function partBatch(routings: readonly Routing[], toTarget: (target: RoutedTarget) => PlannedTarget): PlannedBatch[] | undefined {
  const nameOf = ({ provider, model }: RoutedTarget): string => `${provider.id}\n${model}`;
  const parts = new Map<string, number[]>();
  for (const [position, { targets }] of routings.entries()) {
    const name = nameOf(targets[0] as RoutedTarget);
    const part = parts.get(name);
    if (part) part.push(position);
    else parts.set(name, [position]);
  }
  if (parts.size < 2) return undefined;
  // Each has a key for every item, whichever part it is of.
  const planned = new Map<string, PlannedTarget>();
  const planOnce = (target: RoutedTarget): PlannedTarget => {
    const known = planned.get(nameOf(target)) ?? toTarget(target);
    planned.set(nameOf(target), known);
    return known;
  };
  return [...parts.values()].map((positions) => {
    const { targets } = routings[positions[0] as number] as Routing;
    const ofPart = (target: PlannedTarget) => ({ ...target, itemKeys: positions.map((position) => target.itemKeys[position] as string) });
    return { positions, targets: targets.map((target) => ofPart(planOnce(target))) };
  });
}

/** Reads a body. @throws {HttpError} 400 telling what is wrong with it, without quoting it */
export function readBody(endpoint: Endpoint, body: Buffer): CanonicalRequest {
  try {
    return readRequest(endpoint, body);
  } catch (error) {
    if (!CacheError.is(error)) throw error;
    throw badRequest(error.message.replace(/^\[\w+\] /, ""));
  }
}

function badRequest(message: string, param?: string): HttpError {
  return new HttpError(400, message, { code: "invalid_request", ...(param ? { param } : {}) });
}

/** Numbers in [0, 1) that equal requests share, or equal items of embeddings: the first 32 bits of a key that leaves the route out. */
function drawsOf(scope: KeyScope, request: CanonicalRequest): number[] {
  const keys = scope.endpoint === "embedding" ? embeddingItemKeys(scope, request) : [requestKey(scope, request)];
  return keys.map((key) => Number.parseInt(key.slice(-64, -56), 16) / 2 ** 32);
}

/** A query beyond this length is kept by its digest: scopes are remembered. */
const MAX_SEARCH = 128;

/** A query goes to the provider, so it parts answers as a namespace does; no namespace has a question mark in it. */
export function withSearch(namespace: string, search: string): string {
  return search.length <= MAX_SEARCH ? namespace + search : `${namespace}?sha256=${digestOf(search)}`;
}

function isSingle(count: string | undefined): boolean {
  return count === undefined || count === "null" || count === "1";
}

/**
 * Fields of providers that give embeddings as something else than 32-bit floats, one list for each input, or by what else is in the batch. Numbers
 * are kept, item by item, and told in either of OpenAI's encodings: what is not such numbers would come out as others.
 */
const FOREIGN_FIELDS = /dtype|embedding_types?$|endian|^late_chunking$|multivector/;
const NATIVE_FORMS: ReadonlySet<string | undefined> = new Set([
  ...[undefined, "null", "false", '"float"', '"float32"', '["float"]', '"base64"'],
]);

function isForeign(request: CanonicalRequest): boolean {
  if (!NATIVE_FORMS.has(request.form("encoding_format"))) return true;
  return request.fields.some(({ name, form }) => FOREIGN_FIELDS.test(name) && (form === '"base64"' || !NATIVE_FORMS.has(form)));
}

/** Whether tools run in a container that is there already: in its files, what was done there before goes on, and what is done now is found afterwards. */
function namesContainer(request: CanonicalRequest): boolean {
  if (request.endpoint !== "responses" || !request.form("tools")?.includes("container")) return false;
  return objectsOf(request.get("tools")).some(
    ({ container, environment }) =>
      typeof container === "string" || (isObject(environment) && typeof environment.container_id === "string"),
  );
}

/** Requests that a stored answer cannot stand for. */
function bypassReason(endpoint: Endpoint, request: CanonicalRequest, route: RouteSettings | undefined): string | undefined {
  if (route?.cache === "off") return "route";
  if (request.statefulFields.length > 0 || namesContainer(request)) return "stateful";
  if (endpoint === "embedding" && isForeign(request)) return "foreign-embeddings";
  // Nothing tells of such a stream which of its events was the last.
  if (endpoint === "image" && request.form("stream") === "true" && !isSingle(request.form("n"))) return "several-images";
  // An audio answer is meant to be heard once, and its bytes expire by id at the provider.
  if (endpoint === "chat" && request.form("audio") !== undefined && request.form("audio") !== "null") return "audio";
  return undefined;
}
