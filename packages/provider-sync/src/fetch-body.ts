import {
  type Clock,
  checkCount,
  checkDurationMs,
  checkOptions,
  checkWindowMs,
  type OptionNames,
  type RandomSource,
  systemClock,
  systemRandom,
} from "@larder/cache-core";
import { followRedirects } from "./follow-redirects.ts";
import { isPrivateHost } from "./private-host.ts";
import { publicUrl } from "./public-url.ts";
import { bodyTooLarge, errorCode, readFileBody } from "./read-file-body.ts";
import { SourceError } from "./source-error.ts";

/**
 * Fetches one upstream body under limits, because an upstream may answer with anything, for ever.
 *
 * - One deadline covers a request with its body; a lowest rate ends a drip that keeps the connection busy below it.
 * - Bytes are counted after decompression, as they arrive: a 1 GB body, sent or unpacked, ends at the cap and never sits in memory.
 * - Redirects are followed by hand (follow-redirects): another origin gets a bare request, and none leads from outside into a private network.
 * - The content type must be JSON: a captive portal's or an error page's HTML must not reach the parser with a misleading error.
 * - 408, 425, 429 and 5xx, broken connections and timeouts are tried again with doubled waits and full jitter; `retry-after` is obeyed
 *   while it fits the run, else the source has failed for this time. Other statuses are final.
 */

/** Limits and identity of the requests to upstreams. */
export interface FetchOptions {
  /** The `fetch` used. @default the runtime's */
  readonly fetch?: typeof globalThis.fetch;
  /** Milliseconds > 0 for one attempt, body included. @default 30000 */
  readonly timeoutMs?: number;
  /** Attempts after the first. 0 = none. @default 2 */
  readonly retries?: number;
  /** Milliseconds > 0 before the first retry; doubled each time, jittered. @default 500 */
  readonly retryDelayMs?: number;
  /** Longest `retry-after` in milliseconds that is waited for; a longer one ends the source's run. 0 = never waits. @default 20000 */
  readonly maxRetryAfterMs?: number;
  /** Bytes of one body at most, decompressed. @default 67108864 (64 MiB) */
  readonly maxBytes?: number;
  /** Bytes per second that a body must arrive with, on average over each `stallMs`. @default 512 */
  readonly minBytesPerSecond?: number;
  /** Milliseconds > 0 over which the rate is judged; nothing at all for so long counts as well. @default 10000 */
  readonly stallMs?: number;
  /** Sent as `user-agent`. @default "larder-provider-sync" */
  readonly userAgent?: string;
  /** Headers sent to every upstream, for attribution: OpenRouter reads `http-referer` and `x-title`. @default none */
  readonly headers?: Readonly<Record<string, string>>;
  /** @default the machine's */
  readonly clock?: Clock;
  /** @default the machine's */
  readonly random?: RandomSource;
}

const OPTIONS: OptionNames<FetchOptions> = {
  fetch: true,
  timeoutMs: true,
  retries: true,
  retryDelayMs: true,
  maxRetryAfterMs: true,
  maxBytes: true,
  minBytesPerSecond: true,
  stallMs: true,
  userAgent: true,
  headers: true,
  clock: true,
  random: true,
};

/** What the former answer was marked with, to ask whether it changed. */
export interface Validators {
  readonly etag?: string;
  readonly lastModified?: string;
}

/** A body, or the news that the former one still holds. */
export type FetchedBody =
  | { readonly status: "ok"; readonly bytes: Uint8Array; readonly validators: Validators }
  | { readonly status: "not-modified" };

/** Fetches bodies under one set of limits. */
export interface BodyFetcher {
  /** @throws {SourceError} with the reason, after the retries */
  fetchBody(url: string, request: BodyRequest): Promise<FetchedBody>;
}

/** One request. */
export interface BodyRequest {
  readonly headers?: Readonly<Record<string, string>>;
  /** @default none: the body is fetched whatever it is */
  readonly validators?: Validators;
  /** Bytes at most, decompressed, where that is less than the fetcher's `maxBytes`. @default the fetcher's */
  readonly maxBytes?: number;
  readonly signal: AbortSignal;
}

const RETRYABLE_STATUS = new Set([408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529]);

/** Reads `retry-after`: seconds, or a date. */
export function readRetryAfterMs(value: string | null, wallNow: number): number | undefined {
  if (!value) return undefined;
  if (/^\d+$/.test(value.trim())) return Number(value) * 1000;
  const at = Date.parse(value);
  return Number.isNaN(at) ? undefined : Math.max(0, at - wallNow);
}

