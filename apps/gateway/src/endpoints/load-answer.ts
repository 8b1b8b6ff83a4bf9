import { type AnswerFamily, NO_ANSWERS } from "../answers/family.ts";
import { isObject, type JsonObject, parseObject } from "../answers/json.ts";
import type { AnswerLoad } from "../caching/answer-cache.ts";
import { type EventBatch, LiveStream } from "../caching/live-stream.ts";
import type { PlannedTarget, RequestPlan } from "../caching/request-plan.ts";
import { type AnswerMeta, StoredAnswer } from "../caching/stored-answer.ts";
import type { GatewayParts } from "../gateway-parts.ts";
import { passedOnHeaders } from "../http/respond.ts";
import type { Identity } from "../security/authenticator.ts";
import { readSseEvent, SseSplitter } from "../sse/splitter.ts";
import type { CallTrace, RequestTrace } from "../telemetry/telemetry.ts";
import { credentialHeaders, endpointUrl } from "../upstream/provider.ts";
import { setMember } from "../upstream/rewrite-body.ts";
import { headerOf, type UpstreamAnswer, type UpstreamCall } from "../upstream/upstream.ts";
import { toUpstreamFailure, UpstreamFailure } from "../upstream/upstream-failure.ts";

/** Largest answer taken in. */
export const MAX_ANSWER_BYTES = 64 * 1024 * 1024;
/** Bytes of a stream that are kept to put its answer together; a longer one is passed on and not stored. */
const MAX_ASSEMBLED_BYTES = 16 * 1024 * 1024;
/** Headers that change the answer and are part of the key, those that providers use to know an application by, and the caller's trace. */
const FORWARDED = /^(anthropic-.*|openai-(organization|project|beta)|http-referer|x-title|traceparent|tracestate)$/;

