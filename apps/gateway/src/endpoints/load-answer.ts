import { type AnswerFamily, NO_ANSWERS, type PassedFamily, type TokenUsage } from "../answers/family.ts";
import { isObject, type JsonObject, parseObject } from "../answers/json.ts";
import type { AnswerLoad } from "../caching/answer-cache.ts";
import type { PlannedTarget, RequestPlan } from "../caching/request-plan.ts";
import { type AnswerMeta, StoredAnswer } from "../caching/stored-answer.ts";
import type { GatewayParts } from "../gateway-parts.ts";
import { passedOnHeaders } from "../http/respond.ts";
import type { Identity } from "../security/authenticator.ts";
import { scrubError } from "../security/scrub-error.ts";
import type { Secret } from "../security/secret.ts";
import type { CallTrace, RequestTrace } from "../telemetry/telemetry.ts";
import { credentialHeaders, endpointUrl, type Provider } from "../upstream/provider.ts";
import { credentialsOf } from "../upstream/provider-secrets.ts";
import { addMember, setMember } from "../upstream/rewrite-body.ts";
import { mediaTypeOf, type UpstreamAnswer, type UpstreamCall } from "../upstream/upstream.ts";
import { toUpstreamFailure, UpstreamFailure } from "../upstream/upstream-failure.ts";
import { StreamReading, type WholeAnswer } from "./read-stream.ts";
import { estimateUsage, NOTHING_CAME } from "./token-estimate.ts";

/** Largest answer taken in. */
export const MAX_ANSWER_BYTES = 64 * 1024 * 1024;
/** Headers that change the answer and are part of the key, those that providers use to know an application by, and the caller's trace. */
const FORWARDED = /^(anthropic-.*|openai-(organization|project|beta)|http-referer|x-title|traceparent|tracestate)$/;

/** Providers that have refused a stream for the usage that was asked for with it: some older ones do not know the field. */
const refusesUsage = new WeakSet<Provider>();

/** One request on its way to a provider. */
export interface AnswerRequest {
  readonly family: AnswerFamily;
  readonly path: string;
  /** The query with its question mark; empty when there is none. */
  readonly search: string;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly identity: Identity;
  readonly plan: RequestPlan;
  readonly body: Buffer;
  readonly ttlMs: number;
  /** What the call belongs to, where telemetry is on. */
  readonly trace?: RequestTrace | undefined;
  /** Told of the upstream's headers that go on to whoever made the call. */
  onHead?(headers: string[]): void;
  /** Told that the answer must not be kept. */
  onRefused?(reason: string): void;
}

/** One that goes past the cache. */
export interface PassedRequest extends Omit<AnswerRequest, "family" | "ttlMs" | "onHead" | "onRefused"> {
  readonly family: PassedFamily;
}

/** The headers of a call to a provider. */
export function upstreamHeaders(
  target: Pick<PlannedTarget, "provider">,
  clientHeaders: Readonly<Record<string, string | undefined>>,
  identity: Identity,
): Record<string, string> {
  // Answers are read, and passed on to callers who have not said which encodings they take.
  const headers: Record<string, string> = { "content-type": "application/json", "accept-encoding": "identity" };
  for (const name in clientHeaders) {
    const value = clientHeaders[name];
    if (value !== undefined && FORWARDED.test(name)) headers[name] = value;
  }
  if (target.provider.kind === "anthropic") headers["anthropic-version"] ??= "2023-06-01";
  // Not spread into a literal: what is added to the copy of a spread gets a hidden class of its own, with every call.
  return Object.assign(headers, target.provider.headers, credentialHeaders(target.provider, identity.upstreamKey), identity.headers);
}

