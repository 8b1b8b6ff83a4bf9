import {
  type BackendCall,
  CacheError,
  encodeBody,
  escapeGlob,
  type InvalidationChannel,
  type InvalidationListener,
  type InvalidationTarget,
  markOf,
  type Version,
  type VersionRecord,
} from "@larder/cache-core";
import { toBackendError } from "./backend-error.ts";
import { countError } from "./bus-stats.ts";
import { Lane } from "./lane.ts";
import type { LaneContext } from "./lane-context.ts";
import { append } from "./scripts.ts";

/** What all channels of a bus share, and what makes this one. */
export interface ChannelContext extends Omit<LaneContext, "lane" | "onInvalidation" | "onReset" | "onProof" | "onBeatWanted"> {
  readonly listener: InvalidationListener;
  /** Log entries kept per lane, about. */
  readonly logLength: number;
  /** Milliseconds for which the mark of an invalidated tag is kept. */
  readonly tagMs: number;
  /** A lane wants a heartbeat out of turn. */
  onBeatWanted(lane: Lane): void;
  /** The channel was left. */
  onLeave(channel: BusChannel): void;
}

/** Lanes that are told of a tag, a pattern or all at one time: a bus may have more of them than a port takes calls. */
const LANES_AT_ONCE = 256;

interface Waiter {
  resolve(): void;
  reject(error: CacheError): void;
}

/** One cache's membership in a bus. */
export class BusChannel implements InvalidationChannel {
  readonly lanes: readonly Lane[];
  readonly #context: ChannelContext;
  /** The lane that is proved least far, which is as far as the channel is. */
  #worst: Lane;
  #lastProofAt = -Infinity;
  /** Which lanes acknowledged a tag, a pattern or all that did not get through to every one: told again, they would drop what came since. */
  readonly #reached: WeakMap<InvalidationTarget, Map<number, Version>> = new WeakMap();
  #waiters: Waiter[] = [];
  #failure: CacheError | undefined;
  #isLeft = false;

