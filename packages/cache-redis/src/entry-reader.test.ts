import { KeySpace, type StoreEntry, VersionRecord } from "@larder/cache-core";
import { ManualClock } from "@larder/cache-testing";
import { describe, expect, test } from "vitest";
import type { CallFailure } from "./call-failure.ts";
import { EntryReader } from "./entry-reader.ts";
import type { Lane } from "./lane.ts";
import type { Judge } from "./lane-versions.ts";
import { RedisCounters } from "./redis-stats.ts";
import { ServerTime } from "./server-time.ts";
import { jsonCodec } from "./value-codec.ts";
import { ValuePipeline } from "./value-pipeline.ts";

const EPOCH = "0123456789abcdef".repeat(2);
/** Redis time when the tests begin, and their own. */
const NOW = 1_700_000_000_000;
const STARTED_AT = 4_711;

type Reply<T> = (failure: CallFailure | undefined, reply: T | undefined) => void;

/** A reader before a lane whose every reply waits until the test gives it. */
function create() {
  const clock = new ManualClock(STARTED_AT);
  const counters = new RedisCounters("n", clock);
  const keySpace = new KeySpace({ namespace: "n" });
  const values = new ValuePipeline<string>({ codec: jsonCodec(), compression: undefined, sealing: undefined, owner: "o", isKept: false });
  const record = new VersionRecord({ epoch: EPOCH, seq: 9, clearedAt: 0, taggedAt: 0, patterns: [] });
  const asked: { get?: Reply<Buffer>; getMany?: Reply<Array<Buffer | null>>; judge?: (by: Judge | undefined) => void } = {};
  const names: string[] = [];
  const timeouts: number[] = [];
  const state = { isOpen: true, channel: { record, own: undefined } as Judge | undefined, refreshes: 0 };
  const ask = (name: string, timeoutMs: number): void => {
    names.push(name);
    timeouts.push(timeoutMs);
  };
  const time = new ServerTime();
  // Answered at once, in the last instant of its millisecond.
  time.learn(NOW - 1, STARTED_AT, STARTED_AT);
  const lane = {
    index: 0,
    get isOpen() {
      return state.isOpen;
    },
    refresh: () => (state.refreshes += 1),
    versions: { fromChannel: () => state.channel },
    time,
    judge: (timeoutMs: number, done: (by: Judge | undefined) => void) => {
      ask("judge", timeoutMs);
      asked.judge = done;
    },
    get: (name: string, timeoutMs: number, done: Reply<Buffer>) => {
      ask(name, timeoutMs);
      asked.get = done;
    },
    getMany: (tags: readonly string[], timeoutMs: number, done: Reply<Array<Buffer | null>>) => {
      ask(tags.join(), timeoutMs);
      asked.getMany = done;
    },
  } as unknown as Lane;
  const reader = new EntryReader<string>({ clock, counters, keySpace, values });
  const entry = (seq = 9, tags: readonly string[] = [], epoch = EPOCH, { storedAt = NOW, ttlMs = 1_000 } = {}): Buffer => {
    const bytes = values.encode("key", "value", { ttlMs, staleMs: 500, tags });
    const numbers = Buffer.alloc(16);
    numbers.writeDoubleBE(seq, 0);
    numbers.writeDoubleBE(storedAt, 8);
    Buffer.concat([Buffer.from(epoch), numbers, numbers]).copy(bytes, 36);
    return bytes;
  };
  const found: Array<StoreEntry<string> | undefined> = [];
  const read = (): void => reader.read(lane, "key", "key", 50, (result) => found.push(result));
  return { clock, counters, record, asked, names, timeouts, state, lane, reader, entry, found, read };
}

const stats = ({ counters }: ReturnType<typeof create>) => counters.snapshot({ breaker: "closed", inFlight: 0 });