/** One request on its way to a provider. */
export interface AnswerRequest {
  readonly family: AnswerFamily;
  readonly path: string;
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

/** The headers of a call to a provider. */
export function upstreamHeaders(
  target: Pick<PlannedTarget, "provider">,
  clientHeaders: Readonly<Record<string, string | undefined>>,
  identity: Identity,
): Record<string, string> {
  const headers: Record<string, string> = { "content-type": "application/json" };
  for (const name in clientHeaders) {
    const value = clientHeaders[name];
    if (value !== undefined && FORWARDED.test(name)) headers[name] = value;
  }
  if (target.provider.kind === "anthropic") headers["anthropic-version"] ??= "2023-06-01";
  // Not spread into a literal: what is added to the copy of a spread gets a hidden class of its own, with every call.
  return Object.assign(headers, target.provider.headers, credentialHeaders(target.provider, identity.upstreamKey), identity.headers);
}

/** The body as the provider gets it: the client's bytes, with its own name for the model, and the usage chunk asked for in streams. */
export function upstreamBody(request: Pick<AnswerRequest, "family" | "plan" | "body">, target: PlannedTarget, isKept: boolean): Buffer {
  const { family, plan } = request;
  let { body } = request;
  if (target.model !== plan.model) body = setMember(body, "model", target.model);
  const needsUsage = isKept && plan.isStream && !plan.includeUsage && (family.kind === "chat" || family.kind === "completion");
  return needsUsage ? setMember(body, "stream_options", { include_usage: true }) : body;
}

/** Asks a provider and gives the answer to be stored; a stream is handed out as it comes. @throws {UpstreamFailure} */
export async function loadAnswer(
  parts: GatewayParts,
  request: AnswerRequest,
  target: PlannedTarget,
  load: AnswerLoad,
): Promise<StoredAnswer> {
  const startedAt = performance.now();
  const { context } = load;
  const trace = startCall(parts, request, target);
  try {
    const answer = await parts.caller.call(target.provider, {
      method: "POST",
      url: endpointUrl(target.provider, request.path),
      headers: Object.assign(upstreamHeaders(target, request.headers, request.identity), trace?.headers),
      body: upstreamBody(request, target, true),
      signal: context.cancellation,
      timeoutMs: target.provider.timeoutMs,
      ...onRetryOf(trace),
    });
    request.onHead?.(passedOnHeaders(answer.headers));
    const isStream = headerOf(answer.headers, "content-type")?.includes("text/event-stream") ?? false;
    const body = isStream ? await readStream(request.family, answer, load, trace) : await answer.bytes(MAX_ANSWER_BYTES);
    const stored = toStoredAnswer(request, target, body, performance.now() - startedAt);
    if (NO_ANSWERS.has(stored.refusal)) refuseNoAnswer(request, stored.parsed, stored.refusal, answer, body);
    if (stored.refusal !== undefined) {
      context.skipStore();
      request.onRefused?.(stored.refusal);
    }
    parts.meter.called(target.provider.id, "success");
    countSpent(parts, request.identity, stored.answer.meta);
    trace?.succeeded({ status: answer.status, answer: stored.parsed, usage: stored.answer.meta.usage });
    return stored.answer;
  } catch (error) {
    if (context.cancellation.aborted) {
      trace?.failed(undefined);
      throw error;
    }
    const failure = toUpstreamFailure(error);
    trace?.failed(failure);
    parts.meter.called(target.provider.id, "failure");
    throw failure;
  }
}

/** Begins to watch a call; `undefined` where telemetry is off. */
export function startCall(
  parts: GatewayParts,
  { family, plan, body, trace }: Pick<AnswerRequest, "family" | "plan" | "body" | "trace">,
  { provider, model }: PlannedTarget,
): CallTrace | undefined {
  return parts.telemetry?.startCall({ provider, endpoint: family.kind, method: "POST", model, isStream: plan.isStream, body }, trace);
}

/** The part of a call that tells its trace of retries. */
export function onRetryOf(trace: CallTrace | undefined): Pick<UpstreamCall, "onRetry"> {
  return trace ? { onRetry: (status) => trace.retried(status) } : {};
}

function toStoredAnswer(
  request: AnswerRequest,
  target: PlannedTarget,
  body: Buffer,
  upstreamMs: number,
): { readonly answer: StoredAnswer; readonly parsed: JsonObject; readonly refusal: string | undefined } {
  const parsed = parseObject(body.toString("utf8"));
  if (!parsed) throw new UpstreamFailure("The provider's answer is not a JSON object.", { status: 502 });
  const meta: AnswerMeta = {
    owner: request.identity.tenant,
    model: request.plan.model,
    upstreamModel: target.model,
    provider: target.provider.id,
    createdAt: Date.now(),
    ttlMs: request.ttlMs,
    upstreamMs: Math.round(upstreamMs),
    usage: request.family.usageOf(parsed),
    format: "json",
  };
  return { answer: new StoredAnswer(meta, body), parsed, refusal: request.family.refusalToStore(parsed) };
}

/**
 * An error that came with a status of success is answered as the error that it is: told as a stream it would be an empty success. Another object that
 * is no answer goes on to whoever asked for a whole one, who can read it; as a stream, there would again be nothing to tell.
 */
function refuseNoAnswer(
  { plan }: AnswerRequest,
  parsed: JsonObject,
  refusal: string | undefined,
  { headers }: UpstreamAnswer,
  body: Buffer,
): void {
  if (refusal === "error-body")
    throw new UpstreamFailure("The provider answered with an error.", { status: statusOfError(parsed.error), headers, body });
  if (plan.isStream) throw new UpstreamFailure("The provider's answer is not one to this request.", { status: 502 });
}

/** Some providers tell the status in the error. */
function statusOfError(error: unknown): number {
  const told = isObject(error)
    ? [error.code, error.status].find((value) => typeof value === "number" && Number.isInteger(value))
    : undefined;
  return typeof told === "number" && told >= 400 && told <= 599 ? told : 502;
}

function countSpent(parts: GatewayParts, identity: Identity, { usage }: AnswerMeta): void {
  if (!usage) return;
  parts.meter.spentInputTokens += usage.inputTokens;
  parts.meter.spentOutputTokens += usage.outputTokens;
  parts.limiter.charge(identity, usage.inputTokens + usage.outputTokens);
}

/** Passes a stream on as it comes, and gives what it amounts to. */
async function readStream(family: AnswerFamily, answer: UpstreamAnswer, load: AnswerLoad, trace: CallTrace | undefined): Promise<Buffer> {
  const live = new LiveStream();
  load.startLive(live);
  const splitter = new SseSplitter();
  let events: Buffer[] | undefined = [];
  let length = 0;
  try {
    for await (const chunk of answer.body) {
      const come = splitter.push(chunk);
      if (come.length === 0) continue;
      trace?.firstChunk();
      const room = live.push(toBatch(family, come));
      for (const event of come) length += event.length;
      if (length > MAX_ASSEMBLED_BYTES) events = undefined;
      events?.push(...come);
      if (room) await room;
    }
  } catch (error) {
    const failure = toUpstreamFailure(error);
    live.fail(failure);
    throw failure;
  }
  const { rest } = splitter;
  if (rest) {
    // Some providers leave out the blank line after the last event.
    const last = Buffer.concat([rest, Buffer.from("\n\n")]);
    void live.push(toBatch(family, [last]));
    events?.push(last);
  }
  live.end();
  return assemble(family, events);
}

function toBatch(family: AnswerFamily, events: readonly Buffer[]): EventBatch {
  const all = events.length === 1 ? (events[0] as Buffer) : Buffer.concat(events);
  const lean = events.filter((event) => !family.isUsageEvent(event));
  return { all, lean: lean.length === events.length ? all : Buffer.concat(lean) };
}

/** Done after the last event has gone out: nobody waits for it but callers who asked for the whole answer. */
function assemble(family: AnswerFamily, events: readonly Buffer[] | undefined): Buffer {
  const assembler = family.assemble();
  for (const event of events ?? []) assembler.push(readSseEvent(event));
  const whole = events && assembler.finish();
  if (!whole) throw new UpstreamFailure("The provider's stream did not end as it should.", { status: 502 });
  return Buffer.from(JSON.stringify(whole));
}