  constructor(context: ChannelContext) {
    this.#context = context;
    this.lanes = Array.from({ length: context.keySpace.lanes }, (_, lane) => this.#createLane(lane));
    this.#worst = this.#findWorst();
  }

  get lastProofAt(): number {
    return this.#lastProofAt;
  }

  get laneCount(): number {
    return this.lanes.length;
  }

  version(lane: number): VersionRecord | undefined {
    return this.#lastProofAt === -Infinity ? undefined : this.lanes[lane]?.record;
  }

  epochOf(lane: number): string {
    return this.lanes[lane]?.known.epoch ?? "";
  }

  hasLeft(lane: number, epoch: string): boolean {
    return this.lanes[lane]?.trail.hasLeft(epoch) === true;
  }

  encodeBody(target: InvalidationTarget): string {
    const { signer, keySpace, originId } = this.#context;
    return encodeBody(originId, target, signer?.sign(keySpace.namespace, encodeBody(originId, target)));
  }

  ready(): Promise<void> {
    if (this.#isLeft) return Promise.reject(closedError());
    if (this.#failure) return Promise.reject(this.#failure);
    if (this.#lastProofAt > -Infinity) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#waiters.push({ resolve, reject });
    });
  }

  async invalidate(target: InvalidationTarget, call: BackendCall): Promise<Version> {
    if (this.#isLeft) throw closedError();
    if (call.signal?.aborted) throw new CacheError("ERR_CACHE_ABORTED", "the caller gave up before the invalidation was sent");
    const timeoutMs = Math.min(call.budget.leftMs, this.#context.timeoutMs);
    if (timeoutMs <= 0) throw new CacheError("ERR_CACHE_TIMEOUT", "no time left to send the invalidation");
    if (target.kind !== "key") return call.budget.spend(() => this.#appendToAll(target, call));
    const { keySpace } = this.#context;
    const lane = keySpace.laneOf(keySpace.nameOf(target.key));
    return call.budget.spend(() => this.#append(lane, target, this.encodeBody(target), timeoutMs), timeoutMs);
  }

  /** There will never be proof: those who wait for it are told why. */
  fail(failure: CacheError): void {
    this.#failure = failure;
    for (const waiter of this.#waiters.splice(0)) waiter.reject(failure);
  }

  leave(): void {
    if (this.#isLeft) return;
    this.#isLeft = true;
    this.#lastProofAt = -Infinity;
    for (const lane of this.lanes) lane.close();
    for (const waiter of this.#waiters.splice(0)) waiter.reject(closedError());
    this.#context.onLeave(this);
  }

  #createLane(index: number): Lane {
    const { listener } = this.#context;
    const lane: Lane = new Lane({
      ...this.#context,
      lane: index,
      onInvalidation: (invalidation) => this.#guard(() => listener.onInvalidation(invalidation)),
      onReset: (reason) => this.#guard(() => listener.onReset(reason)),
      onProof: () => this.#onProof(lane),
      onBeatWanted: () => this.#context.onBeatWanted(lane),
    });
    return lane;
  }

  /** A listener that throws must not stop the connection's other messages. */
  #guard(tell: () => void): void {
    if (this.#isLeft) return;
    try {
      tell();
    } catch {
      this.#context.counters.errors += 1;
    }
  }

  /** The channel is proved as far as its worst lane is; no other one's proof changes that. */
  #onProof(lane: Lane): void {
    if (this.#isLeft || lane !== this.#worst) return;
    this.#worst = this.#findWorst();
    const provenAt = this.#worst.lastProofAt;
    if (provenAt <= this.#lastProofAt) return;
    this.#lastProofAt = provenAt;
    this.#guard(() => this.#context.listener.onProof(provenAt));
    for (const waiter of this.#waiters.splice(0)) waiter.resolve();
  }

  /** The last one of those that are proved least far: lanes prove themselves in order, so that this one is looked for about once a round. */
  #findWorst(): Lane {
    return this.lanes.reduce((worst, lane) => (lane.lastProofAt <= worst.lastProofAt ? lane : worst));
  }

  /** Goes on with the others when one lane fails: on a cluster its shard may be dead for long, and the rest in good health. */
  async #appendToAll(target: InvalidationTarget, call: BackendCall): Promise<Version> {
    const { clock, timeoutMs } = this.#context;
    const reached = (call.isRepeat ? this.#reached.get(target) : undefined) ?? new Map<number, Version>();
    this.#reached.set(target, reached);
    const missing = this.lanes.map((_, lane) => lane).filter((lane) => !reached.has(lane));
    const body = this.encodeBody(target);
    const endAt = clock.now() + call.budget.leftMs;
    for (let from = 0; from < missing.length; from += LANES_AT_ONCE) {
      const leftMs = Math.min(timeoutMs, endAt - clock.now());
      if (leftMs <= 0) throw new CacheError("ERR_CACHE_TIMEOUT", "no time left to tell every lane of the invalidation");
      const tell = async (lane: number): Promise<unknown> => reached.set(lane, await this.#append(lane, target, body, leftMs));
      const told = await Promise.allSettled(missing.slice(from, from + LANES_AT_ONCE).map(tell));
      for (const outcome of told) if (outcome.status === "rejected") throw outcome.reason;
    }
    return reached.get(this.lanes.length - 1) as Version;
  }

  async #append(lane: number, target: InvalidationTarget, body: string, timeoutMs: number): Promise<Version> {
    const { keySpace, port, clock, random, logLength, tagMs, counters } = this.#context;
    const endAt = clock.now() + timeoutMs;
    const told = this.lanes[lane];
    if (told?.isDown) throw new CacheError("ERR_CACHE_BACKEND", "Redis does not answer the heartbeat");
    const [kind, subject] = markOf(target);
    const keys = [keySpace.record(lane), keySpace.log(lane)];
    if (target.kind === "key") {
      const name = keySpace.nameOf(target.key);
      keys.push(keySpace.value(name), keySpace.fence(name));
    } else if (kind === "tag") {
      keys.push(keySpace.tag(lane, subject));
    }
    const settings = [random.token(), port.publishCommand, keySpace.channel(lane), String(logLength), body];
    const known = told?.known;
    try {
      const reply = await port.run(append, keys, [...settings, kind, subject, String(tagMs)], timeoutMs);
      if (!Array.isArray(reply)) throw new CacheError("ERR_CACHE_BACKEND", "the server answered a script with something else");
      const version = { epoch: String(reply[0]), seq: Number(reply[1]) };
      if (told && known) told.onAcknowledged(version, known);
      return version;
    } catch (error) {
      const wider = widen(target);
      if (wider && /redirections/.test(String(error))) return this.#append(lane, wider, this.encodeBody(wider), endAt - clock.now());
      countError(counters, error);
      told?.onCallSettled(false);
      throw toBackendError(error);
    }
  }
}

/**
 * While a cluster's slot is being moved, Redis refuses a script of whose keys some are there and some are not, as those of a key hardly ever are all at
 * once; of which its client says that it was redirected too often, and not always that it was told TRYAGAIN, since it asks other nodes in between. Record and log are, but for the moment in which they move: they alone can say the same of a key by a pattern that fits nothing else, and
 * of a tag by what is more. (https://redis.io/docs/latest/commands/cluster-setslot/, `getNodeByQuery` of src/cluster.c)
 * @returns what needs no other key than these; `undefined` where the target is that already
 */
function widen(target: InvalidationTarget): InvalidationTarget | undefined {
  if (target.kind === "key") return { kind: "pattern", pattern: escapeGlob(target.key) };
  return target.kind === "tag" ? { kind: "all" } : undefined;
}

function closedError(): CacheError {
  return new CacheError("ERR_CACHE_CLOSED", "the channel has been left");
}
