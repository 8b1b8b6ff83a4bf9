import { ReplyError, type SimulatedRedis, type Text } from "./simulated-redis.ts";

/** What turns a mechanism off that lives in the server's scripts. */
export interface ScriptAblations {
  /** Fills are stored whatever the fence says. */
  readonly noFence?: boolean;
  /** Whoever asks for a lease gets it, whoever has it. */
  readonly noLease?: boolean;
  /** Deadlines are ignored: a command takes effect however late it comes. */
  readonly noDeadline?: boolean;
  /** The epoch is not bound to the server's run id. */
  readonly noIdentity?: boolean;
  /** An invalidation publishes first, and deletes in a step of its own, later. */
  readonly publishFirst?: (remainder: () => void) => void;
  /** A lost record begins again with the same epoch: a counter instead of random bits. */
  readonly countedEpochs?: boolean;
}

type Arguments = ReadonlyArray<string | number | Buffer>;

const EPOCH_CHARACTERS = 32;
const STAMP_START = 36;
const BODY_START = 100;
const STATE_FIELDS = ["epoch", "seq", "clearedAt", "taggedAt", "patterns"] as const;

/** One server with the scripts of the second tier and the bus, by name. Each answers what its Lua text answers. */
export class SimulatedScripts {
  readonly #redis: SimulatedRedis;
  readonly #ablations: ScriptAblations;
  /** Scripts run so far, by name. */
  readonly runs: Map<string, number> = new Map();

  constructor(redis: SimulatedRedis, ablations: ScriptAblations = {}) {
    this.#redis = redis;
    this.#ablations = ablations;
  }

  /** Runs a script. @throws {ReplyError} what the server would answer */
  run(name: string, keys: readonly string[], args: Arguments): unknown {
    this.#redis.beginScript();
    this.runs.set(name, (this.runs.get(name) ?? 0) + 1);
    try {
      return this.#run(name, keys, args);
    } finally {
      this.#redis.endScript();
    }
  }

  #run(name: string, keys: readonly string[], args: Arguments): unknown {
    const at = (index: number): string => String(args[index] ?? "");
    switch (name) {
      case "check":
        return this.#check(keys, at);
      case "append":
        this.#redis.delete(...keys.slice(2));
        return this.#mark(keys, at).slice(0, 2);
      case "mark":
        return this.#mark(keys, at);
      case "replay":
        return this.#replay(keys, at);
      case "read-record":
        this.#redis.hashDelete(keys[0] as string, "none");
        return this.#state(keys[0] as string);
      case "reserve":
        return this.#reserve(keys, at);
      case "fill":
        return this.#fill(keys, at, args);
      case "replace":
        return this.#replace(keys, at, args);
      case "invalidate":
        return this.#invalidate(keys, at);
      case "drop":
        return this.#drop(keys, at);
      case "release":
        this.#wake(keys[0] as string, at(0), at(1), at(2));
        return 1;
      case "renew":
        return this.#renew(keys, at);
      case "probe":
        return [this.#text(keys[0] as string) ?? "", this.#redis.timeLeft(keys[0] as string)];
      case "heads":
        return [...this.#state(keys[0] as string), String(this.#redis.now), ...keys.slice(1).map((key) => this.#head(key))];
      default:
        throw new ReplyError(`ERR the simulated server does not know the script "${name}"`);
    }
  }

  /** The run id that records are bound to. */
  get #runId(): string {
    return this.#ablations.noIdentity ? "the same" : this.#redis.runId;
  }

  #epoch(record: string, log: string, fresh: string): string {
    const redis = this.#redis;
    const held = redis.hashGet(record, "epoch");
    if (held) return held;
    const epoch = this.#ablations.countedEpochs ? "0".repeat(EPOCH_CHARACTERS) : fresh;
    redis.delete(log);
    redis.hashSet(record, { epoch, seq: "0", clearedAt: "0", taggedAt: "0", run: this.#runId });
    redis.hashDelete(record, "patterns");
    return epoch;
  }

  #append(record: string, log: string, channel: string, fresh: string, limit: string, body: string): [epoch: string, seq: string] {
    const redis = this.#redis;
    const epoch = this.#epoch(record, log, fresh);
    const seq = Number(redis.hashGet(record, "seq")) + 1;
    redis.hashSet(record, { seq: String(seq) });
    redis.streamAdd(log, seq, body, Number(limit));
    redis.publish(channel, `1 ${epoch} ${seq} ${body}`);
    return [epoch, String(seq)];
  }

