import { TieredCache } from "@larder/cache-core";
import { MemoryCache } from "@larder/cache-memory";
import { isObject, type JsonObject, objectsOf, parseObject } from "../answers/json.ts";
import type { GatewayParts } from "../gateway-parts.ts";
import type { Exchange } from "../http/exchange.ts";
import { HttpError } from "../http/http-error.ts";
import { MADE_HERE, requestIdHeaders } from "../http/respond.ts";
import type { Identity } from "../security/authenticator.ts";
import { decodeAnswer } from "../upstream/decode-answer.ts";
import { credentialHeaders, endpointUrl, type Provider } from "../upstream/provider.ts";
import type { ProviderTable } from "../upstream/provider-table.ts";
import { isForAnthropic } from "./is-for-anthropic.ts";
import { listedForAnthropic, listedModel } from "./listed-model.ts";

/** Models known from elsewhere than the upstreams. */
export interface ModelCatalog {
  /** All models as OpenAI lists them. */
  models(): readonly JsonObject[];
}

/** Milliseconds for which an upstream's list is taken as it is. */
const LIST_TTL_MS = 60_000;
/** Milliseconds that a list may take: a slow provider must not hold the others up. */
const LIST_TIMEOUT_MS = 5_000;
/** Milliseconds for which a list that could not be had is not asked for again: it may have taken its whole time. */
const LIST_PAUSE_MS = 5_000;
const MAX_LIST_BYTES = 16 * 1024 * 1024;

/** `GET` or `HEAD /v1/models`: what the upstreams offer this tenant, joined with the catalog. */
export class ModelsEndpoint {
  readonly #parts: GatewayParts;
  readonly #catalog: ModelCatalog;
  readonly #lists: TieredCache<readonly JsonObject[]>;

  constructor(parts: GatewayParts, catalog: ModelCatalog) {
    this.#parts = parts;
    this.#catalog = catalog;
    this.#lists = new TieredCache({
      l1: new MemoryCache({ maxEntries: 500, maxBytes: 32 * 1024 * 1024, name: "model-lists" }),
      namespace: "model-lists",
      ttlMs: LIST_TTL_MS,
      staleIfErrorMs: 24 * 3_600_000,
    });
  }

  /** The list, or one model when the path names it. Ids contain slashes, written plainly or encoded. */
  async handle(exchange: Exchange, identity: Identity): Promise<void> {
    const models = await this.#models(exchange, identity);
    const rest = exchange.path.slice("/v1/models".length).replace(/^\//, "");
    if (rest === "") return this.#send(exchange, listOf([...models.values()], exchange));
    const id = decode(rest);
    const model = id === undefined ? undefined : models.get(id);
    if (!model) throw new HttpError(404, "There is no such model.", { code: "model_not_found", param: "model" });
    this.#send(exchange, isForAnthropic(exchange) ? listedForAnthropic(model) : model);
  }

  #send(exchange: Exchange, body: unknown): void {
    send(exchange, body);
    this.#parts.meter.passedOn("models");
  }

  close(): Promise<void> {
    return this.#lists.close();
  }

  async #models(exchange: Exchange, identity: Identity): Promise<Map<string, JsonObject>> {
    const table = await this.#parts.directory.table(identity);
    const models = new Map<string, JsonObject>();
    const providers = table.all.filter((provider) => isListedFor(provider, table, exchange, identity));
    const lists = await Promise.all(providers.map((provider) => this.#listOf(provider, table, identity)));
    for (const name of table.names) models.set(name, listedModel(name, "larder"));
    for (const model of lists.flat()) models.set(String(model.id), model);
    for (const model of this.#catalog.models()) {
      const id = String(model.id);
      models.set(id, { ...model, ...models.get(id) });
    }
    return models;
  }

  async #listOf(provider: Provider, table: ProviderTable, identity: Identity): Promise<readonly JsonObject[]> {
    if (provider.models.length > 0) return provider.models.map((id) => listedModel(id, provider.id));
    const tenant = identity.upstreamKey && provider.passthrough === "callers-key" ? identity.tenant : "";
    // Providers beside the default one are reached as `provider/model`.
    const prefix = provider === table.fallback || provider === table.anthropic ? "" : `${provider.id}/`;
    try {
      const load = (): Promise<readonly JsonObject[]> => this.#fetch(provider, identity);
      const list = await this.#lists.getOrSet(`${provider.id} ${provider.source} ${provider.baseUrl} ${tenant}`, load, {
        errorTtlMs: LIST_PAUSE_MS,
      });
      return (list ?? []).map((model) => ({ ...model, id: prefix + String(model.id) }));
    } catch {
      return [];
    }
  }

  async #fetch(provider: Provider, identity: Identity): Promise<readonly JsonObject[]> {
    const call = provider.upstream.call({
      method: "GET",
      url: endpointUrl(provider, "/v1/models"),
      headers: {
        "accept-encoding": "identity",
        ...(provider.kind === "anthropic" ? { "anthropic-version": "2023-06-01" } : {}),
        ...provider.headers,
        ...credentialHeaders(provider, identity.upstreamKey),
      },
      timeoutMs: LIST_TIMEOUT_MS,
    });
    const answer = decodeAnswer(await call);
    const body = parseObject((await answer.bytes(MAX_LIST_BYTES)).toString("utf8"));
    if (answer.status !== 200 || !isObject(body)) throw new Error("no list of models");
    return objectsOf(body.data)
      .filter((model) => typeof model.id === "string")
      .map((model) => ({ ...listedModel(String(model.id), provider.id), ...model }));
  }
}

/** A caller's own key is shown to the one upstream that it is for: Anthropic's clients say which version of its API they speak. */
function isListedFor(provider: Provider, table: ProviderTable, exchange: Exchange, identity: Identity): boolean {
  if (!table.isUsable(provider)) return false;
  if (!identity.upstreamKey || provider.passthrough !== "callers-key" || provider.source !== "environment") return true;
  return (provider.kind === "anthropic") === (isForAnthropic(exchange) && table.anthropic !== table.fallback);
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

/** All there are on one page, whichever API asks. */
function listOf(models: readonly JsonObject[], exchange: Exchange): JsonObject {
  if (!isForAnthropic(exchange)) return { object: "list", data: models };
  return { data: models.map(listedForAnthropic), has_more: false, first_id: models[0]?.id ?? null, last_id: models.at(-1)?.id ?? null };
}

function send(exchange: Exchange, body: unknown): void {
  const text = JSON.stringify(body);
  exchange.begin(200, [
    ...["content-type", "application/json", "content-length", String(Buffer.byteLength(text))],
    ...requestIdHeaders(exchange, isForAnthropic(exchange) ? "anthropic" : "openai"),
    ...MADE_HERE,
  ]);
  exchange.end(text);
}
