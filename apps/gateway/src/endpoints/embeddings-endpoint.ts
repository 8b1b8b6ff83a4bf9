import { itemsOf, shareTokens, vectorsOf, writeVector } from "../answers/embedding-vector.ts";
import { countOf } from "../answers/family.ts";
import { isObject, type JsonObject, parseObject } from "../answers/json.ts";
import { type CacheControls, readControls } from "../caching/cache-controls.ts";
import { type CacheVerdict, cacheStatus } from "../caching/cache-status.ts";
import type { PlannedTarget, RequestPlan } from "../caching/request-plan.ts";
import { StoredAnswer } from "../caching/stored-answer.ts";
import type { GatewayParts } from "../gateway-parts.ts";
import { Departure } from "../http/departure.ts";
import type { Exchange } from "../http/exchange.ts";
import { HttpError } from "../http/http-error.ts";
import { requestIdHeaders, sendFailure } from "../http/respond.ts";
import type { Identity } from "../security/authenticator.ts";
import { endpointUrl } from "../upstream/provider.ts";
import { toUpstreamFailure, UpstreamFailure } from "../upstream/upstream-failure.ts";
import { ItemBatch } from "./item-batch.ts";
import { MAX_ANSWER_BYTES, onRetryOf, upstreamHeaders } from "./load-answer.ts";

/** Inputs of one request at most: OpenAI's own bound. */
const MAX_ITEMS = 2048;
const PATH = "/v1/embeddings";

interface Active {
  readonly exchange: Exchange;
  readonly identity: Identity;
  readonly controls: CacheControls;
  readonly plan: RequestPlan;
  readonly body: JsonObject;
  readonly items: readonly unknown[];
  readonly startedAt: number;
  readonly left: Departure;
}