/** The body as the provider gets it: the client's bytes, with its own name for the model, and the usage chunk asked for in streams. */
export function upstreamBody(request: Pick<PassedRequest, "family" | "plan" | "body">, target: PlannedTarget, isKept: boolean): Buffer {
  const { family, plan } = request;
  let { body } = request;
  if (target.model !== plan.model) body = setMember(body, "model", target.model);
  const needsUsage = isKept && plan.isStream && !plan.includeUsage && (family.kind === "chat" || family.kind === "completion");
  if (!needsUsage || refusesUsage.has(target.provider)) return body;
  if (!plan.hasStreamOptions) return addMember(body, "stream_options", { include_usage: true });
  const told = parseObject(request.body.toString("utf8"))?.stream_options;
  return setMember(body, "stream_options", Object.assign(isObject(told) ? told : {}, { include_usage: true }));
}

/**
 * Asks a provider and gives the answer to be stored; a stream is handed out as it comes. @param asksUsage whether a stream is asked for its usage
 * though the caller did not @throws {UpstreamFailure}
 */
export async function loadAnswer(
  parts: GatewayParts,
  request: AnswerRequest,
  target: PlannedTarget,
  load: AnswerLoad,
  asksUsage = true,
): Promise<StoredAnswer> {
  const startedAt = performance.now();
  const { context } = load;
  const secrets = credentialsOf(target.provider, request.identity.upstreamKey);
  const trace = startCall(parts, request, target);
  let stream: StreamReading | undefined;
  try {
    const answer = await parts.caller.call(
      target.provider,
      {
        method: "POST",
        url: endpointUrl(target.provider, request.path) + request.search,
        headers: Object.assign(upstreamHeaders(target, request.headers, request.identity), trace?.headers),
        body: upstreamBody(request, target, asksUsage),
        signal: context.cancellation,
        timeoutMs: target.provider.timeoutMs,
        ...onRetryOf(trace),
      },
      request.identity.tenant,
    );
    request.onHead?.(passedOnHeaders(answer.headers));
    // Small servers send streams without saying so: no official client looks at it.
    const type = mediaTypeOf(answer.headers);
    const isStream = type === undefined ? request.plan.isStream && answer.status === 200 : type === "text/event-stream";
    if (isStream) stream = new StreamReading(request.family, secrets, trace);
    const whole = stream ? await stream.read(answer, load) : readWhole(await answer.bytes(MAX_ANSWER_BYTES));
    const stored = toStoredAnswer(request, target, whole, performance.now() - startedAt, secrets);
    refuseNoAnswer(request, whole.answer, stored.refusal, answer, whole.body);
    if (stored.refusal !== undefined) {
      context.skipStore();
      request.onRefused?.(stored.refusal);
    }
    parts.meter.called(target.provider.id, "success");
    const { usage } = stored.answer.meta;
    countSpent(parts, request.identity, usage);
    if (!usage && stream && parts.limiter.countsTokens(request.identity))
      chargeEstimate(parts, request.identity, estimateUsage(request.body, stream));
    trace?.succeeded({ status: answer.status, answer: whole.answer, usage });
    return stored.answer;
  } catch (error) {
    // A caller who leaves just before the end has had the answer, and the provider has its price.
    if (context.cancellation.aborted || stream?.events)
      chargeEstimate(parts, request.identity, estimateUsage(request.body, stream ?? NOTHING_CAME));
    if (context.cancellation.aborted) {
      trace?.failed(undefined);
      throw error;
    }
    const failure = toUpstreamFailure(error);
    trace?.failed(failure);
    parts.meter.called(target.provider.id, "failure");
    if (!asksUsage || !isUsageRefusal(request, target, failure)) throw failure;
    const plain = await loadAnswer(parts, request, target, load, false);
    // Only now is it known: an error may speak of the field because the caller does.
    refusesUsage.add(target.provider);
    return plain;
  }
}

