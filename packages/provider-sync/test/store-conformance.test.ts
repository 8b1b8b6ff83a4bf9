import { ManualClock } from "@larder/cache-testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  acceptQuarantined,
  type CommitInput,
  diffModels,
  encodeContent,
  mergeModels,
  type RunReport,
  rollBack,
  type SnapshotContent,
  type SnapshotStore,
  syncOnce,
} from "../src/index.ts";
import { listing, listings, ScriptedSource } from "./support/listings.ts";
import { createTestDatabase, type TestDatabase } from "./support/stores.ts";

function contentOf(models: readonly string[]): SnapshotContent {
  const listed = models.map((model) => ({ listing: listing(model), firstSeenAt: 1 }));
  return { layers: [{ source: "script", models: listed, providers: [], endpoints: [] }], quarantine: [], acceptances: [] };
}

/** A commit of these models over the state that the store is in. */
async function nextCommit(store: SnapshotStore, models: readonly string[], rest: Partial<CommitInput> = {}): Promise<CommitInput> {
  const { head, content, pulse } = await store.state();
  const next = contentOf(models);
  const changes = diffModels(mergeModels(content), mergeModels(next));
  return {
    basedOn: { version: head?.version ?? 0, revision: pulse.revision },
    next: {
      encoded: await encodeContent(next),
      modelCount: models.length,
      changes,
      reason: "sync",
      createdAt: 1000 + (head?.version ?? 0),
    },
    pulse: {
      ...pulse,
      checkedAt: 5000,
      completedAt: 5000,
      sources: [{ source: "script", fetchedAt: 4000, failures: 0, missedRuns: [["acme/x", 2]] }],
    },
    rawBodies: [],
    runId: `run-${pulse.revision}`,
    ...rest,
  };
}

const report = (id: string, startedAt: number): RunReport => ({
  id,
  outcome: "unchanged",
  isComplete: true,
  startedAt,
  finishedAt: startedAt + 1,
  version: 1,
  models: 0,
  sources: [],
  changes: [],
  quarantine: [],
  mirror: "none",
  published: false,
});

