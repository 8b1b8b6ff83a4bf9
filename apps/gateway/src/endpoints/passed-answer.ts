import type { TokenUsage } from "../answers/family.ts";
import { isObject, type JsonObject, parseObject } from "../answers/json.ts";
import { scrubError } from "../security/scrub-error.ts";
import type { Secret } from "../security/secret.ts";
import { readSseEvent, SseSplitter } from "../sse/splitter.ts";
import { headerOf, isUntyped, mediaTypeOf, type UpstreamAnswer } from "../upstream/upstream.ts";
import { estimateUsage } from "./token-estimate.ts";
import { lastUsageIn, UnkeptUsage, usageIn } from "./unkept-usage.ts";

/** Bytes of a JSON answer that are held until its end, to see whether it is an error: errors are small. */
const MAX_HELD_BYTES = 64 * 1024;
const USAGE = Buffer.from('"usage"');
const COLON = 0x3a;
const WHITE_SPACE = /^\s*$/;

/**
 * An answer that goes past the cache, looked at on its way: credentials are struck out of errors, and what it cost is read where the
 * provider tells. A stream goes on event by event, any other answer as it comes; only the first piece of JSON waits, until it is whole or
 * too large for an error.
 */
export class PassedAnswer {
  readonly #kind: "stream" | "json" | "other";
  readonly #secrets: ReadonlyArray<Secret | undefined>;
  readonly #splitter = new SseSplitter();
  #held: Buffer[] | undefined;
  readonly #read: UnkeptUsage | undefined;
  #bytes = 0;
  #events = 0;
  #usage: TokenUsage | undefined;
  #response: JsonObject | undefined;
  #hasEnded = false;

  /** @param expected what the request has it be, where the answer does not say; `undefined`: anything, which goes on untouched */
  constructor(answer: UpstreamAnswer, secrets: ReadonlyArray<Secret | undefined>, expected?: "stream" | "json") {
    this.#kind = kindOf(answer, expected);
    this.#secrets = secrets;
    this.#held = this.#kind === "json" ? [] : undefined;
    this.#read = this.#kind === "json" ? new UnkeptUsage() : undefined;
  }

  /** Whether what goes on may have another length than what came. */
  get mayChange(): boolean {
    return this.#kind !== "other";
  }

  /** Takes what has come. @returns what goes on */
  push(chunk: Buffer): readonly Buffer[] {
    this.#bytes += chunk.length;
    if (this.#kind === "stream") return this.#splitter.push(chunk).map((event) => this.#passEvent(event));
    if (this.#kind === "other") return [chunk];
    this.#read?.push(chunk);
    return this.#hold(chunk);
  }

  /** The answer has come whole. @returns what is still to go on */
  end(): readonly Buffer[] {
    this.#hasEnded = true;
    if (this.#kind === "stream") return this.#splitter.rest ? [this.#passEvent(this.#splitter.rest)] : [];
    const whole = this.#read?.whole();
    this.#response = whole;
    this.#usage = this.#read?.read(whole);
    const held = this.#held;
    this.#held = undefined;
    return held && held.length > 0 ? [scrubError(Buffer.concat(held), this.#secrets)] : [];
  }

  /** What it cost, when it has come whole and the provider has told. */
  get usage(): TokenUsage | undefined {
    return this.#hasEnded ? this.#usage : undefined;
  }

  /** The response that it is or that its events tell, as it was told last; of another API's answer, whatever that is. `undefined` of one too long to be looked at. */
  get response(): JsonObject | undefined {
    return this.#response;
  }

  /**
   * What it may have cost otherwise: a stream by what has come of it, anything else by what was asked. @param request the request's body,
   * where it is known
   */
  estimate(request: Buffer | undefined): TokenUsage | undefined {
    if (this.#kind !== "stream" && (this.#hasEnded || !request)) return undefined;
    const isStream = this.#kind === "stream";
    const estimate = estimateUsage(request, { events: this.#events, bytes: isStream ? this.#bytes : 0 });
    const { inputTokens, outputTokens = 0 } = this.#usage ?? {};
    return { inputTokens: inputTokens ?? estimate.inputTokens, outputTokens: Math.max(outputTokens, estimate.outputTokens) };
  }

  #passEvent(event: Buffer): Buffer {
    // Comments keep a connection alive and tell nothing.
    if (event[0] !== COLON) this.#events += 1;
    if (event.indexOf(USAGE) >= 0) this.#readUsage(event);
    return scrubError(event, this.#secrets);
  }

  /** Messages tell their input at the beginning and their output, so far, again and again. */
  #readUsage(event: Buffer): void {
    const told = parseObject(readSseEvent(event).data ?? "");
    if (isObject(told?.response)) this.#response = told.response;
    // Of an event that comes in pieces, the last tells it.
    const usage = told ? usageIn(told) : lastUsageIn(event);
    if (!usage) return;
    const { inputTokens = 0, outputTokens = 0 } = this.#usage ?? {};
    this.#usage = {
      inputTokens: Math.max(inputTokens, usage.inputTokens),
      outputTokens: Math.max(outputTokens, usage.outputTokens),
    };
  }

  /** White space goes on: providers send it to keep a connection alive while they think. */
  #hold(chunk: Buffer): readonly Buffer[] {
    if (!this.#held) return [chunk];
    if (this.#held.length === 0 && WHITE_SPACE.test(chunk.toString("latin1"))) return [chunk];
    this.#held.push(chunk);
    if (this.#bytes <= MAX_HELD_BYTES) return [];
    const held = this.#held;
    this.#held = undefined;
    return held;
  }
}

function kindOf(answer: UpstreamAnswer, expected: "stream" | "json" | undefined): "stream" | "json" | "other" {
  if ((headerOf(answer.headers, "content-encoding") ?? "identity") !== "identity") return "other";
  const type = mediaTypeOf(answer.headers);
  if (type === "text/event-stream") return "stream";
  if (type === "application/json") return "json";
  return (isUntyped(answer) ? expected : undefined) ?? "other";
}
