import { Readable } from "node:stream";
import type { AbortSignalLike } from "@larder/cache-core";
import { parseObject } from "../answers/json.ts";
import type { CacheVerdict } from "../caching/cache-status.ts";
import { cacheStatus } from "../caching/cache-status.ts";
import type { GatewayParts } from "../gateway-parts.ts";
import { Departure } from "../http/departure.ts";
import type { Exchange } from "../http/exchange.ts";
import type { ErrorShape } from "../http/http-error.ts";
import { requestIdHeaders, sendFailure } from "../http/respond.ts";
import type { CallTrace } from "../telemetry/telemetry.ts";
import { decodeAnswer } from "../upstream/decode-answer.ts";
import { credentialHeaders, endpointUrl, type Provider } from "../upstream/provider.ts";
import { credentialsOf } from "../upstream/provider-secrets.ts";
import { mediaTypeOf, type UpstreamAnswer } from "../upstream/upstream.ts";
import { toUpstreamFailure, UpstreamFailure } from "../upstream/upstream-failure.ts";
import type { AnswerRequest, PassedRequest } from "./answer-request.ts";
import { askProvider, MAX_ANSWER_BYTES, startCall } from "./ask-provider.ts";
import { chargeFinished, estimateForLater, isInBackground, noteCharged } from "./background-costs.ts";
import { chargeEstimate, countSpent } from "./charge-usage.ts";
import { givesWay } from "./gives-way.ts";
import { isForAnthropic } from "./is-for-anthropic.ts";
import { PassedAnswer } from "./passed-answer.ts";
import { passedEndpoint } from "./passed-endpoint.ts";
import { passedHeaders } from "./passed-headers.ts";
import { refuseNoAnswer } from "./refuse-no-answer.ts";
import { makerOf, noteMaker, responseIn } from "./response-makers.ts";
import { estimateUsage, NOTHING_CAME } from "./token-estimate.ts";
import { upstreamBody } from "./upstream-body.ts";

/** How an uncached answer is told. */
export interface PassOptions {
  /** What the request is counted under: one of a fixed few. */
  readonly endpoint: string;
  readonly verdict: CacheVerdict;
  readonly shape: ErrorShape;
  /** Aborted when the caller leaves. */
  readonly signal: AbortSignalLike;
}

/** Asks the targets in their order and passes the answer on as it comes, past the cache. @returns whether the caller got a whole answer */
export async function passThrough(parts: GatewayParts, request: PassedRequest, exchange: Exchange, options: PassOptions): Promise<boolean> {
  const { targets } = request.plan;
  for (const [position, target] of targets.entries()) {
    const trace = startCall(parts, request, target);
    try {
      const called = await askProvider(parts, request, target, {
        body: upstreamBody(request, target, false),
        signal: options.signal,
        trace,
      });
      const answer = request.plan.isStream ? await refuseUnstreamed(request, called) : called;
      return await pipe(parts, {
        exchange,
        answer,
        provider: target.provider,
        identity: request.identity,
        body: request.body,
        ...(request.family.kind === "responses" ? { plan: request.plan } : {}),
        expected: request.plan.isStream ? "stream" : "json",
        options,
        trace,
      });
    } catch (error) {
      trace?.failed(options.signal.aborted ? undefined : error);
      if (options.signal.aborted) {
        chargeEstimate(parts, request.identity, estimateUsage(request.body, NOTHING_CAME));
        return false;
      }
      parts.meter.called(target.provider.id, "failure");
      if (!(error instanceof UpstreamFailure) || exchange.hasBegun) throw error;
      if (givesWay(parts, target, request.identity, error) && position < targets.length - 1) continue;
      parts.meter.failed(options.endpoint, error.status);
      sendFailure(exchange, error, options.shape, credentialsOf(target.provider, request.identity.upstreamKey), options.verdict);
      return false;
    }
  }
  return false;
}

/** A stream that comes as JSON is an error, or what this upstream gives instead of one. @throws {UpstreamFailure} when it is no answer */
async function refuseUnstreamed(request: PassedRequest, answer: UpstreamAnswer): Promise<UpstreamAnswer> {
  if (mediaTypeOf(answer.headers) !== "application/json") return answer;
  const bytes = await answer.bytes(MAX_ANSWER_BYTES).catch((error: unknown) => {
    throw toUpstreamFailure(error);
  });
  const parsed = parseObject(bytes.toString("utf8"));
  if (parsed) refuseNoAnswer(request, parsed, request.family.refusalToStore(parsed), answer, bytes);
  const { status, headers } = answer;
  return { status, headers, body: Readable.from([bytes]), bytes: () => Promise.resolve(bytes), discard: () => undefined };
}

/** An answer on its way past the cache. */
interface Passing {
  readonly exchange: Exchange;
  readonly answer: UpstreamAnswer;
  readonly provider: Provider;
  readonly identity: AnswerRequest["identity"];
  /** The request's body, where it has been read. */
  readonly body: Buffer | undefined;
  /** The plan of a request for a response. */
  readonly plan?: AnswerRequest["plan"];
  /** The id of the stored response that is asked about. */
  readonly responseId?: string | undefined;
  /** What it is where it does not say; `undefined`: anything. */
  readonly expected?: "stream" | "json";
  readonly options: PassOptions;
  readonly trace: CallTrace | undefined;
}

