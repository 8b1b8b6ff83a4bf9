import { ManualClock } from "@larder/cache-testing";
import { describe, expect, test } from "vitest";
import { CallDesk } from "./call-desk.ts";
import { toCallFailure } from "./call-failure.ts";
import { ReadBatch } from "./read-batch.ts";

type Replies = ReadonlyArray<Buffer | null>;

/** A turn of the event loop, with everything that runs at its end. */
const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function create() {
  const clock = new ManualClock();
  const desk = new CallDesk({ clock, maxInFlight: 10_000, maxInFlightBytes: 1_000 });
  const sent: Array<{ keys: readonly string[]; isLone: boolean; resolve: (replies: Replies) => void; reject: (error: Error) => void }> = [];
  const sentAlone: Array<{ key: string; resolve: (reply: Buffer | null) => void; reject: (error: Error) => void }> = [];
  const told = new Map<string, string | undefined>();
  const batch = new ReadBatch({
    fetch: (keys, isLone) => new Promise((resolve, reject) => sent.push({ keys, isLone, resolve, reject })),
    fetchOne: (key) => new Promise((resolve, reject) => sentAlone.push({ key, resolve, reject })),
    inFlight: () => desk.inFlight,
    toFailure: toCallFailure,
  });
  const read = (key: string, timeoutMs = 50): void =>
    batch.add(
      key,
      desk.open(0, timeoutMs, (failure, reply) => told.set(key, failure?.kind ?? reply?.toString() ?? "absent")),
    );
  const sizes = (): number[] => sent.map(({ keys }) => keys.length);
  return { clock, desk, sent, sentAlone, told, read, sizes };
}

const keysOf = (count: number): string[] => Array.from({ length: count }, (_, index) => `key:${index}`);

describe("a batch of reads", () => {
  test("asks once for the reads of a turn and gives each its own answer", async () => {
    const { sent, told, read } = create();
    for (const key of ["a", "b", "c"]) read(key);
    expect(sent).toEqual([]);
    await nextTurn();
    expect(sent).toMatchObject([{ keys: ["a", "b", "c"], isLone: true }]);
    sent[0]?.resolve([Buffer.from("1"), null, Buffer.from("3")]);
    await nextTurn();
    expect([...told]).toEqual([
      ["a", "1"],
      ["b", "absent"],
      ["c", "3"],
    ]);
  });

  test("asks for so many keys at a time, in parts of one size, and for fewer where values are large", async () => {
    const { sent, read, sizes } = create();
    for (const key of keysOf(150)) read(key);
    await nextTurn();
    expect(sizes()).toEqual([50, 50, 50]);
    for (const { keys, resolve } of sent) resolve(keys.map(() => Buffer.alloc(1_000_000)));
    await nextTurn();
    sent.length = 0;
    for (const key of keysOf(3)) read(key);
    await nextTurn();
    expect(sizes()).toEqual([1, 1, 1]);
  });

  test("is halved when nothing else is under way, so that server and process work at the same time", async () => {
    const { read, sizes } = create();
    for (const key of keysOf(16)) read(key);
    await nextTurn();
    expect(sizes()).toEqual([8, 8]);
    for (const key of keysOf(16)) read(key);
    await nextTurn();
    expect(sizes()).toEqual([8, 8, 16]);
  });

  test("is a plain GET where there is one read, and what is of another type is absent, as in MGET", async () => {
    const { sent, sentAlone, told, read, desk } = create();
    for (const key of ["found", "absent", "list", "refused"]) {
      read(key);
      await nextTurn();
    }
    expect(sent).toEqual([]);
    expect(sentAlone.map(({ key }) => key)).toEqual(["found", "absent", "list", "refused"]);
    sentAlone[0]?.resolve(Buffer.from("1"));
    sentAlone[1]?.resolve(null);
    sentAlone[2]?.reject(new Error("WRONGTYPE Operation against a key holding the wrong kind of value"));
    sentAlone[3]?.reject(new Error("LOADING Redis is loading the dataset in memory"));
    await nextTurn();
    expect([...told.values()]).toEqual(["1", "absent", "absent", "refused"]);
    expect(desk.inFlight).toBe(0);
  });

  test("fails all of its reads when the server refuses, and when the client throws", async () => {
    const { sent, told, read, desk } = create();
    for (const key of ["a", "b"]) read(key);
    await nextTurn();
    sent[0]?.reject(new Error("READONLY You can't"));
    await nextTurn();
    expect([...told.values()]).toEqual(["refused", "refused"]);
    expect(desk.inFlight).toBe(0);
    const gone = (): never => {
      throw new Error("Connection is closed.");
    };
    const failing = new ReadBatch({
      fetch: gone,
      fetchOne: gone,
      inFlight: () => 0,
      toFailure: toCallFailure,
    });
    const outcome = new Promise((resolve) =>
      failing.add(
        "key",
        desk.open(0, 50, (failure) => resolve(failure?.kind)),
      ),
    );
    expect(await outcome).not.toBe(undefined);
  });

  test("keeps each read's own deadline, and counts it as under way until the server has answered", async () => {
    const { clock, desk, sent, told, read } = create();
    read("short", 10);
    read("long", 100);
    await nextTurn();
    await clock.advanceAsync(20);
    expect([...told]).toEqual([["short", "timeout"]]);
    expect(desk.inFlight).toBe(2);
    sent[0]?.resolve([Buffer.from("late"), Buffer.from("in time")]);
    await nextTurn();
    expect([...told]).toEqual([
      ["short", "timeout"],
      ["long", "in time"],
    ]);
    expect(desk.inFlight).toBe(0);
  });

  test("is not sent when the connection went in the same turn", async () => {
    const { desk, sent, sentAlone, told, read } = create();
    read("key");
    desk.drop();
    await nextTurn();
    for (const key of ["one", "two"]) read(key);
    desk.drop();
    await nextTurn();
    expect([...sent, ...sentAlone]).toEqual([]);
    expect([...told.values()]).toEqual(["lost", "lost", "lost"]);
    expect(desk.inFlight).toBe(0);
  });
});
