import type { TokenUsage } from "../answers/family.ts";
import { parseObject } from "../answers/json.ts";
import type { AnswerLoad } from "../caching/answer-cache.ts";
import type { PlannedTarget } from "../caching/request-plan.ts";
import { type AnswerMeta, StoredAnswer } from "../caching/stored-answer.ts";
import type { GatewayParts } from "../gateway-parts.ts";
import { passedOnHeaders } from "../http/respond.ts";
import { scrubError } from "../security/scrub-error.ts";
import type { Secret } from "../security/secret.ts";
import { credentialsOf } from "../upstream/provider-secrets.ts";
import { isUntyped, mediaTypeOf, type UpstreamAnswer } from "../upstream/upstream.ts";
import { toUpstreamFailure, UpstreamFailure } from "../upstream/upstream-failure.ts";
import type { AnswerRequest } from "./answer-request.ts";
import { askProvider, MAX_ANSWER_BYTES, PARTIAL_CONTENT, startCall } from "./ask-provider.ts";
import { chargeEstimate, countSpent } from "./charge-usage.ts";
import { LongStream, StreamReading, type WholeAnswer } from "./read-stream.ts";
import { refuseNoAnswer } from "./refuse-no-answer.ts";
import { noteMaker } from "./response-makers.ts";
import { estimateUsage, NOTHING_CAME } from "./token-estimate.ts";
import { isUsageRefusal, rememberUsageRefusal, upstreamBody } from "./upstream-body.ts";

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
  const signal = load.context.cancellation;
  const secrets = credentialsOf(target.provider, request.identity.upstreamKey);
  const trace = startCall(parts, request, target);
  let stream: StreamReading | undefined;
  try {
    const answer = await askProvider(parts, request, target, { body: upstreamBody(request, target, asksUsage), signal, trace });
    request.onHead?.(passedOnHeaders(answer.headers));
    if (isStream(request, answer)) stream = new StreamReading(request.family, secrets, trace, request.plan.labels);
    const whole = stream ? await stream.read(answer, load) : readWhole(await answer.bytes(MAX_ANSWER_BYTES));
    const stored = toStoredAnswer(request, target, whole, performance.now() - startedAt, secrets, answer.status);
    refuseNoAnswer(request, whole.answer, stored.refusal, answer, whole.body);
    if (stored.refusal !== undefined) {
      load.context.skipStore();
      request.onRefused?.(stored.refusal);
    } else if (!load.hasRoomFor(stored.answer)) request.onRefused?.("too-large");
    if (request.family.kind === "responses") noteMaker(parts, request.plan, request.identity, target.provider, whole.answer);
    const { usage } = stored.answer.meta;
    parts.meter.called(target.provider.id, "success");
    charge(parts, request, usage, stream);
    trace?.succeeded({ status: answer.status, answer: whole.answer, usage });
    return stored.answer;
  } catch (error) {
    const failure = signal.aborted ? undefined : toUpstreamFailure(error);
    const isLong = failure instanceof LongStream;
    // A caller who leaves just before the end has had the answer, and the provider has its price. One that is too long to be kept may have told it.
    if (isLong && stream?.usage) countSpent(parts, request.identity, stream.usage);
    else if (signal.aborted || stream?.events) chargeEstimate(parts, request.identity, estimateUsage(request.body, stream ?? NOTHING_CAME));
    if (isLong) request.onRefused?.("too-long");
    if (isLong) trace?.succeeded({});
    else trace?.failed(failure);
    if (!failure) throw error;
    parts.meter.called(target.provider.id, isLong ? "success" : "failure");
    if (stream && !isLong)
      parts.onBroken({ providerId: target.provider.id, requestId: request.requestId, endpoint: request.family.kind, failure });
    if (!asksUsage || !isUsageRefusal(request, target, failure)) throw failure;
    const plain = await loadAnswer(parts, request, target, load, false);
    // Only now is it known: an error may speak of the field because the caller does.
    rememberUsageRefusal(target);
    return plain;
  }
}

/** What the provider says that it has cost; of a stream that says nothing, an estimate. */
function charge(
  parts: GatewayParts,
  { identity, body }: AnswerRequest,
  usage: TokenUsage | undefined,
  stream: StreamReading | undefined,
): void {
  if (usage) countSpent(parts, identity, usage);
  else if (stream && parts.limiter.countsTokens(identity)) chargeEstimate(parts, identity, estimateUsage(body, stream));
}

/** Small servers send streams without saying so. */
function isStream({ plan }: AnswerRequest, answer: UpstreamAnswer): boolean {
  return mediaTypeOf(answer.headers) === "text/event-stream" || (plan.isStream && answer.status === 200 && isUntyped(answer));
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
  status: number,
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
    labels: request.plan.labels || undefined,
  };
  const refusal = request.family.refusalToStore(answer) ?? (status === PARTIAL_CONTENT ? "partial" : undefined);
  return { answer: new StoredAnswer(meta, refusal === undefined ? body : scrubError(body, secrets)), refusal };
}
