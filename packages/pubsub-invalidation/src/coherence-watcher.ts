import { subscribe, unsubscribe } from "node:diagnostics_channel";
import {
  type Cache,
  CacheError,
  type CacheEvents,
  type CancelTimer,
  type Clock,
  checkDurationMs,
  checkList,
  checkName,
  checkOptions,
  checkShare,
  type OptionNames,
  type RandomSource,
  systemClock,
  systemRandom,
} from "@larder/cache-core";
import { parseWatcherMessage, type WatcherAnswer, type WatcherQuestion } from "./watcher-message.ts";
import type { WatcherPort } from "./watcher-port.ts";

/*
 * The question that no protocol can ask about itself: is it true? A watcher takes a sample of the invalidations that its process has
 * sent, and after 1, 5 and 30 seconds asks every peer what it holds under the key. Whoever still holds something stored before the
 * invalidation is inconsistent, whatever the reason: a bug, a lost message, a listener that threw, a second tier that lied.
 *
 * Only durations cross the wire, so clocks need not agree: a peer tells the age of what it holds, the asker knows how long ago the
 * invalidation was acknowledged, and the time that the question travelled is bounded by discarding answers that took too long.
 * What it cannot see by age is an old value stored *after* the invalidation (a fill that should have been refused): give `versionOf`
 * where values carry a version, and it sees that too. Versions are compared with what the asker held a second before it asked: of a key
 * that is written all the time the newest one is still on its way to the others, and one that is cut off may be as far behind as that.
 *
 * Source: Meta, "Cache made consistent" (2022), which calls such a watcher Polaris and asks at growing delays for the same reason: the
 * first one finds what is slow, the last one what is broken.
 */

/** Invalidations watched at one time; those beyond are not sampled. */
const MAX_WATCHED = 1_000;
/** Sent within this time and answered within it, an answer's age can be compared; also what is forgiven in the comparison. */
const SLACK_MS = 250;
/** How long before a question the version was held that a peer must have by then: as long as one that is cut off may serve what it holds. */
const LEAD_MS = 1_000;

/** How a watcher is made. */
export interface CoherenceWatcherOptions<V> {
  /** The cache that is watched, and asked when others ask. Its counters count the looks. */
  readonly cache: Pick<Cache<V>, "lookup">;
  /** The cache's namespace. */
  readonly namespace: string;
  /** The way to the other processes' watchers. Closed with the watcher. */
  readonly port: WatcherPort;
  /** Share of invalidations that is asked about, 0 to 1. @default 0.01 */
  readonly sampleRate?: number;
  /** When peers are asked, in milliseconds > 0 after the invalidation; at least one, all finite. @default [1000, 5000, 30000] */
  readonly delaysMs?: readonly number[];
  /** The version inside a value, where it has one: higher is newer. A peer may be behind what was held here a second ago or later. @default none: age alone decides */
  readonly versionOf?: (value: V) => number | undefined;
  /** Told of each peer found inconsistent, each time that it was asked. @default nobody */
  readonly onInconsistent?: (finding: Inconsistency) => void;
  /** @default the machine's */
  readonly clock?: Clock;
  /** @default the machine's */
  readonly random?: RandomSource;
}

const OPTIONS: OptionNames<CoherenceWatcherOptions<unknown>> = {
  cache: true,
  namespace: true,
  port: true,
  sampleRate: true,
  delaysMs: true,
  versionOf: true,
  onInconsistent: true,
  clock: true,
  random: true,
};

/** A peer that held something old. */
export interface Inconsistency {
  readonly namespace: string;
  readonly key: string;
  /** The peer's watcher. */
  readonly peer: string;
  /** Milliseconds between the invalidation and the question. */
  readonly afterMs: number;
}

/**
 * What a watcher has seen. `inconsistent / sampled` is the share of invalidations that did not arrive, and says nothing while
 * `unanswered` grows with `questions`: then nobody is heard.
 */
