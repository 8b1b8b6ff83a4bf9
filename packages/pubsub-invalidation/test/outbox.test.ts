import { CacheError, type InvalidationBus, type InvalidationTarget, MemoryInvalidationBus, type StoredEntry } from "@larder/cache-core";
import { MemoryCache } from "@larder/cache-memory";
import { describe, expect, it } from "vitest";
import { createCoherentCache, type Outbox, sendOutbox } from "../src/index.ts";

/** A table, and what is done with it. */
class Table implements Outbox {
  readonly rows: Map<number, InvalidationTarget> = new Map();
  readonly asked: number[] = [];
  #lastId = 0;

  add(...targets: readonly InvalidationTarget[]): this {
    for (const target of targets) this.rows.set(++this.#lastId, target);
    return this;
  }

  async next(limit: number) {
    this.asked.push(limit);
    return [...this.rows].slice(0, limit).map(([id, target]) => ({ id, target }));
  }

  async remove(ids: readonly number[]): Promise<void> {
    for (const id of ids) this.rows.delete(id);
  }
}

const key = (name: string): InvalidationTarget => ({ kind: "key", key: name });

function member(bus: InvalidationBus) {
  return createCoherentCache<string>({ l1: new MemoryCache<StoredEntry<string>>({ maxEntries: 1_000 }), bus });
}

/** A bus that takes nothing for the key `bad`. */
function failingBus(): InvalidationBus {
  const bus = new MemoryInvalidationBus();
  return {
    originId: bus.originId,
    close: () => bus.close(),
    join(namespace, listener) {
      const channel = bus.join(namespace, listener);
      const invalidate = channel.invalidate.bind(channel);
      channel.invalidate = async (target, call) => {
        if (target.kind === "key" && target.key === "bad") throw new CacheError("ERR_CACHE_BACKEND", "away");
        return invalidate(target, call);
      };
      return channel;
    },
  };
}

describe("sendOutbox", () => {
  it("tells the other processes everything that is in the table, and empties it", async () => {
    const bus = new MemoryInvalidationBus();
    const [sender, peer] = [member(bus), member(bus)];
    const load = async () => {
      for (const name of ["a", "b:1", "c", "kept"]) await peer.get(name, () => "old", name === "c" ? { tags: ["red"] } : {});
    };
    const held = () => ["a", "b:1", "c", "kept"].filter((name) => peer.has(name));
    await load();
    const table = new Table().add(key("a"), { kind: "pattern", pattern: "b:*" }, { kind: "tag", tag: "red" });
    expect(await sendOutbox(table, sender)).toBe(3);
    expect([held(), table.rows.size]).toEqual([["kept"], 0]);
    await load();
    expect(await sendOutbox(table.add({ kind: "all" }), sender)).toBe(1);
    expect(held()).toEqual([]);
    expect(await sendOutbox(table, sender)).toBe(0);
    await sender.close();
    await peer.close();
  });

  it("goes on batch by batch", async () => {
    const cache = member(new MemoryInvalidationBus());
    const table = new Table().add(...Array.from({ length: 25 }, (_, index) => key(`${index}`)));
    expect(await sendOutbox(table, cache, { batchSize: 10 })).toBe(25);
    expect(table.asked).toEqual([10, 10, 10]);
    await cache.close();
  });

  it("leaves in the table what was not propagated, and does not go round and round over it", async () => {
    const cache = member(failingBus());
    const table = new Table().add(key("bad"), key("good"), key("later"));
    expect(await sendOutbox(table, cache, { batchSize: 2 })).toBe(1);
    expect([...table.rows.values()]).toEqual([key("bad"), key("later")]);
    expect(table.asked).toEqual([2]);
    await cache.close();
  });

  // The good rows beside it stayed in the table as well, and those behind the batch were never sent. Found by an audit.
  it("says that a row cannot be sent, and sends and removes those around it", async () => {
    const cache = member(new MemoryInvalidationBus());
    const refused: InvalidationTarget = { kind: "tag", tag: "" };
    const table = new Table().add(key("a"), refused, key("b"), key("behind"));
    for (const left of [[refused, key("behind")], [refused], [refused]]) {
      await expect(sendOutbox(table, cache, { batchSize: 3 })).rejects.toMatchObject({ code: "ERR_CACHE_INVALID_OPTION" });
      expect([...table.rows.values()]).toEqual(left);
    }
    await cache.close();
  });

  it("rejects, and loses nothing, when the table or the cache fails", async () => {
    const cache = member(new MemoryInvalidationBus());
    const table = new Table().add(key("a"));
    table.remove = () => Promise.reject(new Error("database away"));
    await expect(sendOutbox(table, cache)).rejects.toThrow("database away");
    await expect(sendOutbox(table, cache, { batchSize: 0 })).rejects.toThrow(/batchSize/);
    await cache.close();
    await expect(sendOutbox(table, cache)).rejects.toMatchObject({ code: "ERR_CACHE_CLOSED" });
    expect(table.rows.size).toBe(1);
  });
});
