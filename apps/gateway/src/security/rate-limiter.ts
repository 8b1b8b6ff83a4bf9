import ipaddr from "ipaddr.js";
import type { KeyLimits } from "../config/schema.ts";
import type { HttpErrorDetails } from "../http/http-error.ts";
import { HttpError } from "../http/http-error.ts";
import type { Identity } from "./authenticator.ts";

const WINDOW_MS = 60_000;
/** Keys and addresses counted at most. */
const MAX_KEYS = 100_000;

/** Counts shared by all processes. */
export interface SharedCounter {
  /**
   * Adds to a counter, unless that would bring it above `limit`, and gives what it is then, or would be, over the last `windowMs`; `undefined` when
   * the counter cannot be reached.
   */
  add(name: string, amount: number, windowMs: number, limit?: number): Promise<number | undefined>;
}

/** What was counted in a window and in the one before. */
interface Count {
  now: number;
  former: number;
}

interface Usage {
  windowAt: number;
  readonly requests: Count;
  readonly tokens: Count;
  running: number;
}

/**
 * Limits of virtual keys and of client addresses per minute. Counted in this process, and in Redis where there is one, so that a fleet shares a limit; while Redis
 * is away each process counts for itself. Requests at a time are counted in each process alone.
 *
 * A minute is the last sixty seconds, not the one on the clock, in which twice the limit would fit around its turn: of what the window before
 * counted, as large a share counts as lies within the last minute. Nothing but that is remembered.
 */
export class RateLimiter {
  readonly #shared: SharedCounter | undefined;
  readonly #usages = new Map<string, Usage>();
  readonly #maxKeys: number;
  readonly #clock: () => number;
  #sweptAt = -1;

  /** @param maxKeys keys and addresses counted at most; @param clock monotonic milliseconds: the wall clock may jump */
  constructor(shared?: SharedCounter, maxKeys: number = MAX_KEYS, clock: () => number = () => performance.now()) {
    this.#shared = shared;
    this.#maxKeys = maxKeys;
    this.#clock = clock;
  }

  /**
   * Counts a request in, unless it is refused. `undefined` at once for a key without limits: the common case costs nothing.
   * @returns what to call when the request is over. @throws {HttpError} 429 with `retry-after`
   */
  enter({ keyId, limits }: Pick<Identity, "keyId" | "limits">): undefined | (() => void) | Promise<() => void> {
    const { requestsPerMinute, tokensPerMinute, concurrency } = limits;
    if (keyId === undefined || (requestsPerMinute ?? tokensPerMinute ?? concurrency) === undefined) return undefined;
    const usage = this.#usageOf(keyId);
    if (concurrency !== undefined && usage.running >= concurrency) throw tooMany("requests at a time", concurrency, 1);
    const share = this.#share();
    if (tokensPerMinute !== undefined && within(usage.tokens, share) >= tokensPerMinute)
      throw tooMany("tokens per minute", tokensPerMinute, secondsUntil(usage.tokens, share, tokensPerMinute));
    if (requestsPerMinute !== undefined && within(usage.requests, share) >= requestsPerMinute)
      throw tooMany("requests per minute", requestsPerMinute, secondsUntil(usage.requests, share, requestsPerMinute));
    usage.requests.now += 1;
    usage.running += 1;
    const isShared = (requestsPerMinute ?? tokensPerMinute) !== undefined;
    return this.#shared && isShared ? this.#enterShared(this.#shared, keyId, limits, usage) : leaving(usage);
  }

  /** As `enter`, for an address. An unknown one shares its count with all that are unknown. */
  enterAddress(address: string | undefined, limits: KeyLimits): undefined | (() => void) | Promise<() => void> {
    return this.enter({ keyId: `address:${address === undefined ? "unknown" : networkOf(address)}`, limits });
  }

