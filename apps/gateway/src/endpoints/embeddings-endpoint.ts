import { writeVector } from "../answers/embedding-vector.ts";
import type { PassedFamily } from "../answers/family.ts";
import { parseObject } from "../answers/json.ts";
import { readControls } from "../caching/cache-controls.ts";
import { type CacheVerdict, cacheStatus } from "../caching/cache-status.ts";
import { readItems } from "../caching/read-items.ts";
import type { PlannedBatch, PlannedTarget } from "../caching/request-plan.ts";
import type { GatewayParts } from "../gateway-parts.ts";
import { Departure } from "../http/departure.ts";
import type { Exchange } from "../http/exchange.ts";
import { HttpError } from "../http/http-error.ts";
import { requestIdHeaders, savedHeaders, sendFailure } from "../http/respond.ts";
import type { Identity } from "../security/authenticator.ts";
import { credentialsOf } from "../upstream/provider-secrets.ts";
import { UpstreamFailure } from "../upstream/upstream-failure.ts";
import { collectEmbeddings, type Item } from "./collect-embeddings.ts";
import { EMBEDDINGS_PATH, type EmbeddingsRequest } from "./compute-embeddings.ts";
import { givesWay } from "./gives-way.ts";
import { narrowControls } from "./narrow-controls.ts";
import { passThrough } from "./pass-through.ts";

/** Embeddings that go past the cache are not looked into. */
const PASSED: PassedFamily = { kind: "embedding", refusalToStore: () => undefined };

interface Active extends EmbeddingsRequest {
  readonly startedAt: number;
  /** Headers of the provider's answer, where this request made the call. */
  upstreamHeaders: readonly string[];
}

/** An item, and what its answer tells of where it is from. */
interface ToldItem extends Item {
  readonly key: string;
  readonly target: PlannedTarget;
}

/** What came of a batch: its items under the target that had or made them, or why the last one that was asked has not. */
interface Collected {
  readonly target: PlannedTarget;
  readonly items: readonly Item[];
  readonly failure?: UpstreamFailure;
}

/**
 * Answers `/v1/embeddings`, item by item: a batch is answered from whatever earlier batches have stored, and only the rest is computed, in one
 * call. Answers stand in the order of the inputs, and equal inputs of one request are computed once.
 */
export class EmbeddingsEndpoint {
  readonly #parts: GatewayParts;

  constructor(parts: GatewayParts) {
    this.#parts = parts;
  }

  async handle(exchange: Exchange, identity: Identity): Promise<void> {
    const parts = this.#parts;
    const startedAt = performance.now();
    const controls = readControls(exchange, parts.controls);
    const bytes = await exchange.readBody(parts.settings.maxBody);
    const plan = parts.planner.plan("embedding", exchange, identity, controls, bytes, await parts.directory.table(identity));
    const body = parseObject(bytes.toString("utf8")) ?? {};
    const narrowed = narrowControls(controls, plan, false);
    const active: Active = {
      exchange,
      identity,
      controls: narrowed,
      plan,
      body,
      items: readItems(body.input),
      ttlMs: controls.ttlMs ?? plan.route?.ttl ?? parts.settings.cacheTtl,
      departure: new Departure(exchange, () => {
        parts.meter.abandoned += 1;
      }),
      onHead: (headers) => {
        active.upstreamHeaders = headers;
      },
      startedAt,
      upstreamHeaders: [],
    };
    const { isRead, isWrite, isDisabled, onlyIfCached } = narrowed;
    if (isRead || isWrite || onlyIfCached) return this.#answer(active);
    return this.#pass(active, bytes, isDisabled ? "DISABLED" : "BYPASS");
  }

