import { setTimeout as sleep } from "node:timers/promises";
import { type AbortSignalLike, type Clock, type RandomSource, systemClock, systemRandom } from "@larder/cache-core";
import { type CircuitBreakerPolicy, CircuitState, ConsecutiveBreaker, circuitBreaker, handleWhen, isBrokenCircuitError } from "cockatiel";
import { decodeAnswer, isStillEncoded } from "./decode-answer.ts";
import type { Provider } from "./provider.ts";
import { toAbortSignal } from "./to-abort-signal.ts";
import { headerOf, type UpstreamAnswer, type UpstreamCall } from "./upstream.ts";
import { toUpstreamFailure, UpstreamFailure } from "./upstream-failure.ts";

/** Faults in a row that open a provider's breaker. */
const FAULTS_TO_OPEN = 5;
/** Milliseconds until an open breaker lets one call through. */
const HALF_OPEN_AFTER_MS = 10_000;
/** Longest `retry-after` that is waited for; a longer one is the caller's to decide. */
const MAX_RETRY_AFTER_MS = 8_000;
/** First pause without a `retry-after`; doubled each time, and shortened at random by up to half. */
const FIRST_PAUSE_MS = 200;
/** Breakers held at most: providers and tenants come and go. */
const MAX_BREAKERS = 10_000;
/** Largest error body taken in. */
const MAX_ERROR_BYTES = 1024 * 1024;

/** Below 500, so no fault of the provider's; never sent, since nobody is there to read it. */
const CLIENT_LEFT = 499;

/** What a caller waits by between attempts. */
export interface RetryMeans {
  readonly clock: Pick<Clock, "now" | "wallNow">;
  /** Shortens pauses. */
  readonly random: Pick<RandomSource, "next">;
  /** Waits so many milliseconds, or rejects when the signal is aborted. */
  readonly sleep: (delayMs: number, signal: AbortSignalLike | undefined) => Promise<unknown>;
}

const MACHINE: RetryMeans = {
  clock: systemClock,
  random: systemRandom,
  // No timer of the clock's, which would let a program end whose last work is a call that is tried again.
  sleep: (delayMs, signal) => sleep(delayMs, undefined, signal ? { signal: toAbortSignal(signal) } : {}),
};

/**
 * Calls providers with retries, and a circuit breaker for each tenant of each: what makes a provider fail may be in the requests, and nobody shall be able
 * to have it taken for down by others.
 */
export class ProviderCaller {
  readonly #breakers = new Map<string, Breaker>();
  readonly #retries: number;
  readonly #faultsToOpen: number;
  readonly #onOpen: (providerId: string) => void;
  readonly #means: RetryMeans;

  /**
   * @param retries integer >= 0; @param faultsToOpen faults in a row that open a provider's breaker, `Infinity` for none
   * @param onOpen told each time that one opens, for whichever tenant; @param means the machine's by default
   */
  constructor(
    retries: number,
    faultsToOpen: number = FAULTS_TO_OPEN,
    onOpen: (providerId: string) => void = () => {},
    means: RetryMeans = MACHINE,
  ) {
    this.#retries = retries;
    this.#faultsToOpen = faultsToOpen;
    this.#onOpen = onOpen;
    this.#means = means;
  }

  /**
   * Calls until an answer with a success status has begun. Never retries once a body has been handed out, nor a provider that was saved anew or deleted
   * meanwhile: what is called here has the credential and the address of before.
   * @param tenant who asks @throws {UpstreamFailure} with the last answer's status and body
   */
  async call(provider: Provider, call: UpstreamCall, tenant: string): Promise<UpstreamAnswer> {
    for (let attempt = 0; ; attempt += 1) {
      const breaker = this.#breakerOf(provider, tenant);
      try {
        return await breaker.policy.execute(() => callUntilLeft(provider, call));
      } catch (error) {
        if (call.signal?.aborted) throw call.signal.reason;
        const failure = isBrokenCircuitError(error) ? notCalled(breaker, this.#means) : toUpstreamFailure(error);
        const delayMs = isBrokenCircuitError(error) || attempt >= this.#retries ? undefined : pauseBefore(failure, attempt, this.#means);
        if (delayMs === undefined) throw failure;
        await this.#pause(delayMs, call.signal);
        if ((await call.mayRetry?.()) === false) throw failure;
        call.onRetry?.(failure.status);
      }
    }
  }

  /** @throws the signal's reason, when it is aborted: nobody waits for another attempt then */
  async #pause(delayMs: number, signal: AbortSignalLike | undefined): Promise<void> {
    try {
      await this.#means.sleep(delayMs, signal);
    } catch (error) {
      throw signal?.aborted ? signal.reason : error;
    }
  }