  async #enterShared(shared: SharedCounter, keyId: string, limits: KeyLimits, usage: Usage): Promise<() => void> {
    const { requestsPerMinute, tokensPerMinute } = limits;
    const [requests = 0, tokens = 0] = await Promise.all([
      requestsPerMinute === undefined ? undefined : shared.add(`requests:${keyId}`, 1, WINDOW_MS, requestsPerMinute),
      tokensPerMinute === undefined ? undefined : shared.add(`tokens:${keyId}`, 0, WINDOW_MS),
    ]);
    const isOverRequests = requestsPerMinute !== undefined && requests > requestsPerMinute;
    const isOverTokens = tokensPerMinute !== undefined && tokens >= tokensPerMinute;
    if (!isOverRequests && !isOverTokens) return leaving(usage);
    usage.running -= 1;
    usage.requests.now = Math.max(0, usage.requests.now - 1);
    const wait = (count: number, limit: number): number => secondsUntil({ now: count, former: 0 }, this.#share(), limit);
    throw isOverRequests
      ? tooMany("requests per minute", requestsPerMinute, wait(requests - 1, requestsPerMinute))
      : tooMany("tokens per minute", tokensPerMinute ?? 0, wait(tokens, tokensPerMinute ?? 0));
  }

  /** Charges tokens that a provider has spent for the key. Hits cost none. */
  charge(identity: Identity, tokens: number): void {
    if (identity.keyId === undefined || !this.countsTokens(identity) || tokens <= 0) return;
    this.#usageOf(identity.keyId).tokens.now += tokens;
    void this.#shared?.add(`tokens:${identity.keyId}`, tokens, WINDOW_MS);
  }

  /** How much of the window before still counts. */
  #share(): number {
    return 1 - (this.#clock() % WINDOW_MS) / WINDOW_MS;
  }

  /** Whether tokens are counted for the key: where nobody tells them, a whole request is read to estimate them. */
  countsTokens({ keyId, limits }: Pick<Identity, "keyId" | "limits">): boolean {
    return keyId !== undefined && limits.tokensPerMinute !== undefined;
  }

  #usageOf(keyId: string): Usage {
    const windowAt = Math.floor(this.#clock() / WINDOW_MS);
    const known = this.#usages.get(keyId);
    if (known) {
      if (known.windowAt !== windowAt) turn(known, windowAt);
      return known;
    }
    if (this.#usages.size >= this.#maxKeys) this.#makeRoom(windowAt);
    const usage = { windowAt, requests: { now: 0, former: 0 }, tokens: { now: 0, former: 0 }, running: 0 };
    this.#usages.set(keyId, usage);
    return usage;
  }

  /** Once a window, what counts no more goes; within a window, whoever came first and is not being answered. */
  #makeRoom(windowAt: number): void {
    if (this.#sweptAt !== windowAt) {
      this.#sweptAt = windowAt;
      for (const [id, usage] of this.#usages) if (usage.windowAt < windowAt - 1 && usage.running === 0) this.#usages.delete(id);
    }
    if (this.#usages.size < this.#maxKeys) return;
    for (const [id, usage] of this.#usages) {
      if (usage.running > 0) continue;
      this.#usages.delete(id);
      return;
    }
  }
}

/** One customer of a provider has a whole /64 of IPv6 and could otherwise be as many as it likes. */
function networkOf(address: string): string {
  if (!address.includes(":")) return address;
  const network = ipaddr.IPv6.parse(address).parts.slice(0, 4);
  return `${network.map((part) => part.toString(16)).join(":")}::/64`;
}

function leaving(usage: Usage): () => void {
  return () => {
    usage.running -= 1;
  };
}

function turn(usage: Usage, windowAt: number): void {
  for (const count of [usage.requests, usage.tokens])
    Object.assign(count, { now: 0, former: windowAt === usage.windowAt + 1 ? count.now : 0 });
  usage.windowAt = windowAt;
}

/** What was counted within the last window's length: whole, since a request counts or does not. */
function within({ now, former }: Count, share: number): number {
  return now + Math.ceil(former * share - 0.5);
}

/** Seconds until a count is below its limit when nothing is added, at least 1. */
function secondsUntil({ now, former }: Count, share: number, limit: number): number {
  const room = limit - 0.5;
  // What this window has counted grows less from its end on.
  const windows = now < limit ? share - (room - now) / former : share + (1 - room / now);
  return Math.max(1, Math.ceil((windows * WINDOW_MS) / 1000));
}

function tooMany(what: string, limit: number, retryAfter: number): HttpError {
  const details: HttpErrorDetails = { code: "rate_limit_exceeded", headers: { "retry-after": String(retryAfter) } };
  return new HttpError(429, `No more than ${limit} ${what} may be made.`, details);
}