  /** What the check and the reads of a record answer: epoch, seq, clearedAt, taggedAt, patterns. */
  #state(record: string): Array<string | null> {
    return this.#redis.hashGetMany(record, STATE_FIELDS);
  }

  #check([record = "", log = ""]: readonly string[], at: (index: number) => string): unknown {
    const redis = this.#redis;
    redis.hashDelete(record, "none");
    const run = this.#runId;
    const known = redis.hashGet(record, "run");
    if ((known && known !== run) || (at(4) !== "" && redis.hashGet(record, "epoch") === at(4))) redis.delete(record);
    const epoch = this.#epoch(record, log, at(0));
    if (known !== run) redis.hashSet(record, { run });
    const state = this.#state(record);
    if (at(2) !== "") redis.publish(at(2), `${at(3)} ${epoch} ${state[1]}`);
    return [...state, String(redis.now)];
  }

  /** `append` and `mark`: an invalidation of a tag, a pattern or all, or of a key where there is no second tier. */
  #mark([record = "", log = "", tagKey = ""]: readonly string[], at: (index: number) => string): string[] {
    const redis = this.#redis;
    redis.hashDelete(record, "none");
    const [epoch, seq] = this.#append(record, log, at(2), at(0), at(3), at(4));
    const kind = at(5);
    if (kind === "all") {
      redis.hashSet(record, { clearedAt: seq });
      redis.hashDelete(record, "patterns");
    } else if (kind === "tag") {
      redis.hashSet(record, { taggedAt: seq });
      redis.set(tagKey, `${epoch}:${seq}`, Number(at(7)));
    } else if (kind === "pattern") {
      this.#addPattern(record, Number(seq), at(6));
    }
    return [epoch, seq, String(redis.now)];
  }

  #addPattern(record: string, seq: number, subject: string): void {
    const redis = this.#redis;
    const held = JSON.parse(redis.hashGet(record, "patterns") ?? "[]") as Array<[number, string]>;
    let patterns = held.filter(([, pattern]) => pattern !== subject);
    if (patterns.length >= 32) {
      redis.hashSet(record, { clearedAt: String((patterns[15] as [number, string])[0]) });
      patterns = patterns.slice(16);
    }
    patterns.push([seq, subject]);
    redis.hashSet(record, { patterns: JSON.stringify(patterns) });
  }

  #replay([record = "", log = ""]: readonly string[], at: (index: number) => string): unknown {
    const found = this.#redis.streamRange(log, Number(at(0)), Number(at(1)));
    return [
      this.#redis.hashGet(record, "epoch"),
      this.#redis.hashGet(record, "seq"),
      found.map((entry) => [`${entry.seq}-0`, ["b", entry.body]]),
    ];
  }

  #reserve([value = "", fenceKey = "", leaseKey = "", record = "", log = ""]: readonly string[], at: (index: number) => string): unknown {
    const redis = this.#redis;
    const { now } = redis;
    if (this.#isLate(at(1))) return "late";
    const epoch = this.#epoch(record, log, at(0));
    const [, seq, clearedAt, taggedAt, patterns] = this.#state(record);
    let fence = this.#text(fenceKey);
    if (fence === undefined) {
      fence = at(2);
      redis.set(fenceKey, fence, Number(at(3)));
    } else {
      redis.expire(fenceKey, Number(at(3)));
    }
    const lease =
      at(4) === "" ? (["none", "", 0] as const) : this.#lease(leaseKey, epoch, String(seq), Number(clearedAt), at(4), Number(at(5)));
    return [epoch, seq, clearedAt, taggedAt, patterns, String(now), fence, ...lease, redis.get(value) ?? null];
  }

  #lease(key: string, epoch: string, seq: string, clearedAt: number, token: string, ms: number): readonly [string, string, number] {
    const held = this.#ablations.noLease ? undefined : this.#text(key);
    const [, heldEpoch, heldSeq] = held?.match(/^[0-9a-f]+:([0-9a-z]+):(\d+)$/) ?? [];
    const left = this.#redis.timeLeft(key);
    if (held !== undefined && heldEpoch === epoch && Number(heldSeq) >= clearedAt && left >= 0 && left <= ms) return ["held", held, left];
    const holder = `${token}:${epoch}:${seq}`;
    this.#redis.set(key, holder, ms);
    return ["owned", holder, ms];
  }

  #fill(
    [value = "", fenceKey = "", leaseKey = "", record = "", ...tags]: readonly string[],
    at: (index: number) => string,
    args: Arguments,
  ): unknown {
    const redis = this.#redis;
    const { now } = redis;
    if (this.#isLate(at(0))) return ["late", now];
    const epoch = at(1);
    const seq = Number(at(2));
    const [heldEpoch, , clearedAt, taggedAt, held] = this.#state(record);
    const patterns = held ? (JSON.parse(held) as Array<[number, string]>) : [];
    const lastPattern = patterns.at(-1)?.[0] ?? 0;
    const isFenced = this.#text(fenceKey) === at(3) && heldEpoch === epoch && seq >= Number(clearedAt) && seq >= lastPattern;
    const holds = this.#ablations.noFence === true || (isFenced && this.#tagsHold(tags, Number(taggedAt), epoch, seq));
    if (holds) {
      this.#store(value, args[6] as Buffer, at(5), stamp(epoch, String(seq), Math.min(now, Number(at(9)))));
      this.#keepTags(tags, Number(taggedAt), epoch, at(5));
      redis.expire(fenceKey, Number(at(8)));
    }
    this.#wake(leaseKey, at(4), at(7), holds ? "stored" : "not-stored");
    return [holds ? "stored" : "rejected", String(now)];
  }

  #replace(
    [value = "", fenceKey = "", leaseKey = "", record = "", log = "", ...tags]: readonly string[],
    at: (index: number) => string,
    args: Arguments,
  ): unknown {
    const redis = this.#redis;
    const { now } = redis;
    if (this.#isLate(at(1))) return "late";
    const place =
      at(6) === ""
        ? ([this.#epoch(record, log, at(0)), redis.hashGet(record, "seq") as string] as const)
        : this.#append(record, log, at(7), at(0), at(8), at(6));
    this.#store(value, args[3] as Buffer, at(2), stamp(place[0], place[1], Math.min(now, Number(at(9)))));
    this.#keepTags(tags, Number(redis.hashGet(record, "taggedAt")), place[0], at(2));
    redis.delete(fenceKey);
    if (redis.delete(leaseKey) === 1) redis.publish(at(5), "stored");
    return [...place, String(now)];
  }

  #invalidate(
    [value = "", fenceKey = "", leaseKey = "", record = "", log = ""]: readonly string[],
    at: (index: number) => string,
  ): unknown {
    const redis = this.#redis;
    const drop = (): void => {
      redis.delete(value, fenceKey);
      if (redis.delete(leaseKey) === 1) redis.publish(at(5), "not-stored");
    };
    const { publishFirst } = this.#ablations;
    if (publishFirst) publishFirst(drop);
    else drop();
    const place = this.#append(record, log, at(2), at(0), at(3), at(4));
    return [...place, String(redis.now)];
  }

  #drop([value = "", fenceKey = "", leaseKey = "", record = ""]: readonly string[], at: (index: number) => string): unknown {
    const redis = this.#redis;
    const head = this.#head(value);
    redis.delete(value, fenceKey);
    if (redis.delete(leaseKey) === 1) redis.publish(at(0), "not-stored");
    return [...this.#state(record), String(redis.now), head];
  }

  #renew([key = ""]: readonly string[], at: (index: number) => string): number {
    if (this.#text(key) !== at(0)) return 0;
    this.#redis.expire(key, Number(at(1)));
    return 1;
  }

  #isLate(deadline: string): boolean {
    return this.#ablations.noDeadline !== true && this.#redis.now > Number(deadline);
  }

  #text(key: string): string | undefined {
    const held = this.#redis.get(key);
    return held === undefined ? undefined : String(held);
  }

  #store(key: string, entry: Buffer, px: string, stampOfIt: Buffer): void {
    const stamped = Buffer.from(entry);
    stampOfIt.copy(stamped, STAMP_START);
    this.#redis.set(key, stamped, px === "" ? Infinity : Number(px));
  }

  #tagSeq(key: string, epoch: string): number | undefined {
    const [, of, seq] = this.#text(key)?.match(/^([0-9a-z]+):(\d+)$/) ?? [];
    return of === epoch ? Number(seq) : undefined;
  }

  #tagsHold(tags: readonly string[], taggedAt: number, epoch: string, seq: number): boolean {
    return seq >= taggedAt || tags.every((key) => (this.#tagSeq(key, epoch) ?? Infinity) <= seq);
  }

  #keepTags(tags: readonly string[], taggedAt: number, epoch: string, px: string): void {
    const redis = this.#redis;
    for (const key of tags) {
      const ms = px === "" ? Infinity : Number(px);
      const left = redis.timeLeft(key);
      if (this.#tagSeq(key, epoch) === undefined) redis.set(key, `${epoch}:${taggedAt}`, ms);
      else if (px === "" || (left >= 0 && left < ms)) redis.expire(key, ms);
    }
  }

  #wake(leaseKey: string, held: string, channel: string, outcome: string): void {
    if (held === "" || !this.#text(leaseKey)?.startsWith(held)) return;
    this.#redis.delete(leaseKey);
    this.#redis.publish(channel, outcome);
  }

  #head(key: string): Text {
    const held = this.#redis.get(key);
    if (held === undefined) return "";
    if (!Buffer.isBuffer(held)) return held;
    return held.length < BODY_START ? held : held.subarray(0, BODY_START + held.readUInt32BE(8) + held.readUInt32BE(12));
  }
}

/** The part of an entry that only the server knows: epoch, seq, stored at, and both numbers once more. */
function stamp(epoch: string, seq: string, now: number): Buffer {
  const bytes = Buffer.alloc(64, " ", "latin1");
  bytes.write(epoch.slice(0, EPOCH_CHARACTERS), 0, "latin1");
  for (const offset of [32, 48]) {
    bytes.writeDoubleBE(Number(seq), offset);
    bytes.writeDoubleBE(now, offset + 8);
  }
  return bytes;
}