export interface WatcherStats {
  /** Invalidations by key sent by this process. */
  readonly invalidations: number;
  /** Of those, asked about. */
  readonly sampled: number;
  /** Of those sampled, found to have left something old with at least one peer: each counts once, however many peers and questions showed it. */
  readonly inconsistent: number;
  /** Questions sent. */
  readonly questions: number;
  /** Answers that came in time. */
  readonly answers: number;
  /** Questions that nobody answered in time: the watcher is deaf, or has no peer. */
  readonly unanswered: number;
  /** Answers that came too late to be judged. */
  readonly late: number;
  /** Looks at a cache that was closed, listeners that threw, messages and subscriptions that failed. */
  readonly errors: number;
}

/** An invalidation that is asked about. */
interface Watched {
  readonly key: string;
  readonly sentAt: number;
  questionsLeft: number;
  isInconsistent: boolean;
}

interface Question {
  readonly watched: Watched;
  readonly afterMs: number;
  readonly askedAt: number;
  readonly version: number | undefined;
  isAnswered: boolean;
}

function checkDelays(delaysMs: readonly number[]): readonly number[] {
  for (const delayMs of checkList("delaysMs", delaysMs)) checkDurationMs("delaysMs", delayMs);
  if (delaysMs.length === 0 || delaysMs.includes(Infinity))
    throw new CacheError("ERR_CACHE_INVALID_OPTION", "delaysMs must hold at least one number of milliseconds, all of them finite");
  return [...delaysMs];
}

/** Watches whether a cache's invalidations arrive at the other processes. */
export class CoherenceWatcher<V> {
  readonly #options: CoherenceWatcherOptions<V>;
  readonly #clock: Clock;
  readonly #random: RandomSource;
  readonly #delaysMs: readonly number[];
  readonly #sampleRate: number;
  readonly #watcherId: string;
  readonly #timers: Set<CancelTimer> = new Set();
  readonly #asked: Map<number, Question> = new Map();
  readonly #counters = { invalidations: 0, sampled: 0, inconsistent: 0, questions: 0, answers: 0, unanswered: 0, late: 0, errors: 0 };
  readonly #onSent: (message: unknown) => void;
  #watchedNow = 0;
  #lastId = 0;
  #isClosed = false;

