import { type AbortSignalLike, CacheError, type MaybePromise } from "@larder/cache-core";
import type { Endpoint } from "@larder/cache-core/keys";
import type { AnswerFamily } from "../answers/family.ts";
import type { AnswerLoad } from "../caching/answer-cache.ts";
import { type CacheControls, readControls } from "../caching/cache-controls.ts";
import type { CacheVerdict } from "../caching/cache-status.ts";
import type { EventBatch, LiveStream } from "../caching/live-stream.ts";
import { ReadOptions } from "../caching/read-options.ts";
import type { PlannedTarget, RequestPlan } from "../caching/request-plan.ts";
import type { StoredAnswer } from "../caching/stored-answer.ts";
import type { GatewayParts } from "../gateway-parts.ts";
import { Departure } from "../http/departure.ts";
import type { Exchange } from "../http/exchange.ts";
import { type ErrorShape, HttpError } from "../http/http-error.ts";
import { beginLiveStream, sendAnswer, sendFailure, type Telling } from "../http/respond.ts";
import { isPromise } from "../is-promise.ts";
import type { Identity } from "../security/authenticator.ts";
import { credentialsOf } from "../upstream/provider-secrets.ts";
import { UpstreamFailure } from "../upstream/upstream-failure.ts";
import type { AnswerRequest } from "./answer-request.ts";
import { failureEvent } from "./failure-event.ts";
import { givesWay } from "./gives-way.ts";
import { isUncertain } from "./is-uncertain.ts";
import { loadAnswer } from "./load-answer.ts";
import { narrowControls } from "./narrow-controls.ts";
import { passThrough } from "./pass-through.ts";
import { LongStream } from "./read-stream.ts";
import { goOn } from "./response-makers.ts";

/** A request while it is being answered. */
interface Active {
  readonly exchange: Exchange;
  readonly identity: Identity;
  readonly controls: CacheControls;
  readonly plan: RequestPlan;
  readonly body: Buffer;
  readonly startedAt: number;
  readonly departure: Departure;
  /** Whether this request's own call went to the upstream. */
  isLeader: boolean;
  /** What that call brought: when the answer told is another one, an old one has stood in for it. */
  made: StoredAnswer | undefined;
  upstreamHeaders: readonly string[] | undefined;
  /** Why the answer that this request's call brought is not kept. */
  refusal: string | undefined;
  /** Whether it was invalidated while that call was under way. */
  isOvertaken: boolean;
}

/** How a stream ended for one who was told it. */
interface StreamEnd {
  readonly ms: number;
  /** Why it broke off; `undefined` when it did not. */
  readonly failure: UpstreamFailure | undefined;
}

/** How one attempt at a target ended. */
type Attempt = "answered" | UpstreamFailure;

/** Answers one endpoint that generates: chat, completions, responses, messages, images. */
export class AnswerEndpoint {
  readonly #parts: GatewayParts;
  readonly #family: AnswerFamily;
  readonly #endpoint: Endpoint;
  readonly #path: string;
  readonly #shape: ErrorShape;

  constructor(parts: GatewayParts, family: AnswerFamily, path: string) {
    this.#parts = parts;
    this.#family = family;
    this.#endpoint = family.kind;
    this.#path = path;
    this.#shape = family.kind === "messages" ? "anthropic" : "openai";
  }

