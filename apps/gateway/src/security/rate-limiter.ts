import type { HttpErrorDetails } from "../http/http-error.ts";
import { HttpError } from "../http/http-error.ts";
import type { Identity } from "./authenticator.ts";

const WINDOW_MS = 60_000;
/** Keys counted at most in one window. */
const MAX_KEYS = 100_000;

/** Counts shared by all processes. */
export interface SharedCounter {
  /** Adds to a counter of the current minute and gives its value; `undefined` when the counter cannot be reached. */
  add(name: string, amount: number, windowMs: number): Promise<number | undefined>;
}

interface Usage {
  windowAt: number;
  requests: number;
  tokens: number;
  running: number;
}

/**
 * Limits of virtual keys per minute. Counted in this process, and in Redis where there is one, so that a fleet shares a limit; while Redis
 * is away each process counts for itself.
 */
export class RateLimiter {
  readonly #shared: SharedCounter | undefined;
  readonly #usages = new Map<string, Usage>();

  constructor(shared?: SharedCounter) {
    this.#shared = shared;
  }

  /**
   * Counts a request in. `undefined` at once for a key without limits: the common case costs nothing.
   * @returns what to call when the request is over. @throws {HttpError} 429 with `retry-after`
   */
  enter(identity: Identity): undefined | (() => void) | Promise<() => void> {
    const { keyId, limits } = identity;
    const { requestsPerMinute, tokensPerMinute, concurrency } = limits;
    if (keyId === undefined || (requestsPerMinute ?? tokensPerMinute ?? concurrency) === undefined) return undefined;
    const usage = this.#usageOf(keyId);
    if (concurrency !== undefined && usage.running >= concurrency) throw tooMany("requests at a time", concurrency, 1);
    if (tokensPerMinute !== undefined && usage.tokens >= tokensPerMinute)
      throw tooMany("tokens per minute", tokensPerMinute, secondsLeft());
    usage.requests += 1;
    if (requestsPerMinute !== undefined && usage.requests > requestsPerMinute)
      throw tooMany("requests per minute", requestsPerMinute, secondsLeft());
    usage.running += 1;
    const leave = (): void => {
      usage.running -= 1;
    };
    return this.#shared ? this.#enterShared(this.#shared, keyId, identity, leave) : leave;
  }

  async #enterShared(shared: SharedCounter, keyId: string, identity: Identity, leave: () => void): Promise<() => void> {
    const { requestsPerMinute, tokensPerMinute } = identity.limits;
    const [requests, tokens] = await Promise.all([
      requestsPerMinute === undefined ? undefined : shared.add(`requests:${keyId}`, 1, WINDOW_MS),
      tokensPerMinute === undefined ? undefined : shared.add(`tokens:${keyId}`, 0, WINDOW_MS),
    ]);
    const isOverRequests = requests !== undefined && requestsPerMinute !== undefined && requests > requestsPerMinute;
    const isOverTokens = tokens !== undefined && tokensPerMinute !== undefined && tokens >= tokensPerMinute;
    if (!isOverRequests && !isOverTokens) return leave;
    leave();
    throw isOverRequests
      ? tooMany("requests per minute", requestsPerMinute, secondsLeft())
      : tooMany("tokens per minute", tokensPerMinute ?? 0, secondsLeft());
  }

  /** Charges tokens that a provider has spent for the key. Hits cost none. */
  charge(identity: Identity, tokens: number): void {
    if (identity.keyId === undefined || identity.limits.tokensPerMinute === undefined || tokens <= 0) return;
    this.#usageOf(identity.keyId).tokens += tokens;
    void this.#shared?.add(`tokens:${identity.keyId}`, tokens, WINDOW_MS);
  }

  #usageOf(keyId: string): Usage {
    const windowAt = Math.floor(Date.now() / WINDOW_MS);
    const known = this.#usages.get(keyId);
    if (known) {
      if (known.windowAt !== windowAt) Object.assign(known, { windowAt, requests: 0, tokens: 0 });
      return known;
    }
    if (this.#usages.size >= MAX_KEYS) {
      for (const [id, usage] of this.#usages) if (usage.windowAt !== windowAt && usage.running === 0) this.#usages.delete(id);
    }
    const usage = { windowAt, requests: 0, tokens: 0, running: 0 };
    this.#usages.set(keyId, usage);
    return usage;
  }
}

function secondsLeft(): number {
  return Math.max(1, Math.ceil((WINDOW_MS - (Date.now() % WINDOW_MS)) / 1000));
}

function tooMany(what: string, limit: number, retryAfter: number): HttpError {
  const details: HttpErrorDetails = { code: "rate_limit_exceeded", headers: { "retry-after": String(retryAfter) } };
  return new HttpError(429, `This key may make ${limit} ${what}.`, details);
}