/** Whether a provider may have refused what it was asked for beside the caller's own words. */
function isUsageRefusal({ family, plan }: AnswerRequest, { provider }: PlannedTarget, { status, body }: UpstreamFailure): boolean {
  const wasAsked = plan.isStream && !plan.includeUsage && (family.kind === "chat" || family.kind === "completion");
  if (!wasAsked || (status !== 400 && status !== 422) || refusesUsage.has(provider)) return false;
  return body?.includes("stream_options") ?? false;
}

/** Begins to watch a call; `undefined` where telemetry is off. */
export function startCall(
  parts: GatewayParts,
  { family, plan, body, trace }: Pick<PassedRequest, "family" | "plan" | "body" | "trace">,
  { provider, model }: PlannedTarget,
): CallTrace | undefined {
  return parts.telemetry?.startCall({ provider, endpoint: family.kind, method: "POST", model, isStream: plan.isStream, body }, trace);
}

/** The part of a call that tells its trace of retries. */
export function onRetryOf(trace: CallTrace | undefined): Pick<UpstreamCall, "onRetry"> {
  return trace ? { onRetry: (status) => trace.retried(status) } : {};
}

/** Reads an answer that came in one. @throws {UpstreamFailure} when it is no JSON object */
function readWhole(body: Buffer): WholeAnswer {
  const answer = parseObject(body.toString("utf8"));
  if (!answer) throw new UpstreamFailure("The provider's answer is not a JSON object.", { status: 502 });
  return { answer, body };
}

function toStoredAnswer(
  request: AnswerRequest,
  target: PlannedTarget,
  { answer, body }: WholeAnswer,
  upstreamMs: number,
  secrets: ReadonlyArray<Secret | undefined>,
): { readonly answer: StoredAnswer; readonly refusal: string | undefined } {
  const meta: AnswerMeta = {
    owner: request.identity.tenant,
    model: request.plan.model,
    upstreamModel: target.model,
    provider: target.provider.id,
    createdAt: Date.now(),
    ttlMs: request.ttlMs,
    upstreamMs: Math.round(upstreamMs),
    usage: request.family.usageOf(answer),
    format: "json",
  };
  const refusal = request.family.refusalToStore(answer);
  return { answer: new StoredAnswer(meta, refusal === undefined ? body : scrubError(body, secrets)), refusal };
}

/**
 * An error that came with a status of success is answered as the error that it is: told as a stream it would be an empty success. Another object that
 * is no answer goes on to whoever asked for a whole one, who can read it; as a stream, there would again be nothing to tell.
 * @throws {UpstreamFailure}
 */
export function refuseNoAnswer(
  { plan }: Pick<AnswerRequest, "plan">,
  parsed: JsonObject,
  refusal: string | undefined,
  { headers }: UpstreamAnswer,
  body: Buffer,
): void {
  if (refusal === "error-body")
    throw new UpstreamFailure("The provider answered with an error.", { status: statusOfError(parsed.error), headers, body });
  if (plan.isStream && NO_ANSWERS.has(refusal))
    throw new UpstreamFailure("The provider's answer is not one to this request.", { status: 502 });
}

/** Some providers tell the status in the error. */
function statusOfError(error: unknown): number {
  const told = isObject(error)
    ? [error.code, error.status].find((value) => typeof value === "number" && Number.isInteger(value))
    : undefined;
  return typeof told === "number" && told >= 400 && told <= 599 ? told : 502;
}

/** Counts and charges what a provider says that a call has cost. */
export function countSpent(parts: GatewayParts, identity: Identity, usage: TokenUsage | undefined): void {
  if (!usage) return;
  parts.meter.spentInputTokens += usage.inputTokens;
  parts.meter.spentOutputTokens += usage.outputTokens;
  parts.limiter.charge(identity, usage.inputTokens + usage.outputTokens);
}

/** Charges a key with what a call may have cost. Not told as spent: nobody has said so. */
export function chargeEstimate(parts: GatewayParts, identity: Identity, usage: TokenUsage | undefined): void {
  if (usage) parts.limiter.charge(identity, usage.inputTokens + usage.outputTokens);
}