describe.each(["sqlite", "postgres"] as const)("SnapshotStore over %s", (dialect) => {
  let database: TestDatabase;
  let store: SnapshotStore;
  beforeEach(async () => {
    database = await createTestDatabase(dialect);
    store = await database.openStore({ keepVersions: 3, keepRawRuns: 2, keepRuns: 3 });
  });
  afterEach(() => database.remove());

  it("is empty before the first commit, and says so without failing", async () => {
    expect(await store.head()).toBeUndefined();
    expect(await store.latest()).toBeUndefined();
    expect(await store.state()).toMatchObject({
      head: undefined,
      content: { layers: [] },
      pulse: { revision: 0, sources: [] },
      damaged: [],
    });
    expect(await store.history()).toEqual([]);
    expect(await store.runs()).toEqual([]);
    expect(await store.lastBody("a", "b")).toBeUndefined();
    expect(await store.alertedAt("x")).toBeUndefined();
  });

  it("gives back what was committed, version by version, with the pulse of the same commit", async () => {
    const first = await store.commit(await nextCommit(store, ["a", "b"]));
    expect(first).toMatchObject({ outcome: "committed", head: { version: 1, modelCount: 2, reason: "sync" } });
    await store.commit(await nextCommit(store, ["a", "b", "c"]));
    const latest = await store.latest();
    expect(latest).toMatchObject({ version: 2, checkedAt: 5000 });
    expect(latest && mergeModels(latest.content).map((model) => model.id)).toEqual(["acme/a", "acme/b", "acme/c"]);
    expect(await store.pulse()).toMatchObject({
      revision: 2,
      completedAt: 5000,
      sources: [{ source: "script", missedRuns: [["acme/x", 2]] }],
    });
    expect((await store.read(1))?.content).toEqual(contentOf(["a", "b"]));
  });

  it("refuses a commit that was computed from a state that is gone", async () => {
    const early = await nextCommit(store, ["a"]);
    const late = await nextCommit(store, ["a", "b"]);
    expect(await store.commit(late)).toMatchObject({ outcome: "committed" });
    expect(await store.commit(early)).toEqual({ outcome: "conflict" });
    expect(await store.head()).toMatchObject({ version: 1, modelCount: 2 });
  });

  it("counts a commit without a new version as a change of the state", async () => {
    await store.commit(await nextCommit(store, ["a"]));
    const { next: _next, ...unchanged } = await nextCommit(store, ["a"]);
    const other = await nextCommit(store, ["a", "b"]);
    expect(await store.commit(unchanged)).toMatchObject({ outcome: "committed", head: { version: 1 } });
    expect(await store.commit(other)).toEqual({ outcome: "conflict" });
    expect(await store.head()).toMatchObject({ version: 1 });
  });

  it("gives versions that grow by one to stores of several processes that commit at once, and loses none", async () => {
    const stores = [store, await database.openStore(), await database.openStore()];
    const commitUntilDone = async (own: SnapshotStore, name: string): Promise<void> => {
      for (;;) {
        const { content } = await own.state();
        const known = mergeModels(content).map((model) => model.model);
        const result = await own.commit(await nextCommit(own, [...known, name]));
        if (result.outcome === "committed" && (await own.latest())?.content) {
          const after = mergeModels((await own.state()).content).map((model) => model.model);
          if (after.includes(name)) return;
        }
      }
    };
    await Promise.all(stores.map((own, index) => commitUntilDone(own, `m${index}`)));
    const history = await store.history();
    expect(history.map((head) => head.version)).toEqual([...history.keys()].map((index) => history.length - index));
    expect(new Set(history.map((head) => head.lineage)).size).toBe(1);
  });

  it("keeps changes by version and by model", async () => {
    await store.commit(await nextCommit(store, ["a", "b"]));
    await store.commit(await nextCommit(store, ["b", "c"]));
    expect((await store.changes({ version: 2 })).map((change) => `${change.id} ${change.kind}`)).toEqual([
      "acme/a removed",
      "acme/c added",
    ]);
    expect((await store.changes({ id: "ACME/a" })).map((change) => `${change.version} ${change.kind}`)).toEqual(["2 removed", "1 added"]);
    expect(await store.changes({ limit: 1 })).toHaveLength(1);
  });

  it("keeps the last versions and drops older ones with their content", async () => {
    for (const names of [["a"], ["a", "b"], ["a", "b", "c"], ["d"], ["e"]]) await store.commit(await nextCommit(store, names));
    expect((await store.history()).map((head) => head.version)).toEqual([5, 4, 3]);
    expect(await store.read(2)).toBeUndefined();
    expect((await store.changes({ version: 1 })).length).toBe(1);
  });

  it("keeps raw bodies of the last runs, equal ones once, and answers the last one of a URL", async () => {
    const body = (text: string, fetchedAt: number) => ({
      source: "s",
      url: "https://host/list",
      fetchedAt,
      etag: `"${text}"`,
      bytes: Buffer.from(text),
    });
    const texts = ["one", "two", "two", "three"];
    for (const [index, text] of texts.entries())
      await store.commit(await nextCommit(store, [text, String(index)], { rawBodies: [body(text, 100 + index)], runId: `r${index}` }));
    const last = await store.lastBody("s", "https://host/list");
    expect(last).toMatchObject({ etag: '"three"', fetchedAt: 103 });
    expect(Buffer.from(last?.bytes ?? []).toString()).toBe("three");
    expect(await store.rawBodies("r1")).toEqual([]);
    expect((await store.rawBodies("r2")).map((raw) => Buffer.from(raw.bytes).toString())).toEqual(["two"]);
  });

  it("passes over a damaged version and over a damaged pulse, and the next commit follows the damaged one (seeds W4.9)", async () => {
    await store.commit(await nextCommit(store, ["a"]));
    await store.commit(await nextCommit(store, ["a", "b"]));
    const raw = await database.openDatabase();
    await raw.query("UPDATE larder_sync_snapshots SET body = ? WHERE version = ?", [Buffer.from("garbage"), 2]);
    await raw.query("UPDATE larder_sync_meta SET value = ? WHERE key = ?", ["{", "pulse"]);
    await raw.close();
    expect(await store.latest()).toMatchObject({ version: 1 });
    expect(await store.state()).toMatchObject({ head: { version: 2 }, damaged: [2] });
    await expect(store.read(2)).rejects.toMatchObject({ code: "ERR_CACHE_CODEC" });
    expect(await store.commit(await nextCommit(store, ["a", "b", "c"]))).toMatchObject({ outcome: "committed", head: { version: 3 } });
    expect(await store.latest()).toMatchObject({ version: 3 });
  });

  it("keeps the last reports and remembers alerts", async () => {
    for (const [index, id] of ["a", "b", "c", "d"].entries()) await store.recordRun(report(id, index));
    expect((await store.runs()).map((run) => run.id)).toEqual(["d", "c", "b"]);
    await store.recordAlert("stale", 5);
    await store.recordAlert("stale", 7);
    expect(await store.alertedAt("stale")).toBe(7);
  });

  it("puts what a clock noted that was ahead behind what comes after it", async () => {
    const clock = new ManualClock();
    const own = await database.openStore({ clock, keepRuns: 3, keepRawRuns: 2 });
    const runAt = async (id: string, at: number): Promise<void> => {
      const bytes = Buffer.from(id);
      const rawBodies = [{ source: "s", url: "https://host/list", fetchedAt: at, bytes }];
      const commit = await nextCommit(own, [id], { runId: id, rawBodies });
      await own.commit({ ...commit, pulse: { ...commit.pulse, checkedAt: at } });
      await own.recordRun(report(id, at));
    };
    const monthMs = 30 * 86_400_000;
    clock.jumpWall(monthMs);
    for (const id of ["ahead-1", "ahead-2", "ahead-3"]) await runAt(id, clock.wallNow());
    clock.jumpWall(-monthMs);
    for (const id of ["right-1", "right-2"]) {
      clock.advance(1000);
      await runAt(id, clock.wallNow());
    }
    expect((await own.runs(2)).map((run) => run.id)).toEqual(["right-2", "right-1"]);
    expect(Buffer.from((await own.lastBody("s", "https://host/list"))?.bytes ?? []).toString()).toBe("right-2");
    expect(await own.rawBodies("right-1")).toHaveLength(1);
    expect(await own.head()).toMatchObject({ checkedAt: clock.wallNow() });
  });

  it("lets one process at a time hold a name, and frees it when the work ends or fails", async () => {
    const other = await database.openStore();
    let release = (): void => {};
    const work = (): Promise<string> => new Promise((resolve) => (release = () => resolve("done")));
    let holding: Promise<string> | undefined;
    await new Promise<void>((begun) => {
      holding = store.withLock("sync", () => {
        begun();
        return work();
      });
    });
    expect(await other.withLock("sync", async () => "mine")).toBe("held");
    expect(await other.withLock("another", async () => "mine")).toBe("mine");
    release();
    expect(await holding).toBe("done");
    await expect(store.withLock("sync", () => Promise.reject(new Error("work failed")))).rejects.toThrow("work failed");
    expect(await other.withLock("sync", async () => "mine")).toBe("mine");
  });

  it("frees a name that is held when the store is closed in the middle of the work", async () => {
    const other = await database.openStore();
    await store.withLock("sync", () => store.close());
    expect(await other.withLock("sync", async () => "mine")).toBe("mine");
  });

  it("opens the same database again, with its lineage and its data, from processes that start together", async () => {
    await store.commit(await nextCommit(store, ["a"]));
    const again = await Promise.all([database.openStore(), database.openStore(), database.openStore()]);
    const heads = await Promise.all(again.map((own) => own.head()));
    expect(new Set(heads.map((head) => JSON.stringify(head))).size).toBe(1);
  });

  it("refuses a database of a later release instead of writing into it", async () => {
    const raw = await database.openDatabase();
    await raw.query("UPDATE larder_sync_meta SET value = '99' WHERE key = 'schema'");
    await raw.close();
    await expect(database.openStore()).rejects.toThrow(/schema 99 of a later release/);
  });

  it("rejects clearly after close, and closing again is fine", async () => {
    await store.close();
    await store.close();
    await expect(store.head()).rejects.toMatchObject({ code: "ERR_CACHE_CLOSED" });
    await expect(store.withLock("x", async () => 1)).rejects.toMatchObject({ code: "ERR_CACHE_CLOSED" });
  });

  it("brings a former version back as a new one, and the next sync moves on from it", async () => {
    const source = new ScriptedSource(listings(100));
    const clock = new ManualClock();
    await syncOnce({ sources: [source], store, clock });
    source.tell([...listings(100), listing("extra")]);
    await syncOnce({ sources: [source], store, clock });
    const head = await rollBack(1, { store, clock });
    expect(head).toMatchObject({ version: 3, reason: "rollback", modelCount: 100 });
    expect(await store.head()).toMatchObject({ version: 3 });
    expect((await store.changes({ version: 3 })).map((change) => `${change.id} ${change.kind}`)).toEqual(["acme/extra removed"]);
    expect(await syncOnce({ sources: [source], store, clock })).toMatchObject({ outcome: "committed", version: 4, models: 101 });
    await expect(rollBack(99, { store, clock })).rejects.toMatchObject({ code: "ERR_CACHE_INVALID_REQUEST" });
  });

  it("refuses a number of rows that is none, and knows no version that is none, whatever the database would make of them", async () => {
    await store.commit(await nextCommit(store, ["a", "b"]));
    for (const limit of [-1, 1.5, Number.NaN]) {
      for (const ask of [() => store.history(limit), () => store.changes({ limit }), () => store.runs(limit)])
        await expect(ask()).rejects.toMatchObject({ code: "ERR_CACHE_INVALID_OPTION" });
    }
    expect(await store.changes({ limit: Number.POSITIVE_INFINITY })).toHaveLength(2);
    for (const version of [-1, 0, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 1e20]) {
      expect(await store.read(version)).toBeUndefined();
      await expect(rollBack(version, { store })).rejects.toMatchObject({ code: "ERR_CACHE_INVALID_REQUEST" });
    }
    await expect(acceptQuarantined([], { store })).rejects.toMatchObject({ code: "ERR_CACHE_INVALID_REQUEST" });
    expect(await store.history()).toHaveLength(1);
  });

  it("accepts a quarantined price by hand, at once and for all later runs", async () => {
    const source = new ScriptedSource(listings(100));
    const clock = new ManualClock();
    await syncOnce({ sources: [source], store, clock });
    source.tell([listing("model-0", { input: 5000, output: 2 }), ...listings(100).slice(1)]);
    const held = await syncOnce({ sources: [source], store, clock });
    expect(held.quarantine).toMatchObject([{ key: "script#acme/model-0#input", reason: "above-bound", kept: 1, offered: 5000 }]);
    await acceptQuarantined(["script#acme/model-0#input"], { store, clock });
    const price = async (): Promise<number | undefined> =>
      mergeModels((await store.state()).content).find((model) => model.id === "acme/model-0")?.usdPerMillion.input;
    expect(await price()).toBe(5000);
    expect(await syncOnce({ sources: [source], store, clock })).toMatchObject({ quarantine: [] });
    expect(await price()).toBe(5000);
    await expect(acceptQuarantined(["script#acme/model-0#input"], { store, clock })).rejects.toMatchObject({
      code: "ERR_CACHE_INVALID_REQUEST",
    });
  });
});