/** An item's numbers and where they came from. */
interface Item {
  readonly answer: StoredAnswer;
  readonly isHit: boolean;
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
    const items = itemsOf(body.input);
    if (body.input === undefined || items.length === 0) throw new HttpError(400, "The request has no input.", { param: "input" });
    if (items.length > MAX_ITEMS) throw new HttpError(400, `The input has more than ${MAX_ITEMS} items.`, { param: "input" });
    const left = new Departure(exchange, () => undefined).watched();
    await this.#answer({ exchange, identity, controls, plan, body, items, startedAt, left });
  }

  async #answer(active: Active): Promise<void> {
    const { targets } = active.plan;
    for (const [position, target] of targets.entries()) {
      try {
        return this.#tell(active, target, await this.#collect(active, target));
      } catch (error) {
        if (active.left.aborted) return;
        if (!(error instanceof UpstreamFailure)) throw error;
        if (error.isRetryable && position < targets.length - 1) continue;
        this.#parts.meter.failed("embedding", error.status);
        return sendFailure(active.exchange, error, "openai", [target.provider.apiKey, active.identity.upstreamKey]);
      }
    }
  }

  async #collect(active: Active, target: PlannedTarget): Promise<Item[]> {
    const { controls, items } = active;
    if (!controls.isWrite || controls.onlyIfCached || active.plan.bypass !== undefined) return this.#collectReadOnly(active, target);
    const first = new Map<string, number>();
    for (const [position, key] of target.itemKeys.entries()) if (!first.has(key)) first.set(key, position);
    const batch = new ItemBatch<StoredAnswer>(first.size, (positions) => this.#compute(active, target, positions));
    const found = new Map<string, Promise<Item>>();
    for (const [key, position] of first) found.set(key, this.#item(active, target, key, position, batch));
    return Promise.all(items.map((_, position) => found.get(target.itemKeys[position] as string) as Promise<Item>));
  }

  async #item(active: Active, target: PlannedTarget, key: string, position: number, batch: ItemBatch<StoredAnswer>): Promise<Item> {
    const { controls, plan, identity } = active;
    let isLoaded = false;
    let isDecided = false;
    const decide = (): void => {
      if (!isDecided) batch.decide();
      isDecided = true;
    };
    const wasLoading = this.#parts.answers.isLoading(key);
    const answer = this.#parts.answers.getOrLoad(
      key,
      () => {
        isLoaded = true;
        isDecided = true;
        return batch.want(position);
      },
      {
        ttlMs: this.#ttlMs(active),
        jitter: 0,
        staleIfErrorMs: plan.route?.staleIfError ?? this.#parts.settings.staleIfError,
        tags: [...target.tags, ...controls.tags.map((tag) => `tag:${tag}`)],
        signal: active.left,
        forceRefresh: !controls.isRead,
      },
    );
    // Somebody else is computing it: nothing of ours has to wait for that.
    if (wasLoading || !(answer instanceof Promise)) decide();
    const value = await answer;
    decide();
    if (!value || value.meta.owner !== identity.tenant) throw new UpstreamFailure("The stored answer could not be used.", { status: 502 });
    return { answer: value, isHit: !isLoaded };
  }

  async #collectReadOnly(active: Active, target: PlannedTarget): Promise<Item[]> {
    const isRead = active.controls.isRead && active.plan.bypass === undefined;
    const found = await Promise.all(target.itemKeys.map((key) => (isRead ? this.#parts.answers.lookup(key) : { status: "miss" as const })));
    const missing = found.flatMap((entry, position) =>
      entry.status === "hit" && entry.value.meta.owner === active.identity.tenant ? [] : [position],
    );
    if (missing.length > 0 && active.controls.onlyIfCached)
      throw new HttpError(504, "Not every input has a stored answer.", { code: "only_if_cached", headers: { "x-larder-cache": "MISS" } });
    const computed = missing.length > 0 ? await this.#compute(active, target, missing) : [];
    return found.map((entry, position) => {
      const made = missing.indexOf(position);
      if (made >= 0) return { answer: computed[made] as StoredAnswer, isHit: false };
      return { answer: (entry as { value: StoredAnswer }).value, isHit: true };
    });
  }

  async #compute(active: Active, target: PlannedTarget, positions: readonly number[]): Promise<StoredAnswer[]> {
    const startedAt = performance.now();
    const { provider } = target;
    const inputs = positions.map((position) => active.items[position]);
    const body = {
      ...active.body,
      model: target.model,
      input: inputs.length === 1 && !Array.isArray(active.body.input) ? inputs[0] : inputs,
    };
    const call = { provider, endpoint: "embedding", method: "POST", model: target.model, isStream: false, body: undefined } as const;
    const trace = this.#parts.telemetry?.startCall(call, active.exchange.trace);
    try {
      const answer = await this.#parts.caller.call(provider, {
        method: "POST",
        url: endpointUrl(provider, PATH),
        headers: Object.assign(upstreamHeaders(target, active.exchange.headers(), active.identity), trace?.headers),
        body: Buffer.from(JSON.stringify(body)),
        timeoutMs: provider.timeoutMs,
        ...onRetryOf(trace),
      });
      const parsed = parseObject((await answer.bytes(MAX_ANSWER_BYTES)).toString("utf8"));
      const stored = parsed && this.#toAnswers(active, target, inputs, parsed, performance.now() - startedAt);
      if (!stored) throw new UpstreamFailure("The provider did not answer with one embedding for each input.", { status: 502 });
      this.#parts.meter.called(provider.id, "success");
      const usage = { inputTokens: stored.reduce((sum, item) => sum + (item.meta.usage?.inputTokens ?? 0), 0), outputTokens: 0 };
      trace?.succeeded({ status: answer.status, answer: parsed, usage });
      return stored;
    } catch (error) {
      const failure = toUpstreamFailure(error);
      trace?.failed(failure);
      this.#parts.meter.called(provider.id, "failure");
      throw failure;
    }
  }

  #toAnswers(
    active: Active,
    target: PlannedTarget,
    inputs: readonly unknown[],
    parsed: JsonObject,
    upstreamMs: number,
  ): StoredAnswer[] | undefined {
    const vectors = vectorsOf(parsed, inputs.length);
    const total = isObject(parsed.usage) ? countOf(parsed.usage.prompt_tokens) : 0;
    const tokens = shareTokens(total, inputs);
    this.#parts.meter.spentInputTokens += total;
    this.#parts.limiter.charge(active.identity, total);
    return vectors?.map((vector, index) => {
      const usage = { inputTokens: tokens[index] as number, outputTokens: 0 };
      const names = { model: active.plan.model, upstreamModel: target.model, provider: target.provider.id };
      const common = { owner: active.identity.tenant, ...names, createdAt: Date.now() };
      const meta = {
        ...common,
        ttlMs: this.#ttlMs(active),
        upstreamMs: Math.round(upstreamMs / inputs.length),
        usage,
        format: vector.format,
      };
      return new StoredAnswer(meta, vector.bytes);
    });
  }

  #ttlMs({ controls, plan }: Active): number {
    return controls.ttlMs ?? plan.route?.ttl ?? this.#parts.settings.cacheTtl;
  }

  #tell(active: Active, target: PlannedTarget, items: readonly Item[]): void {
    const { exchange, plan, controls } = active;
    const hits = items.filter((item) => item.isHit);
    const verdict = this.#verdict(active, hits.length, items.length);
    const isZero = controls.usage === "zero";
    const tokens = items.reduce((sum, { answer, isHit }) => sum + (isHit && isZero ? 0 : (answer.meta.usage?.inputTokens ?? 0)), 0);
    const data = items.map(({ answer }, index) => {
      const vector = { format: answer.meta.format === "f64" ? ("f64" as const) : ("f32" as const), bytes: answer.body };
      return { object: "embedding", index, embedding: writeVector(vector, plan.encodingFormat) };
    });
    const text = JSON.stringify({ object: "list", data, model: target.model, usage: { prompt_tokens: tokens, total_tokens: tokens } });
    const ageMs = Math.max(0, ...hits.map(({ answer }) => Date.now() - answer.meta.createdAt));
    const ttlMs = Math.min(...items.map(({ answer }) => answer.meta.createdAt + answer.meta.ttlMs - Date.now()));
    const detail = hits.length > 0 && this.#parts.answers.isDegraded ? "degraded" : undefined;
    const isStored = hits.length < items.length && controls.isWrite && plan.bypass === undefined;
    exchange.begin(200, [
      ...["content-type", "application/json", "content-length", String(Buffer.byteLength(text))],
      ...["cache-status", cacheStatus(verdict, { key: target.itemKeys[0], ttlMs, isStored, detail }), "x-larder-cache", verdict],
      ...["x-larder-cache-items", `${hits.length}/${items.length}`, "x-larder-provider", target.provider.id],
      ...(verdict === "HIT" ? ["age", String(Math.floor(ageMs / 1000))] : []),
      ...requestIdHeaders(exchange, "openai"),
    ]);
    exchange.end(text);
    this.#count(active, hits, verdict);
  }

  #verdict({ controls, plan }: Active, hits: number, count: number): CacheVerdict {
    if (hits === count) return "HIT";
    if (controls.isDisabled) return "DISABLED";
    if (plan.bypass !== undefined || (!controls.isRead && !controls.isWrite)) return "BYPASS";
    return controls.isRefresh ? "REFRESH" : "MISS";
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