describe("a read", () => {
  test("by the channel's record is one call, and gives what is stored with its life", () => {
    const rig = create();
    rig.read();
    rig.clock.advance(10);
    rig.asked.get?.(undefined, rig.entry());
    expect([rig.names, rig.timeouts, rig.state.refreshes]).toEqual([["larder:{n.0}:v:key"], [50], 1]);
    expect(rig.found).toEqual([
      { value: "value", version: { epoch: EPOCH, seq: 9 }, ageMs: 10, freshMs: 990, remainingMs: 1_490, tags: [] },
    ]);
    expect(stats(rig)).toMatchObject({ errors: 0, bytesIn: rig.entry().length, latency: { sumMs: 10 } });
  });

  test("where the lane is bypassed is a miss, counted, without a call", () => {
    const rig = create();
    rig.state.isOpen = false;
    rig.read();
    expect([rig.found, rig.names, rig.state.refreshes]).toEqual([[undefined], [], 0]);
    expect(stats(rig).failures.bypassed).toBe(1);
  });

  test("is judged by what is known when the reply is here", () => {
    for (const change of [
      (rig: ReturnType<typeof create>) => rig.record.apply(10, { kind: "all" }),
      (rig: ReturnType<typeof create>) => {
        rig.state.channel = undefined;
      },
    ]) {
      const rig = create();
      rig.read();
      change(rig);
      rig.asked.get?.(undefined, rig.entry());
      expect(rig.found).toEqual([undefined]);
    }
  });

  test("without a fresh channel waits for the record and the entry, in whatever order they come", () => {
    for (const isJudgeFirst of [true, false]) {
      const rig = create();
      const by = rig.state.channel;
      rig.state.channel = undefined;
      rig.read();
      expect([rig.names, rig.timeouts]).toEqual([
        ["judge", "larder:{n.0}:v:key"],
        [50, 50],
      ]);
      if (isJudgeFirst) rig.asked.judge?.(by);
      else rig.asked.get?.(undefined, rig.entry());
      expect(rig.found).toEqual([]);
      rig.clock.advance(20);
      if (isJudgeFirst) rig.asked.get?.(undefined, rig.entry());
      else rig.asked.judge?.(by);
      expect(rig.found).toMatchObject([{ value: "value", ageMs: 20 }]);
      expect(stats(rig).latency).toMatchObject({ sumMs: 20 });
    }
  });

  test("is a miss where either of the two does not come, and a failure is counted", () => {
    const rig = create();
    const by = rig.state.channel;
    rig.state.channel = undefined;
    rig.read();
    rig.asked.judge?.(undefined);
    rig.asked.get?.(undefined, rig.entry());
    rig.read();
    rig.asked.judge?.(by);
    rig.asked.get?.({ kind: "timeout", word: "" }, undefined);
    expect(rig.found).toEqual([undefined, undefined]);
    expect(stats(rig).failures.timeout).toBe(1);
  });

  test("of what is spoiled, of another epoch or over is a miss", () => {
    const rig = create();
    const give = (bytes: Buffer | undefined): void => {
      rig.read();
      rig.asked.get?.(undefined, bytes);
    };
    give(undefined);
    const spoiled = rig.entry();
    spoiled[spoiled.length - 1]! ^= 1;
    give(spoiled);
    expect(stats(rig).refusedEntries.checksum).toBe(1);
    const other = new ValuePipeline<string>({
      codec: { ...jsonCodec<string>(), id: 9 },
      compression: undefined,
      sealing: undefined,
      owner: "o",
      isKept: false,
    });
    const foreign = rig.entry();
    const stamp = foreign.subarray(36, 100);
    const unread = other.encode("key", "value", { ttlMs: 1_000, staleMs: 500, tags: [] });
    stamp.copy(unread, 36);
    give(unread);
    expect(stats(rig).refusedEntries.codec).toBe(1);
    give(rig.entry(9, [], "f".repeat(32)));
    rig.clock.advance(1_500);
    give(rig.entry());
    expect(rig.found).toEqual(Array(5).fill(undefined));
    expect(stats(rig).errors).toBe(0);
  });

  test("tells what is past its time and inside its window from what is live", () => {
    const rig = create();
    rig.clock.advance(1_499);
    rig.read();
    rig.asked.get?.(undefined, rig.entry());
    expect(rig.found).toMatchObject([{ freshMs: -499, remainingMs: 1 }]);
  });
});