  async #pass({ exchange, identity, plan, departure, startedAt }: Active, body: Buffer, verdict: CacheVerdict): Promise<void> {
    const { search, requestId, trace } = exchange;
    const request = { family: PASSED, path: EMBEDDINGS_PATH, search, headers: exchange.headers(), identity, plan, body, requestId, trace };
    const options = { endpoint: "embedding", verdict, shape: "openai", signal: departure.watched() } as const;
    if (await passThrough(this.#parts, request, exchange, options))
      this.#parts.meter.answered("embedding", verdict, performance.now() - startedAt);
  }

  async #answer(active: Active): Promise<void> {
    const { plan } = active;
    const batches = plan.batches ?? [{ positions: [...active.items.keys()], targets: plan.targets }];
    const made = await Promise.all(batches.map((batch) => this.#collect(active, batch)));
    if (active.departure.aborted) return;
    const told: ToldItem[] = [];
    for (const [index, { target, items, failure }] of made.entries()) {
      if (failure) return this.#fail(active, target, failure);
      const { positions } = batches[index] as PlannedBatch;
      for (const [at, position] of positions.entries())
        told[position] = { ...(items[at] as Item), key: target.itemKeys[at] as string, target };
    }
    this.#tell(active, told);
  }

  /** What a batch's targets, in their order, have or make of its items. */
  async #collect(active: Active, { positions, targets }: PlannedBatch): Promise<Collected> {
    const request = { ...active, items: positions.map((position) => active.items[position]) };
    for (const [position, target] of targets.entries()) {
      try {
        return { target, items: await collectEmbeddings(this.#parts, request, target) };
      } catch (error) {
        const isLast = position === targets.length - 1;
        if (active.departure.aborted) break;
        // From the cache alone, a fallback's will do as well.
        if (isNotStored(error) && !isLast) continue;
        if (!(error instanceof UpstreamFailure)) throw error;
        // What it has said is not said of what the next one has.
        active.upstreamHeaders = [];
        if (isLast || !givesWay(this.#parts, target, active.identity, error)) return { target, items: [], failure: error };
      }
    }
    return { target: targets[0] as PlannedTarget, items: [] };
  }

  #fail({ exchange, identity }: Active, target: PlannedTarget, failure: UpstreamFailure): void {
    this.#parts.meter.failed("embedding", failure.status);
    sendFailure(exchange, failure, "openai", credentialsOf(target.provider, identity.upstreamKey));
  }

  #tell(active: Active, items: readonly ToldItem[]): void {
    const { exchange, plan, controls } = active;
    const { key, target } = items[0] as ToldItem;
    const hits = items.filter(isHit);
    const verdict = verdictOf(active, items);
    const saved = tokensOf(hits);
    const tokens = tokensOf(items) - (controls.usage === "zero" ? saved : 0);
    const data = items.map(({ answer }, index) => {
      const vector = { format: answer.meta.format === "f64" ? ("f64" as const) : ("f32" as const), bytes: answer.body };
      return { object: "embedding", index, embedding: writeVector(vector, plan.encodingFormat) };
    });
    const model = items[0]?.answer.meta.toldModel ?? target.model;
    const text = JSON.stringify({ object: "list", data, model, usage: { prompt_tokens: tokens, total_tokens: tokens } });
    const ageMs = Math.max(0, ...hits.map(({ answer }) => answer.ageMs));
    const ttlMs = Math.min(...items.map(({ answer }) => answer.meta.ttlMs - answer.ageMs));
    const { answers } = this.#parts;
    const detail = hits.length > 0 && answers.isDegraded ? "degraded" : undefined;
    const isStored = controls.isWrite && items.some((item) => item.origin === "computed" && answers.keeps(item.key, item.answer));
    exchange.begin(200, [
      ...["content-type", "application/json", "content-length", String(Buffer.byteLength(text))],
      ...["cache-status", cacheStatus(verdict, { key, ttlMs, isStored, detail }), "x-larder-cache", verdict],
      ...["x-larder-cache-items", `${hits.length}/${items.length}`, "x-larder-provider", target.provider.id],
      ...(verdict === "HIT" || verdict === "STALE" ? ["age", String(Math.floor(ageMs / 1000))] : []),
      ...(controls.usage === "headers" && hits.length > 0 ? savedHeaders({ inputTokens: saved, outputTokens: 0 }) : []),
      ...requestIdHeaders(exchange, "openai"),
      ...active.upstreamHeaders,
    ]);
    exchange.end(text);
    this.#count(active, hits, verdict);
  }

  #count(active: Active, hits: readonly Item[], verdict: CacheVerdict): void {
    const { meter, prices } = this.#parts;
    for (const { answer } of hits) {
      meter.savedInputTokens += answer.meta.usage?.inputTokens ?? 0;
      meter.savedUsd += prices.costOf(answer);
      meter.savedMs += answer.meta.upstreamMs;
    }
    meter.answered("embedding", verdict, performance.now() - active.startedAt);
  }
}

function isNotStored(error: unknown): boolean {
  return error instanceof HttpError && error.code === "only_if_cached";
}

function tokensOf(items: readonly Item[]): number {
  return items.reduce((sum, { answer }) => sum + (answer.meta.usage?.inputTokens ?? 0), 0);
}

const isHit = ({ origin }: Item): boolean => origin === "stored" || origin === "stale";

/** A batch is what the worst of its items is. */
function verdictOf({ controls }: EmbeddingsRequest, items: readonly Item[]): CacheVerdict {
  if (items.every(isHit)) return items.some((item) => item.origin === "stale") ? "STALE" : "HIT";
  if (!items.some((item) => item.origin === "computed")) return "COALESCED";
  return controls.isRefresh || items.some((item) => item.isRefreshed) ? "REFRESH" : "MISS";
}