/** Passes an answer's bytes on as fast as the caller takes them, and charges what it cost. @returns whether the caller got all of it */
async function pipe(parts: GatewayParts, passing: Passing): Promise<boolean> {
  const { exchange, answer, provider, identity, options, trace } = passing;
  const secrets = credentialsOf(provider, identity.upstreamKey);
  const passed = new PassedAnswer(answer, secrets, passing.expected);
  exchange.begin(answer.status, [
    ...["x-larder-cache", options.verdict, "cache-status", cacheStatus(options.verdict), "x-larder-provider", provider.id],
    ...requestIdHeaders(exchange, options.shape),
    ...passedHeaders(answer, passed.mayChange, secrets),
  ]);
  exchange.flushHead();
  let isWhole = false;
  try {
    for await (const chunk of answer.body) {
      if (options.signal.aborted) break;
      for (const piece of passed.push(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)))
        if (!exchange.write(piece)) await exchange.drained();
    }
    if (!options.signal.aborted) {
      for (const piece of passed.end()) exchange.write(piece);
      trace?.succeeded({ status: answer.status, usage: passed.usage });
      parts.meter.called(provider.id, "success");
      exchange.end();
      isWhole = true;
    }
  } catch (error) {
    if (!options.signal.aborted) {
      const failure = toUpstreamFailure(error);
      const { endpoint } = options;
      trace?.failed(failure);
      parts.meter.called(provider.id, "failure");
      parts.meter.failed(endpoint, failure.status);
      parts.onBroken({ providerId: provider.id, requestId: exchange.requestId, endpoint, failure });
    }
    exchange.destroy();
  }
  if (options.signal.aborted) trace?.failed(undefined);
  if (passing.plan && passed.response) noteMaker(parts, passing.plan, identity, provider, passed.response);
  await settle(parts, passing, passed);
  return isWhole;
}

/** Charges what a call has cost. What is read from a provider, such as a batch of yesterday, tells what that has cost. */
async function settle(
  parts: GatewayParts,
  { exchange, identity, body, responseId, options }: Passing,
  passed: PassedAnswer,
): Promise<void> {
  const { usage } = passed;
  const { method } = exchange;
  if (responseId !== undefined) return usage && chargeFinished(parts, identity, responseId, method, usage);
  if (method !== "POST") return;
  const estimate = usage ? undefined : (passed.estimate(body) ?? estimateForLater(options.endpoint, body));
  if (usage) countSpent(parts, identity, usage);
  else chargeEstimate(parts, identity, estimate);
  if (isInBackground(options.endpoint, body)) noteCharged(parts, identity, passed.response, estimate);
}

/** Headers of a request that are about the connection to us, or ours alone. */
const NOT_PASSED_ON =
  /^(host|connection|keep-alive|transfer-encoding|content-length|upgrade|te|trailer|expect|authorization|x-api-key|cookie|proxy-.*|forwarded|x-forwarded-.*|x-real-ip|x-larder-.*|x-openrouter-cache.*|origin|referer|sec-.*|accept-encoding)$/;

/** The caller's headers without those that are about the connection to us, which a `connection` header may name more of (RFC 9110 7.6.1). */
function headersToPassOn(exchange: Exchange, hasBody: boolean): Record<string, string> {
  const ofConnection = new Set((exchange.header("connection") ?? "").split(",").map((name) => name.trim().toLowerCase()));
  const headers: Record<string, string> = { "accept-encoding": "identity" };
  for (const [name, value] of Object.entries(exchange.headers()))
    if (value !== undefined && !NOT_PASSED_ON.test(name) && !ofConnection.has(name)) headers[name] = value;
  const length = exchange.header("content-length");
  if (hasBody && length !== undefined) headers["content-length"] = length;
  return headers;
}

/** Passes any other request of the API on, streaming both ways, uncached. */
export async function proxy(parts: GatewayParts, exchange: Exchange, identity: AnswerRequest["identity"]): Promise<void> {
  const left = new Departure(exchange, () => {
    parts.meter.abandoned += 1;
  }).watched();
  const endpoint = passedEndpoint(exchange.path);
  const shape: ErrorShape = isForAnthropic(exchange) ? "anthropic" : "openai";
  const table = await parts.directory.table(identity);
  const responseId = responseIn(exchange.path);
  const maker = responseId === undefined ? undefined : await makerOf(parts, identity, responseId, table);
  const provider = maker ?? (shape === "anthropic" ? table.anthropic : table.fallback);
  const body = exchange.bodyStream();
  const headers = headersToPassOn(exchange, body !== undefined);
  if (provider.kind === "anthropic") headers["anthropic-version"] ??= "2023-06-01";
  const options = { endpoint, verdict: "BYPASS", shape, signal: left } as const;
  const described = { provider, endpoint: undefined, method: exchange.method, model: "", isStream: false, body: undefined };
  const trace = parts.telemetry?.startCall(described, exchange.trace);
  try {
    const answer = decodeAnswer(
      await provider.upstream.call({
        method: exchange.method,
        url: endpointUrl(provider, exchange.path) + exchange.search,
        headers: { ...headers, ...provider.headers, ...credentialHeaders(provider, identity.upstreamKey), ...trace?.headers },
        ...(body ? { body } : {}),
        signal: left,
        timeoutMs: provider.timeoutMs,
      }),
    );
    if (answer.status < 400) {
      if (await pipe(parts, { exchange, answer, provider, identity, body: undefined, responseId, options, trace }))
        parts.meter.passedOn(endpoint);
      return;
    }
    throw new UpstreamFailure("The provider answered with an error.", {
      status: answer.status,
      headers: answer.headers,
      body: await answer.bytes(1024 * 1024).catch(() => Buffer.alloc(0)),
    });
  } catch (error) {
    if (left.aborted) return trace?.failed(undefined);
    const failure = toUpstreamFailure(error);
    trace?.failed(failure);
    parts.meter.called(provider.id, "failure");
    parts.meter.failed(endpoint, failure.status);
    sendFailure(exchange, failure, shape, credentialsOf(provider, identity.upstreamKey), "BYPASS");
  }
}