describe("a read of an entry with tags of which nothing is known", () => {
  function readTagged(replies: Array<string | null> | undefined, seq = 5) {
    const rig = create();
    rig.record.apply(7, { kind: "tag", tag: "elsewhere" });
    rig.read();
    rig.clock.advance(15);
    rig.asked.get?.(undefined, rig.entry(seq, ["red", "blue"]));
    expect([rig.names.at(-1), rig.timeouts.at(-1), rig.found]).toEqual(["larder:{n.0}:t:red,larder:{n.0}:t:blue", 35, []]);
    rig.asked.getMany?.(
      undefined,
      replies?.map((reply) => (reply === null ? null : Buffer.from(reply))),
    );
    return rig;
  }

  test("asks for their records in the time that is left, and remembers them", () => {
    const rig = readTagged([`${EPOCH}:3`, `${EPOCH}:5`]);
    expect(rig.found).toMatchObject([{ value: "value", tags: ["red", "blue"] }]);
    rig.read();
    rig.asked.get?.(undefined, rig.entry(4, ["red"]));
    rig.read();
    rig.asked.get?.(undefined, rig.entry(4, ["red", "blue"]));
    expect(rig.names.filter((name) => name.includes(":t:"))).toHaveLength(1);
    expect(rig.found.slice(1)).toMatchObject([{ value: "value" }, undefined]);
  });

  test.each<readonly [string, Array<string | null> | undefined]>([
    ["one of them was invalidated since", [`${EPOCH}:3`, `${EPOCH}:6`]],
    ["one has no record: it may be lost", [`${EPOCH}:3`, null]],
    ["one is of another epoch", [`${EPOCH}:3`, `${"f".repeat(32)}:3`]],
    ["one cannot be read", [`${EPOCH}:3`, "nonsense"]],
    ["one is no place", [`${EPOCH}:3`, `${EPOCH}:-1`]],
    ["there is no answer", undefined],
  ])("is a miss where %s", (name, replies) => {
    const rig = readTagged(replies);
    expect(rig.found).toEqual([undefined]);
    if (name.startsWith("one of them")) return;
    // Nothing was learnt from it either: it is asked for again.
    rig.read();
    rig.asked.get?.(undefined, rig.entry(5, ["red", "blue"]));
    expect(rig.names.filter((asked) => asked.includes(":t:blue"))).toHaveLength(2);
  });

  test("is a miss, without a call, where no time is left", () => {
    const rig = create();
    rig.record.apply(7, { kind: "tag", tag: "elsewhere" });
    rig.read();
    rig.clock.advance(50);
    rig.asked.get?.(undefined, rig.entry(5, ["red"]));
    expect([rig.found, rig.names]).toEqual([[undefined], ["larder:{n.0}:v:key"]]);
  });
});

describe("an entry that was stored in the server's future, as far as that is known (found by the simulator: its clock had been set forward)", () => {
  const readStored = (aheadMs: number, ttlMs: number): StoreEntry<string> | undefined => {
    const rig = create();
    rig.read();
    rig.asked.get?.(undefined, rig.entry(9, [], EPOCH, { storedAt: NOW + aheadMs, ttlMs }));
    return rig.found[0];
  };

  test("is a miss, for nobody knows how old it is: it would be served past its time by as much as it is ahead (I16)", async () => {
    expect(readStored(101, 1_000)).toBeUndefined();
    const { reader, lane, entry, state } = create();
    const head = entry(9, [], EPOCH, { storedAt: NOW + 101 }).subarray(0, -7);
    expect(await reader.isLive(lane, "key", head, state.channel as Judge, 50)).toBe(false);
  });

  test("is given as a new one where clocks may be so far apart, and where it never ends", () => {
    expect(readStored(100, 1_000)).toMatchObject({ value: "value", ageMs: 0, freshMs: 1_000, remainingMs: 1_500 });
    expect(readStored(3_600_000, Infinity)).toMatchObject({ value: "value", ageMs: 0, freshMs: Infinity });
  });
});

describe("a head", () => {
  const isLive = (rig: ReturnType<typeof create>, head: Buffer): Promise<boolean> =>
    rig.reader.isLive(rig.lane, "key", head, rig.state.channel as Judge, 50);
  const headOf = (entry: Buffer): Buffer => entry.subarray(0, -7);

  test("is that of a live entry until its time to live is over, its window left out", async () => {
    const rig = create();
    expect(await isLive(rig, headOf(rig.entry()))).toBe(true);
    rig.clock.advance(999);
    expect(await isLive(rig, headOf(rig.entry()))).toBe(true);
    rig.clock.advance(1);
    expect(await isLive(rig, headOf(rig.entry()))).toBe(false);
  });

  test("is not where it is void, of another key, or spoiled", async () => {
    const rig = create();
    const head = headOf(rig.entry());
    expect(await rig.reader.isLive(rig.lane, "kez", head, rig.state.channel as Judge, 50)).toBe(false);
    expect(await isLive(rig, head.subarray(0, 90))).toBe(false);
    rig.record.apply(10, { kind: "all" });
    expect(await isLive(rig, head)).toBe(false);
  });

  test("is judged by the records of its tags where nothing is known of them", async () => {
    for (const [at, expected] of [
      [5, true],
      [6, false],
    ] as const) {
      const rig = create();
      rig.record.apply(7, { kind: "tag", tag: "elsewhere" });
      const answer = isLive(rig, headOf(rig.entry(5, ["red"])));
      rig.asked.getMany?.(undefined, [Buffer.from(`${EPOCH}:${at}`)]);
      expect(await answer).toBe(expected);
    }
  });
});
