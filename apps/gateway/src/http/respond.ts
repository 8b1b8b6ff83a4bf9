import type { AnswerFamily, TokenUsage } from "../answers/family.ts";
import { isObject } from "../answers/json.ts";
import type { CacheControls } from "../caching/cache-controls.ts";
import { type CacheVerdict, cacheStatus } from "../caching/cache-status.ts";
import type { PlannedTarget, RequestPlan } from "../caching/request-plan.ts";
import type { StoredAnswer } from "../caching/stored-answer.ts";
import type { GatewayParts } from "../gateway-parts.ts";
import { scrub } from "../security/scrub.ts";
import type { Secret } from "../security/secret.ts";
import { headerOf, type UpstreamAnswer } from "../upstream/upstream.ts";
import type { UpstreamFailure } from "../upstream/upstream-failure.ts";
import type { Exchange } from "./exchange.ts";
import { type ErrorShape, errorBody, HttpError } from "./http-error.ts";

/** Headers of an upstream's answer that clients act on. */
const PASSED_ON = /^(retry-after(-ms)?|x-should-retry|x-ratelimit-.*|anthropic-ratelimit-.*|openai-(processing-ms|version|model))$/;

const SENDABLE = /^[\t\x20-\x7e]*$/;
/** Whether a header can have this value. */
export const isSendable = (value: string): boolean => SENDABLE.test(value);

/** The upstream's headers that go on to the caller, as a flat list, and under a name of its own the id by which the provider knows the request. */
export function passedOnHeaders(headers: UpstreamAnswer["headers"]): string[] {
  const passed: string[] = [];
  for (const name in headers) {
    const value = PASSED_ON.test(name) ? headerOf(headers, name) : undefined;
    if (value !== undefined && isSendable(value)) passed.push(name, value);
  }
  passed.push(...upstreamIdHeaders(headers));
  return passed;
}

/** The id by which the provider knows the request, under a name of its own, as a flat list. */
export function upstreamIdHeaders(headers: UpstreamAnswer["headers"]): string[] {
  const id = headerOf(headers, "request-id") ?? headerOf(headers, "x-request-id");
  return id !== undefined && isSendable(id) ? ["x-larder-upstream-request-id", id] : [];
}

/** Both names under which clients read a request's id. */
export function requestIdHeaders(exchange: Exchange, shape: ErrorShape): string[] {
  const ids = ["x-request-id", exchange.requestId];
  return shape === "anthropic" ? [...ids, "request-id", exchange.requestId] : ids;
}

/** What every answer tells of the cache when the gateway makes it up by itself: it was neither stored nor asked for. */
export const MADE_HERE: readonly string[] = ["x-larder-cache", "BYPASS", "cache-status", "larder; detail=generated"];

/** Answers with an error in the caller's shape. @param cacheHeaders what it tells of the cache, unless the error itself does */
export function sendError(exchange: Exchange, error: HttpError, shape: ErrorShape, cacheHeaders: readonly string[] = MADE_HERE): void {
  if (exchange.raise?.(error, cacheHeaders)) return;
  if (exchange.hasBegun) {
    exchange.destroy();
    return;
  }
  const body = errorBody(error, shape, exchange.requestId);
  exchange.begin(error.status, [
    ...["content-type", "application/json", "content-length", String(Buffer.byteLength(body))],
    ...requestIdHeaders(exchange, shape),
    ...(error.headers["x-larder-cache"] === undefined ? cacheHeaders : []),
    ...Object.entries(error.headers).flat(),
  ]);
  exchange.end(body);
}

/** Answers with an upstream's failure: its own error where it gave one, without credentials, else ours. */
export function sendFailure(
  exchange: Exchange,
  failure: UpstreamFailure,
  shape: ErrorShape,
  secrets: ReadonlyArray<Secret | undefined>,
  verdict: CacheVerdict = "MISS",
): void {
  const aboutCache = ["x-larder-cache", verdict, "cache-status", cacheStatus(verdict, { forwardStatus: failure.status })];
  if (exchange.raise?.(failure, aboutCache)) return;
  if (exchange.hasBegun) {
    exchange.destroy();
    return;
  }
  const text = failure.body && failure.body.length > 0 ? scrub(failure.body.toString("utf8"), secrets) : "";
  const told = [...passedOnHeaders(failure.headers), ...aboutCache];
  const body = jsonErrorOf(text);
  if (body === undefined) {
    const words = wordsOf(text);
    const message = words === "" ? failure.message : `${failure.message.replace(/\.$/, "")}: ${words}`;
    sendError(exchange, new HttpError(failure.status, message, { code: "upstream_error" }), shape, told);
    return;
  }
  exchange.begin(failure.status, [
    ...["content-type", "application/json", "content-length", String(Buffer.byteLength(body))],
    ...requestIdHeaders(exchange, shape),
    ...told,
  ]);
  exchange.end(body);
}