  async handle(exchange: Exchange, identity: Identity): Promise<void> {
    const parts = this.#parts;
    const startedAt = performance.now();
    const controls = readControls(exchange, parts.controls);
    const body = await exchange.readBody(parts.settings.maxBody);
    const found = parts.directory.table(identity);
    const table = isPromise(found) ? await found : found;
    const drawn = parts.planner.plan(this.#endpoint, exchange, identity, controls, body, table);
    const plan = drawn.continued ? await goOn(parts, drawn, identity) : drawn;
    const active: Active = {
      exchange,
      identity,
      controls: narrowControls(controls, plan, isUncertain(parts.settings, this.#endpoint, plan, controls)),
      plan,
      body,
      startedAt,
      departure: new Departure(exchange, () => {
        parts.meter.abandoned += 1;
      }),
      isLeader: false,
      made: undefined,
      upstreamHeaders: undefined,
      refusal: undefined,
      isOvertaken: false,
    };
    const { isRead, isWrite, isDisabled, onlyIfCached } = active.controls;
    if (onlyIfCached) return this.#answerByLookup(active);
    if (!isRead && !isWrite) return this.#pass(active, isDisabled ? "DISABLED" : "BYPASS");
    if ((isRead && !isWrite) || controls.maxAgeMs !== undefined) return this.#answerByLookup(active);
    return this.#answer(active, !isRead);
  }

  /** Requests that want a say in which stored answer will do. */
  async #answerByLookup(active: Active): Promise<void> {
    const { controls, plan } = active;
    let isTooOld = false;
    for (const target of controls.isRead ? plan.targets : []) {
      const found = await this.#parts.answers.lookup(target.key);
      if (found.status === "miss" || found.value.meta.owner !== active.identity.tenant) continue;
      const { ageMs } = found.value;
      // One past its time is no answer here either, and must not come back as a stale one when it is older than the caller will have.
      if (ageMs > (controls.maxAgeMs ?? Number.POSITIVE_INFINITY)) isTooOld = true;
      // Where a provider may be asked, it is before anything that a fallback has once answered in its place.
      else if (target !== plan.targets[0] && !controls.onlyIfCached) continue;
      else if (found.status === "hit" && this.#tell(active, target, found.value, "HIT")) return;
    }
    if (controls.onlyIfCached)
      throw new HttpError(504, "There is no stored answer to this request.", {
        code: "only_if_cached",
        headers: { "x-larder-cache": "MISS", "cache-status": "larder; fwd=miss" },
      });
    if (!controls.isWrite) return this.#pass(active, "MISS");
    return this.#answer(active, isTooOld || !controls.isRead);
  }

  async #pass(active: Active, verdict: CacheVerdict): Promise<void> {
    const isAnswered = await passThrough(this.#parts, this.#request(active), active.exchange, {
      verdict,
      endpoint: this.#endpoint,
      shape: this.#shape,
      signal: active.departure.watched(),
    });
    if (isAnswered) this.#parts.meter.answered(this.#endpoint, verdict, performance.now() - active.startedAt);
  }

  /** Tries the targets in their order: a provider that fails before its answer has begun gives way to the next. */
  async #answer(active: Active, isForced: boolean): Promise<void> {
    const { targets } = active.plan;
    for (const [position, target] of targets.entries()) {
      const attempt = this.#attempt(active, target, isForced);
      const ended = isPromise(attempt) ? await attempt : attempt;
      if (ended === "answered") return;
      if (!givesWay(this.#parts, target, active.identity, ended) || position === targets.length - 1 || active.exchange.hasBegun) {
        const secrets = credentialsOf(target.provider, active.identity.upstreamKey);
        this.#parts.meter.failed(this.#endpoint, ended.status);
        return sendFailure(active.exchange, ended, this.#shape, secrets, isForced ? "REFRESH" : "MISS");
      }
      forgetCall(active);
    }
  }

  #attempt(active: Active, target: PlannedTarget, isForced: boolean): Attempt | Promise<Attempt> {
    const { answers } = this.#parts;
    const { controls, departure } = active;
    // What others add to their answers is no part of ours.
    if (isForced && controls.isRead && controls.maxAgeMs !== undefined && controls.tags.length === 0) {
      const start = async (signal: AbortSignalLike) => this.#getOrLoad(active, target, true, signal);
      const { answer, isJoined } = answers.refreshes.join(target.key, controls.maxAgeMs, departure, start);
      return this.#await(active, target, answer, true, isJoined);
    }
    const wasLoading = !isForced && answers.isLoading(target.key);
    const answer = this.#getOrLoad(active, target, isForced, departure);
    if (!isPromise(answer)) return this.#tellStored(active, target, answer, isForced);
    return this.#await(active, target, answer, isForced, wasLoading);
  }

  #getOrLoad(active: Active, target: PlannedTarget, isForced: boolean, signal: AbortSignalLike): MaybePromise<StoredAnswer | undefined> {
    const { answers } = this.#parts;
    const request = this.#request(active);
    const load = async (load: AnswerLoad): Promise<StoredAnswer> => {
      active.isLeader = true;
      active.made = await loadAnswer(this.#parts, request, target, load);
      active.isOvertaken = !answers.isCurrent(target.key, load);
      return active.made;
    };
    return answers.getOrLoad(target.key, load, this.#options(active, target, isForced, signal));
  }

  async #await(
    active: Active,
    target: PlannedTarget,
    answer: Promise<StoredAnswer | undefined>,
    isForced: boolean,
    wasLoading: boolean,
  ): Promise<Attempt> {
    let streamed: Promise<StreamEnd | undefined> | undefined;
    let verdict: CacheVerdict = "MISS";
    const detach = active.plan.isStream
      ? this.#parts.answers.attach(target.key, (live) => {
          // Its events repeat what its own caller has labelled it with: others wait for the whole, which can be told with theirs.
          if (live.labels !== active.plan.labels) return;
          verdict = this.#verdict(active, isForced, true);
          streamed = this.#stream(active, target, live, verdict);
        })
      : undefined;
    try {
      const value = await answer;
      if (streamed) this.#countStream(verdict, await streamed, undefined);
      else if (value !== undefined && active.made === value) return this.#tellMade(active, target, value, isForced ? "REFRESH" : "MISS");
      else if (wasLoading && value !== undefined && isOwnedBy(value, active) && isYoungEnough(value, active))
        return this.#tellMade(active, target, value, "COALESCED");
      else {
        // Another attempt attaches by itself, and one caller must not be told a stream twice.
        detach?.();
        return await this.#tellStored(active, target, value, isForced);
      }
      return "answered";
    } catch (error) {
      if (streamed) {
        this.#countStream(verdict, await streamed, error);
        return "answered";
      }
      if (active.departure.aborted) return "answered";
      if (error instanceof UpstreamFailure) return error;
      if (CacheError.is(error) && error.code === "ERR_CACHE_ABORTED") return "answered";
      throw error;
    } finally {
      detach?.();
    }
  }

  /** A stream that came to its end may have been no whole answer all the same: without the protocol's end, or with an error in it. */
  #countStream(verdict: CacheVerdict, end: StreamEnd | undefined, error: unknown): void {
    if (!end) return;
    const { meter } = this.#parts;
    const failure = end.failure ?? (error instanceof UpstreamFailure && !(error instanceof LongStream) ? error : undefined);
    if (failure) meter.failed(this.#endpoint, failure.status);
    else meter.answered(this.#endpoint, verdict, end.ms);
  }

  #verdict(active: Active, isForced: boolean, isLive: boolean): CacheVerdict {
    if (active.isLeader) return isForced ? "REFRESH" : "MISS";
    return isLive ? "COALESCED" : "HIT";
  }

  /** Tells an answer that this request, or one that it shares a call with, has had made. */
  #tellMade(active: Active, target: PlannedTarget, answer: StoredAnswer, verdict: CacheVerdict): Attempt {
    if (this.#tell(active, target, answer, verdict)) return "answered";
    return new UpstreamFailure("The provider's answer cannot be told in the form that was asked for.", { status: 502 });
  }

  /**
   * Tells an answer that was found rather than made. Whose it is was settled by the key; it is compared once more all the same, and somebody
   * else's is none: another is made in its place, as it is for one that cannot be told in this form.
   */
  #tellStored(active: Active, target: PlannedTarget, answer: StoredAnswer | undefined, isForced: boolean): Attempt | Promise<Attempt> {
    const isUsable = answer !== undefined && isOwnedBy(answer, active);
    if (isUsable && this.#tell(active, target, answer, answer.isPastItsTime ? "STALE" : "HIT")) return "answered";
    if (isForced) return new UpstreamFailure("The stored answer could not be used.", { status: 502, isRetryable: true });
    return this.#attempt(active, target, true);
  }

  /** @returns whether the answer can be told in the form that was asked for */
  #tell(active: Active, target: PlannedTarget, answer: StoredAnswer, verdict: CacheVerdict): boolean {
    const isMade = active.isLeader && active.refusal === undefined && (verdict === "MISS" || verdict === "REFRESH");
    const isStored = isMade && this.#parts.answers.keeps(target.key, answer);
    if (isMade && !isStored && active.isOvertaken) active.refusal = "invalidated";
    if (!sendAnswer(this.#parts, answer, this.#telling(active, target, verdict, isStored))) return false;
    this.#parts.meter.answered(this.#endpoint, verdict, performance.now() - active.startedAt);
    return true;
  }

  #telling(active: Active, target: PlannedTarget, verdict: CacheVerdict, isStored: boolean): Telling {
    const { exchange, controls, plan, body, refusal } = active;
    const [family, shape] = [this.#family, this.#shape];
    const upstreamHeaders = active.isLeader ? active.upstreamHeaders : undefined;
    // Not spread from a part: what is added to the copy of a spread gets a hidden class of its own, with every answer.
    return { exchange, controls, plan, body, family, shape, target, verdict, isStored, refusal, upstreamHeaders };
  }

  /** Reads along with a live stream until it ends or fails. @returns `undefined` when the caller has left before */
  #stream(active: Active, target: PlannedTarget, live: LiveStream, verdict: CacheVerdict): Promise<StreamEnd | undefined> {
    const { exchange, plan } = active;
    beginLiveStream(this.#telling(active, target, verdict, false));
    let last: Buffer | undefined;
    return new Promise((resolve) => {
      const finish = (failure?: UpstreamFailure): void => resolve({ ms: performance.now() - active.startedAt, failure });
      const leave = live.join({
        onEvents: (batch: EventBatch) => {
          const piece = plan.includeUsage ? batch.all : batch.lean;
          last = piece;
          return piece.length === 0 || exchange.write(piece);
        },
        drained: () => exchange.drained(),
        onEnd: () => {
          exchange.end();
          finish();
        },
        onFailure: (failure) => {
          if (!exchange.raise?.(failure, [])) {
            exchange.write(failureEvent(this.#endpoint, failure, last));
            exchange.trace?.ended("broken off");
            exchange.end();
          }
          finish(failure);
        },
        onCut: () => {
          exchange.destroy();
          active.departure.leave();
        },
      });
      const depart = (): void => {
        leave();
        resolve(undefined);
      };
      // Whoever left before anybody watched is not told of again.
      if (active.departure.watched().aborted) return depart();
      active.departure.addEventListener("abort", depart);
      exchange.flushHead();
    });
  }

  #request(active: Active): AnswerRequest {
    const { exchange, identity, plan, body } = active;
    const onHead = (headers: string[]): void => {
      active.upstreamHeaders = headers;
    };
    const onRefused = (reason: string): void => {
      active.refusal = reason;
      this.#parts.meter.refused(this.#endpoint, reason);
    };
    return {
      family: this.#family,
      path: this.#path,
      search: exchange.search,
      headers: exchange.headers(),
      identity,
      plan,
      body,
      ttlMs: this.#ttlMs(active),
      requestId: exchange.requestId,
      trace: exchange.trace,
      onHead,
      onRefused,
    };
  }

  #ttlMs({ controls, plan }: Active): number {
    return controls.ttlMs ?? plan.route?.ttl ?? this.#parts.settings.cacheTtl;
  }

  #options(active: Active, target: PlannedTarget, isForced: boolean, signal: AbortSignalLike): ReadOptions {
    const { controls, plan } = active;
    const { settings } = this.#parts;
    return new ReadOptions(
      {
        ttlMs: this.#ttlMs(active),
        staleWhileRevalidateMs: plan.route?.staleWhileRevalidate ?? settings.staleWhileRevalidate,
        staleIfErrorMs: plan.route?.staleIfError ?? settings.staleIfError,
        tags: controls.tags.length > 0 ? [...target.tags, ...controls.tags.map((tag) => `tag:${tag}`)] : target.tags,
        isStream: plan.isStream,
        isForced,
      },
      signal,
    );
  }
}

/** What is known of a call that failed is not said of what the next target has, or brings. */
function forgetCall(active: Active): void {
  active.isLeader = false;
  active.made = undefined;
  active.upstreamHeaders = undefined;
  active.refusal = undefined;
  active.isOvertaken = false;
}

/** Whether an answer that a shared call has brought is that call's, and not an old one that has stood in for it. */
function isYoungEnough(answer: StoredAnswer, { controls }: Active): boolean {
  return !answer.isPastItsTime && answer.ageMs <= (controls.maxAgeMs ?? Number.POSITIVE_INFINITY);
}

function isOwnedBy(answer: StoredAnswer, active: Active): boolean {
  return answer.meta.owner === active.identity.tenant;
}
