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
 * Limits of virtual keys and of client addresses per minute. Counted in this process, and in Redis where there is one, so that a fleet shares a limit; while Redis
 * is away each process counts for itself.
 */
export class RateLimiter {
  readonly #shared: SharedCounter | undefined;
  readonly #usages = new Map<string, Usage>();
  readonly #maxKeys: number;
  #sweptAt = 0;

  /** @param maxKeys keys and addresses counted at most */
  constructor(shared?: SharedCounter, maxKeys: number = MAX_KEYS) {
    this.#shared = shared;
    this.#maxKeys = maxKeys;
  }

  /**
   * Counts a request in. `undefined` at once for a key without limits: the common case costs nothing.
   * @returns what to call when the request is over. @throws {HttpError} 429 with `retry-after`
   */
  enter({ keyId, limits }: Pick<Identity, "keyId" | "limits">): undefined | (() => void) | Promise<() => void> {
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
    return this.#shared ? this.#enterShared(this.#shared, keyId, limits, leave) : leave;
  }

  /** As `enter`, for an address. An unknown one shares its count with all that are unknown. */
  enterAddress(address: string | undefined, limits: KeyLimits): undefined | (() => void) | Promise<() => void> {
    return this.enter({ keyId: `address:${address === undefined ? "unknown" : networkOf(address)}`, limits });
  }

  async #enterShared(shared: SharedCounter, keyId: string, limits: KeyLimits, leave: () => void): Promise<() => void> {
    const { requestsPerMinute, tokensPerMinute } = limits;
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
    if (this.#usages.size >= this.#maxKeys) this.#makeRoom(windowAt);
    const usage = { windowAt, requests: 0, tokens: 0, running: 0 };
    this.#usages.set(keyId, usage);
    return usage;
  }

  /** Once a window, what is of an older one goes; within a window, whoever came first and is not being answered. */
  #makeRoom(windowAt: number): void {
    if (this.#sweptAt !== windowAt) {
      this.#sweptAt = windowAt;
      for (const [id, usage] of this.#usages) if (usage.windowAt !== windowAt && usage.running === 0) this.#usages.delete(id);
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

function secondsLeft(): number {
  return Math.max(1, Math.ceil((WINDOW_MS - (Date.now() % WINDOW_MS)) / 1000));
}

function tooMany(what: string, limit: number, retryAfter: number): HttpError {
  const details: HttpErrorDetails = { code: "rate_limit_exceeded", headers: { "retry-after": String(retryAfter) } };
  return new HttpError(429, `No more than ${limit} ${what} may be made.`, details);
}