/** An error that clients can read as it is; Google sends its own as a list of one. */
function jsonErrorOf(text: string): string | undefined {
  try {
    const parsed: unknown = JSON.parse(text);
    if (isObject(parsed)) return text;
    const only = Array.isArray(parsed) && parsed.length === 1 && isObject(parsed[0]) ? parsed[0] : undefined;
    return only && isObject(only.error) ? JSON.stringify(only) : undefined;
  } catch {
    return undefined;
  }
}

/** Characters of an error in plain words that are told at most. */
const MAX_WORDS = 500;

/** What a provider says without JSON, as one line; a page for a browser says nothing to a program. */
function wordsOf(text: string): string {
  return /^\s*</.test(text)
    ? ""
    : text
        .replace(/[\p{Cc}\s]+/gu, " ")
        .trim()
        .slice(0, MAX_WORDS);
}

/** An answer and everything that decides how it is told. */
export interface Telling {
  readonly exchange: Exchange;
  readonly family: AnswerFamily;
  readonly shape: ErrorShape;
  readonly controls: CacheControls;
  readonly plan: RequestPlan;
  /** The request's body. */
  readonly body: Buffer;
  readonly target: PlannedTarget;
  readonly verdict: CacheVerdict;
  /** Whether this request's answer was stored. */
  readonly isStored: boolean;
  /** Why the answer that this request has had made is not kept. */
  readonly refusal?: string | undefined;
  /** Headers of the upstream's answer, for those who made the call. */
  readonly upstreamHeaders?: readonly string[] | undefined;
}

const JSON_TYPE = "application/json";
const SSE_TYPE = "text/event-stream; charset=utf-8";

/** Answers with a stored answer, or one that has just been made, in the form that the caller asked for. @returns whether it can be told so */
export function sendAnswer(parts: GatewayParts, answer: StoredAnswer, telling: Telling): boolean {
  const { exchange, family, controls, plan, target, verdict } = telling;
  const isHit = verdict === "HIT" || verdict === "STALE";
  const { isStream } = plan;
  const labelledBy = plan.labels === (answer.meta.labels ?? "") ? undefined : telling.body;
  const form = { isStream, includeUsage: isStream && plan.includeUsage, isZeroUsage: isHit && controls.usage === "zero", labelledBy };
  const bytes = parts.answers.forms.render(answer, family, form);
  if (!bytes) return false;
  const { ageMs } = answer;
  const status = cacheStatus(verdict, {
    key: target.key,
    ttlMs: isHit || telling.isStored ? answer.meta.ttlMs - ageMs : undefined,
    isStored: telling.isStored,
    detail: isHit && parts.answers.isDegraded ? "degraded" : telling.refusal,
  });
  const headers = [
    "content-type",
    isStream ? SSE_TYPE : JSON_TYPE,
    "content-length",
    String(bytes.length),
    "cache-status",
    status,
    "x-larder-cache",
    verdict,
    "x-larder-provider",
    answer.meta.provider,
    "x-request-id",
    exchange.requestId,
  ];
  if (telling.shape === "anthropic") headers.push("request-id", exchange.requestId);
  if (isStream) headers.push("cache-control", "no-cache");
  if (isHit) {
    headers.push("age", String(Math.floor(ageMs / 1000)));
    countSaved(parts, answer);
    if (controls.usage === "headers" && answer.meta.usage) headers.push(...savedHeaders(answer.meta.usage));
  }
  if (telling.upstreamHeaders) headers.push(...telling.upstreamHeaders);
  exchange.begin(200, headers);
  exchange.end(bytes);
  return true;
}

/** The head of a stream that is passed on as it comes. */
export function beginLiveStream(telling: Telling): void {
  const { exchange, target, verdict } = telling;
  exchange.begin(200, [
    ...["content-type", SSE_TYPE, "cache-control", "no-cache", "x-accel-buffering", "no"],
    ...["cache-status", cacheStatus(verdict, { key: target.key }), "x-larder-cache", verdict, "x-larder-provider", target.provider.id],
    ...requestIdHeaders(exchange, telling.shape),
    ...(telling.upstreamHeaders ?? []),
  ]);
}

/** What a hit has saved, for callers who want it told beside the usage. */
export function savedHeaders({ inputTokens, outputTokens }: TokenUsage): string[] {
  return ["x-larder-saved-input-tokens", String(inputTokens), "x-larder-saved-output-tokens", String(outputTokens)];
}

function countSaved(parts: GatewayParts, answer: StoredAnswer): void {
  const { meter } = parts;
  meter.savedMs += answer.meta.upstreamMs;
  if (!answer.meta.usage) return;
  meter.savedInputTokens += answer.meta.usage.inputTokens;
  meter.savedOutputTokens += answer.meta.usage.outputTokens;
  meter.savedUsd += parts.prices.costOf(answer);
}