class LimitedFetcher implements BodyFetcher {
  readonly #fetch: typeof globalThis.fetch;
  /** Another `fetch` may have another way to the upstream, a proxy's resolver among it. */
  readonly #resolvesNames: boolean;
  readonly #clock: Clock;
  readonly #random: RandomSource;
  readonly #timeoutMs: number;
  readonly #retries: number;
  readonly #retryDelayMs: number;
  readonly #maxRetryAfterMs: number;
  readonly #maxBytes: number;
  readonly #minBytesPerSecond: number;
  readonly #stallMs: number;
  /** Sent to whoever a request ends at. */
  readonly #bareHeaders: Record<string, string>;
  readonly #headers: Record<string, string>;

  constructor(options: FetchOptions) {
    checkOptions(options, OPTIONS);
    const { clock = systemClock, random = systemRandom, userAgent = "larder-provider-sync", headers = {} } = options;
    this.#fetch = options.fetch ?? ((input, init) => globalThis.fetch(input, init));
    this.#resolvesNames = options.fetch === undefined;
    this.#clock = clock;
    this.#random = random;
    this.#timeoutMs = checkDurationMs("timeoutMs", options.timeoutMs ?? 30_000);
    this.#retries = checkCount("retries", options.retries ?? 2, 0);
    this.#retryDelayMs = checkDurationMs("retryDelayMs", options.retryDelayMs ?? 500);
    this.#maxRetryAfterMs = checkWindowMs("maxRetryAfterMs", options.maxRetryAfterMs ?? 20_000);
    this.#maxBytes = checkCount("maxBytes", options.maxBytes ?? 67_108_864);
    this.#minBytesPerSecond = checkCount("minBytesPerSecond", options.minBytesPerSecond ?? 512, 0);
    this.#stallMs = checkDurationMs("stallMs", options.stallMs ?? 10_000);
    this.#bareHeaders = { accept: "application/json", "user-agent": userAgent };
    this.#headers = { ...this.#bareHeaders, ...byLowerName(headers) };
  }

