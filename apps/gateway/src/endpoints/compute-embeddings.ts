import type { AbortSignalLike } from "@larder/cache-core";
import { shareTokens, vectorsOf } from "../answers/embedding-vector.ts";
import { countOf } from "../answers/family.ts";
import { isObject, type JsonObject, parseObject } from "../answers/json.ts";
import type { CacheControls } from "../caching/cache-controls.ts";
import type { PlannedTarget, RequestPlan } from "../caching/request-plan.ts";
import { StoredAnswer } from "../caching/stored-answer.ts";
import type { GatewayParts } from "../gateway-parts.ts";
import type { Departure } from "../http/departure.ts";
import type { Exchange } from "../http/exchange.ts";
import { passedOnHeaders } from "../http/respond.ts";
import type { Identity } from "../security/authenticator.ts";
import { toUpstreamFailure, UpstreamFailure } from "../upstream/upstream-failure.ts";
import { askProvider, MAX_ANSWER_BYTES, PARTIAL_CONTENT } from "./ask-provider.ts";
import { chargeEstimate } from "./charge-usage.ts";
import { refuseNoAnswer } from "./refuse-no-answer.ts";
import { estimateUsage, NOTHING_CAME } from "./token-estimate.ts";

/** Where embeddings are asked for. */
export const EMBEDDINGS_PATH = "/v1/embeddings";

/** Characters of a model's name at most: it is kept with every item. */
const MAX_MODEL_LENGTH = 256;

/** A request for embeddings while it is being answered. */
export interface EmbeddingsRequest {
  readonly exchange: Exchange;
  readonly identity: Identity;
  readonly controls: CacheControls;
  readonly plan: RequestPlan;
  readonly body: JsonObject;
  readonly items: readonly unknown[];
  /** Milliseconds > 0. */
  readonly ttlMs: number;
  readonly departure: Departure;
  /** Called with what of the answer's head goes on to whoever made the call. */
  readonly onHead: (headers: readonly string[]) => void;
}

/**
 * Has some items of a request computed by a provider, in one call; the answers stand in the order of the positions. @param onPartial called when they
 * must not be kept @throws {UpstreamFailure}
 */
export async function computeEmbeddings(
  parts: GatewayParts,
  request: EmbeddingsRequest,
  target: PlannedTarget,
  positions: readonly number[],
  signal: AbortSignalLike,
  onPartial?: () => void,
): Promise<StoredAnswer[]> {
  const startedAt = performance.now();
  const { provider, model } = target;
  const { exchange, identity } = request;
  const inputs = positions.map((position) => request.items[position]);
  const body = bodyFor(request, target, inputs);
  const described = { provider, endpoint: "embedding", method: "POST", model, isStream: false, body: undefined } as const;
  const trace = parts.telemetry?.startCall(described, exchange.trace);
  try {
    const asked = { path: EMBEDDINGS_PATH, search: exchange.search, headers: exchange.headers(), identity };
    const answer = await askProvider(parts, asked, target, { body, signal, trace });
    request.onHead(passedOnHeaders(answer.headers));
    const bytes = await answer.bytes(MAX_ANSWER_BYTES);
    const parsed = parseObject(bytes.toString("utf8"));
    if (parsed && isObject(parsed.error)) refuseNoAnswer(request, parsed, "error-body", answer, bytes);
    const made = parsed && toAnswers(parts, request, target, inputs, parsed, performance.now() - startedAt);
    if (!made) throw new UpstreamFailure("The provider did not answer with one embedding for each input.", { status: 502 });
    if (answer.status === PARTIAL_CONTENT) onPartial?.();
    parts.meter.called(provider.id, "success");
    const usage = { inputTokens: made.reduce((sum, item) => sum + (item.meta.usage?.inputTokens ?? 0), 0), outputTokens: 0 };
    trace?.succeeded({ status: answer.status, answer: parsed, usage });
    return made;
  } catch (error) {
    // The provider may have computed them all the same.
    if (signal.aborted) chargeEstimate(parts, identity, estimateUsage(body, NOTHING_CAME));
    const failure = signal.aborted ? undefined : toUpstreamFailure(error);
    trace?.failed(failure);
    if (!failure) throw error;
    parts.meter.called(provider.id, "failure");
    throw failure;
  }
}

function bodyFor({ body }: EmbeddingsRequest, target: PlannedTarget, inputs: readonly unknown[]): Buffer {
  const input = inputs.length === 1 && !Array.isArray(body.input) ? inputs[0] : inputs;
  return Buffer.from(JSON.stringify({ ...body, model: target.model, input }));
}

function toAnswers(
  parts: GatewayParts,
  { identity, plan, ttlMs }: EmbeddingsRequest,
  target: PlannedTarget,
  inputs: readonly unknown[],
  parsed: JsonObject,
  upstreamMs: number,
): StoredAnswer[] | undefined {
  const vectors = vectorsOf(parsed, inputs.length);
  // Voyage tells the sum alone.
  const total = isObject(parsed.usage) ? countOf(parsed.usage.prompt_tokens ?? parsed.usage.total_tokens) : 0;
  const tokens = shareTokens(total, inputs);
  parts.meter.spentInputTokens += total;
  parts.limiter.charge(identity, total);
  return vectors?.map((vector, index) => {
    const meta = {
      owner: identity.tenant,
      model: plan.model,
      upstreamModel: target.model,
      toldModel: readModel(parsed, target),
      provider: target.provider.id,
      createdAt: Date.now(),
      ttlMs,
      upstreamMs: Math.round(upstreamMs / inputs.length),
      usage: { inputTokens: tokens[index] as number, outputTokens: 0 },
      format: vector.format,
    };
    return new StoredAnswer(meta, vector.bytes);
  });
}

/** Some name a version of what they were asked for; whatever else stands there is no name. */
function readModel({ model }: JsonObject, target: PlannedTarget): string | undefined {
  return typeof model === "string" && model !== target.model && model.length <= MAX_MODEL_LENGTH ? model : undefined;
}