  /** @throws {CacheError} ERR_CACHE_INVALID_OPTION naming the option that is out of range */
  constructor(options: CoherenceWatcherOptions<V>) {
    checkOptions<CoherenceWatcherOptions<V>>(options, OPTIONS);
    const { sampleRate = 0.01, delaysMs = [1_000, 5_000, 30_000], clock = systemClock, random = systemRandom } = options;
    this.#options = { ...options, namespace: checkName("namespace", options.namespace) };
    this.#sampleRate = checkShare("sampleRate", sampleRate);
    this.#delaysMs = checkDelays(delaysMs);
    this.#clock = clock;
    this.#random = random;
    this.#watcherId = random.token();
    this.#onSent = (message) => this.#onInvalidationSent(message as CacheEvents["invalidation-sent"]);
    options.port.open(
      (text) => void this.#onMessage(text).catch(() => this.#fail()),
      () => this.#fail(),
    );
    subscribe("larder:invalidation-sent", this.#onSent);
  }

  /** Counters since the watcher was made. */
  stats(): WatcherStats {
    return Object.freeze({ ...this.#counters });
  }

  /** Stops watching and answering. Calling it again is fine. */
  close(): void {
    this.#isClosed = true;
    unsubscribe("larder:invalidation-sent", this.#onSent);
    for (const cancel of this.#timers) cancel();
    this.#timers.clear();
    this.#asked.clear();
    this.#options.port.close();
  }

  #onInvalidationSent({ namespace, target, isPropagated }: CacheEvents["invalidation-sent"]): void {
    if (namespace !== this.#options.namespace || target.kind !== "key") return;
    this.#counters.invalidations += 1;
    // One that waits for its retry is known to be missing: nothing to find out.
    if (!isPropagated || this.#watchedNow >= MAX_WATCHED || this.#random.next() >= this.#sampleRate) return;
    this.#counters.sampled += 1;
    this.#watchedNow += 1;
    const watched: Watched = { key: target.key, sentAt: this.#clock.now(), questionsLeft: this.#delaysMs.length, isInconsistent: false };
    for (const delayMs of this.#delaysMs) {
      const leadMs = this.#options.versionOf ? Math.min(delayMs, LEAD_MS) : 0;
      this.#plan(() => void this.#prepare(watched, leadMs), delayMs - leadMs);
    }
  }

  /** Looks what version peers must have when they are asked, and asks. Never rejects. */
  async #prepare(watched: Watched, leadMs: number): Promise<void> {
    if (leadMs === 0) {
      this.#ask(watched, undefined);
      return;
    }
    try {
      const { version } = await this.#look(watched.key);
      if (!this.#isClosed) this.#plan(() => this.#ask(watched, version), leadMs);
    } catch {
      this.#fail();
      this.#settle(watched);
    }
  }

  /** One of the questions about an invalidation needs nothing more. */
  #settle(watched: Watched): void {
    watched.questionsLeft -= 1;
    if (watched.questionsLeft === 0) this.#watchedNow -= 1;
  }

  #plan(run: () => void, delayMs: number): void {
    const cancel = this.#clock.setTimer(() => {
      this.#timers.delete(cancel);
      run();
    }, delayMs);
    this.#timers.add(cancel);
  }

  #ask(watched: Watched, version: number | undefined): void {
    const { key, sentAt } = watched;
    const askedAt = this.#clock.now();
    this.#lastId += 1;
    const id = this.#lastId;
    const asked: Question = { watched, afterMs: askedAt - sentAt, askedAt, version, isAnswered: false };
    this.#asked.set(id, asked);
    this.#plan(() => {
      this.#asked.delete(id);
      if (!asked.isAnswered) this.#counters.unanswered += 1;
      this.#settle(watched);
    }, 4 * SLACK_MS);
    this.#counters.questions += 1;
    const question: WatcherQuestion = { larder: 1, kind: "ask", from: this.#watcherId, id, key };
    try {
      this.#options.port.publish(JSON.stringify(question));
    } catch {
      this.#fail();
    }
  }

  async #look(key: string): Promise<Pick<WatcherAnswer, "ageMs" | "version">> {
    const found = await this.#options.cache.lookup(key);
    if (found.status === "miss") return {};
    const version = this.#options.versionOf?.(found.value);
    return { ageMs: found.ageMs, ...(version === undefined ? {} : { version }) };
  }

  async #onMessage(text: string): Promise<void> {
    const message = parseWatcherMessage(text);
    if (!message || message.from === this.#watcherId) return;
    if (message.kind === "answer") {
      if (message.to === this.#watcherId) this.#judge(message);
      return;
    }
    const held = await this.#look(message.key);
    const answer: WatcherAnswer = { larder: 1, kind: "answer", from: this.#watcherId, to: message.from, id: message.id, ...held };
    this.#options.port.publish(JSON.stringify(answer));
  }

  /** The cache is closed already, a listener threw or the port failed: nothing that anyone awaits. */
  #fail(): void {
    this.#counters.errors += 1;
  }

  #judge(answer: WatcherAnswer): void {
    const asked = this.#asked.get(answer.id);
    if (!asked || this.#clock.now() - asked.askedAt > SLACK_MS) {
      this.#counters.late += 1;
      return;
    }
    this.#counters.answers += 1;
    asked.isAnswered = true;
    const { watched, afterMs, version } = asked;
    const isOld = answer.ageMs !== undefined && answer.ageMs > afterMs + SLACK_MS;
    const isBehind = answer.version !== undefined && version !== undefined && answer.version < version;
    if (!isOld && !isBehind) return;
    if (!watched.isInconsistent) this.#counters.inconsistent += 1;
    watched.isInconsistent = true;
    this.#options.onInconsistent?.({ namespace: this.#options.namespace, key: watched.key, peer: answer.from, afterMs });
  }
}