  async fetchBody(url: string, request: BodyRequest): Promise<FetchedBody> {
    if (url.startsWith("file:"))
      return { status: "ok", bytes: await readFileBody(url, this.#capOf(request), request.signal), validators: {} };
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await this.#attempt(url, request);
      } catch (error) {
        const failure = this.#explain(url, error, request.signal);
        if (!failure.retryable || attempt >= this.#retries) throw failure;
        const backoffMs = this.#retryDelayMs * 2 ** attempt * (0.5 + this.#random.next() / 2);
        const waitMs = Math.max(failure.retryAfterMs ?? 0, backoffMs);
        if ((failure.retryAfterMs ?? 0) > this.#maxRetryAfterMs) throw failure;
        await this.#pause(waitMs, request.signal);
      }
    }
  }

  #capOf(request: BodyRequest): number {
    return Math.min(this.#maxBytes, request.maxBytes ?? Number.POSITIVE_INFINITY);
  }

  async #attempt(url: string, request: BodyRequest): Promise<FetchedBody> {
    const guard = new AbortController();
    const onAbort = (): void => guard.abort(new SourceError("aborted", "the run was cancelled"));
    if (request.signal.aborted) onAbort();
    request.signal.addEventListener("abort", onAbort, { once: true });
    const cancelTimer = this.#clock.setTimer(
      () => guard.abort(new SourceError("timeout", `${publicUrl(url)} did not answer within ${this.#timeoutMs} ms`, { retryable: true })),
      this.#timeoutMs,
    );
    try {
      const more = conditional(request.validators);
      const [headers, bareHeaders] = [
        { ...this.#headers, ...byLowerName(request.headers), ...more },
        { ...this.#bareHeaders, ...more },
      ];
      const send = (target: string, sent: Record<string, string>): Promise<Response> =>
        this.#untilAborted(this.#fetch(target, { headers: sent, signal: guard.signal, redirect: "manual" }), guard.signal);
      const isPrivate = (target: URL): Promise<boolean> => this.#untilAborted(isPrivateHost(target, this.#resolvesNames), guard.signal);
      const response = await followRedirects(url, { send, isPrivate, headers, bareHeaders });
      if (response.status === 304 && request.validators) {
        await response.body?.cancel();
        return { status: "not-modified" };
      }
      const maxBytes = this.#capOf(request);
      await this.#checkHead(url, response, maxBytes);
      return { status: "ok", bytes: await this.#readAll(url, response, guard, maxBytes), validators: validatorsOf(response) };
    } catch (error) {
      throw guard.signal.aborted ? guard.signal.reason : error;
    } finally {
      cancelTimer();
      request.signal.removeEventListener("abort", onAbort);
      // Frees the connection of an answer that was given up half-way; after a whole one it does nothing.
      guard.abort();
    }
  }

  async #checkHead(url: string, response: Response, maxBytes: number): Promise<void> {
    const refuse = async (error: SourceError): Promise<never> => {
      await response.body?.cancel().catch(() => {});
      throw error;
    };
    if (!response.ok) {
      const { status } = response;
      const retryAfterMs = readRetryAfterMs(response.headers.get("retry-after"), this.#clock.wallNow());
      const details = { status, retryable: RETRYABLE_STATUS.has(status), retryAfterMs };
      await refuse(new SourceError("http-status", `${publicUrl(url)} answered with status ${status}`, details));
    }
    const type = response.headers.get("content-type") ?? "application/json";
    // Raw file hosts send JSON as text/plain; a page is what must be told from a list.
    if (!/json|text\/plain|octet-stream/i.test(type))
      await refuse(new SourceError("not-json", `${publicUrl(url)} answered with another content type than JSON`));
    if (Number(response.headers.get("content-length") ?? 0) > maxBytes) await refuse(bodyTooLarge(url, maxBytes));
  }

  async #readAll(url: string, response: Response, guard: AbortController, maxBytes: number): Promise<Uint8Array> {
    if (!response.body) return new Uint8Array();
    const reader = response.body.getReader();
    const chunks: Uint8Array[] = [];
    let total = 0;
    let windowBytes = 0;
    let cancelStall = (): void => {};
    const judge = (): void => {
      const slowest = (this.#minBytesPerSecond * this.#stallMs) / 1000;
      if (windowBytes < Math.max(1, slowest)) {
        guard.abort(new SourceError("too-slow", `${publicUrl(url)} sent ${windowBytes} bytes in ${this.#stallMs} ms`, { retryable: true }));
        return;
      }
      windowBytes = 0;
      cancelStall = this.#clock.setTimer(judge, this.#stallMs);
    };
    cancelStall = this.#clock.setTimer(judge, this.#stallMs);
    try {
      for (;;) {
        const { done, value } = await this.#untilAborted(reader.read(), guard.signal);
        if (done) return Buffer.concat(chunks, total);
        total += value.byteLength;
        windowBytes += value.byteLength;
        if (total > maxBytes) throw bodyTooLarge(url, maxBytes);
        chunks.push(value);
      }
    } finally {
      cancelStall();
      reader.cancel().catch(() => {});
    }
  }

  /** A `fetch` or body that does not heed its signal must not hold the run. */
  #untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
    return new Promise((resolve, reject) => {
      const onAbort = (): void => reject(signal.reason);
      if (signal.aborted) onAbort();
      signal.addEventListener("abort", onAbort, { once: true });
      work.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
    });
  }

  #explain(url: string, error: unknown, signal: AbortSignal): SourceError {
    if (signal.aborted) return new SourceError("aborted", "the run was cancelled");
    if (SourceError.is(error)) return error;
    return new SourceError("network", `cannot reach ${publicUrl(url)}: ${errorCode(error)}`, { retryable: true });
  }

  #pause(delayMs: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        cancel();
        reject(new SourceError("aborted", "the run was cancelled"));
      };
      const cancel = this.#clock.setTimer(() => {
        signal.removeEventListener("abort", onAbort);
        resolve();
      }, delayMs);
      if (signal.aborted) onAbort();
      else signal.addEventListener("abort", onAbort, { once: true });
    });
  }
}

/** Names in one case: `fetch` sends both of `Authorization` and `authorization` as one header with two values, which no upstream takes. */
function byLowerName(headers: Readonly<Record<string, string>> = {}): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}

function conditional(validators: Validators | undefined): Record<string, string> {
  return {
    ...(validators?.etag && { "if-none-match": validators.etag }),
    ...(validators?.lastModified && { "if-modified-since": validators.lastModified }),
  };
}

function validatorsOf(response: Response): Validators {
  const etag = response.headers.get("etag");
  const lastModified = response.headers.get("last-modified");
  return { ...(etag && { etag }), ...(lastModified && { lastModified }) };
}

/** @throws {CacheError} ERR_CACHE_INVALID_OPTION when a limit is out of range */
export function createBodyFetcher(options: FetchOptions = {}): BodyFetcher {
  return new LimitedFetcher(options);
}