  /** Whether a provider is taken for down now, for any tenant. */
  isOpen(provider: Provider): boolean {
    const beginning = nameOf(provider, "");
    for (const [name, breaker] of this.#breakers)
      if (breaker.policy.state === CircuitState.Open && breaker.savedAt === provider.savedAt && name.startsWith(beginning)) return true;
    return false;
  }

  /** One that is saved anew begins without failures, in every process that hears of it. */
  #breakerOf(provider: Provider, tenant: string): Breaker {
    const { id, savedAt } = provider;
    const name = nameOf(provider, tenant);
    const known = this.#breakers.get(name);
    if (known && known.savedAt === savedAt) return known;
    const policy = circuitBreaker(
      handleWhen((error) => toUpstreamFailure(error).isProviderFault),
      { halfOpenAfter: HALF_OPEN_AFTER_MS, breaker: new ConsecutiveBreaker(this.#faultsToOpen) },
    );
    const breaker: Breaker = { policy, savedAt, openedAt: 0 };
    policy.onBreak(() => {
      breaker.openedAt = this.#means.clock.now();
      this.#onOpen(id);
    });
    const oldest = this.#breakers.size >= MAX_BREAKERS ? this.#breakers.keys().next().value : undefined;
    if (oldest !== undefined) this.#breakers.delete(oldest);
    this.#breakers.set(name, breaker);
    return breaker;
  }
}

/** What one tenant's calls have shown of a provider. */
interface Breaker {
  readonly policy: CircuitBreakerPolicy;
  /** Which save of the provider it is about. */
  readonly savedAt: number | undefined;
  /** When it last opened, in monotonic milliseconds. */
  openedAt: number;
}

/** Whoever asks again is told when a call will be let through. */
function notCalled({ openedAt }: Breaker, { clock }: RetryMeans): UpstreamFailure {
  const seconds = Math.max(1, Math.ceil((openedAt + HALF_OPEN_AFTER_MS - clock.now()) / 1000));
  return new UpstreamFailure("The provider has failed repeatedly and is not called for a while.", {
    status: 503,
    headers: { "retry-after": String(seconds) },
  });
}

/** No id of a provider has a line feed in it. One of the environment, one of the file and one that is saved may have the same, and all are called. */
function nameOf({ id, source }: Provider, tenant: string): string {
  return `${id}\n${source}\n${tenant}`;
}

/** Clients that leave are no fault of the provider's, whatever the reason of their abort is: its breaker must not count them. */
async function callUntilLeft(provider: Provider, call: UpstreamCall): Promise<UpstreamAnswer> {
  try {
    const answer = decodeAnswer(await provider.upstream.call(call));
    if (answer.status >= 200 && answer.status < 300 && !isStillEncoded(answer)) return answer;
    throw await failureOf(answer);
  } catch (error) {
    if (!call.signal?.aborted) throw error;
    throw new UpstreamFailure("Nobody waits for the answer any more.", { status: CLIENT_LEFT, isRetryable: false });
  }
}

/** What an answer without a success status is told as, and one that nobody here can read. */
async function failureOf(answer: UpstreamAnswer): Promise<UpstreamFailure> {
  if (answer.status < 400) {
    answer.discard();
    const isRedirect = answer.status >= 300;
    const what = isRedirect ? "with a redirect, which is not followed" : "in an encoding that it was not asked for";
    // An answer would come in the same encoding again, and be paid for again.
    return new UpstreamFailure(`The provider answered ${what}.`, { status: 502, isRetryable: false });
  }
  return new UpstreamFailure("The provider answered with an error.", {
    status: answer.status,
    headers: answer.headers,
    body: await errorBody(answer),
  });
}

/** What a provider says of its error; nothing where that cannot be read. */
async function errorBody(answer: UpstreamAnswer): Promise<Buffer> {
  if (!isStillEncoded(answer)) return answer.bytes(MAX_ERROR_BYTES).catch(() => Buffer.alloc(0));
  answer.discard();
  return Buffer.alloc(0);
}

/** Milliseconds to wait before the next attempt; `undefined` when there should be none. */
function pauseBefore(failure: UpstreamFailure, attempt: number, { clock, random }: RetryMeans): number | undefined {
  // A provider's word is about itself: its fallbacks are asked all the same.
  if (!failure.isRetryable || headerOf(failure.headers, "x-should-retry") === "false") return undefined;
  const askedMs = retryAfterMs(failure.headers, clock);
  if (askedMs !== undefined) return askedMs <= MAX_RETRY_AFTER_MS ? askedMs : undefined;
  return FIRST_PAUSE_MS * 2 ** attempt * (1 - random.next() / 2);
}

/** What the provider asks for: `retry-after-ms`, or `retry-after` in seconds or as a date. */
function retryAfterMs(headers: UpstreamAnswer["headers"], clock: RetryMeans["clock"]): number | undefined {
  const exact = Number(headerOf(headers, "retry-after-ms") || Number.NaN);
  if (Number.isFinite(exact) && exact >= 0) return exact;
  const text = headerOf(headers, "retry-after");
  if (!text) return undefined;
  const seconds = Number(text);
  if (Number.isFinite(seconds) && seconds >= 0) return seconds * 1000;
  const at = Date.parse(text);
  return Number.isNaN(at) ? undefined : Math.max(0, at - clock.wallNow());
}
