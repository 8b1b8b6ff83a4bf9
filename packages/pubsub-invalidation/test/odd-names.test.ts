import { isWellFormed, matchesGlob } from "@larder/cache-core";
import { MemoryCache } from "@larder/cache-memory";
import { RedisCache } from "@larder/cache-redis";
import { type RedisServer, startRedisServer, waitUntil } from "@larder/cache-testing";
import fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type CoherentCache, createCoherentCache, RedisInvalidationBus } from "../src/index.ts";

/*
 * Schedules of the simulator are about k0 and k1. Here names are of every kind, over a real Redis: what means something in a glob, in a hash tag, in
 * JSON, in RESP or in JavaScript, what UTF-8 cannot hold, and what looks like larder's own spelling.
 */
const PIECES = [
  ..."ab*?\\[]{}: \n\r\u0000\u2028\uffff\ud800é\"'-^!%$0",
  ..."\udc00\u{1f600}",
  "e\u0301",
  "utf16:",
  "\u0000utf16:",
  "v:",
  "__proto__",
  "constructor",
  "x".repeat(600),
];
const name = fc.array(fc.constantFrom(...PIECES), { minLength: 1, maxLength: 3 }).map((pieces) => pieces.join(""));
/** A part of names in Redis: what is refused there is left out. */
const part = name.map((text) => Buffer.from(text.replaceAll(/[{}]/g, "."), "utf8").toString("utf8"));
const LANES = [1, 3];
const RUNS = 30;

type Step =
  | { readonly kind: "set"; readonly by: number; readonly key: string; readonly tags: readonly string[] }
  | { readonly kind: "key" | "tag" | "pattern" | "all"; readonly by: number; readonly of: string };

const plan = fc
  .record({
    keys: fc.uniqueArray(name, { minLength: 2, maxLength: 5 }),
    tags: fc.uniqueArray(name, { minLength: 1, maxLength: 3 }),
    namespace: part,
    keyPrefix: part,
    lanes: fc.constantFrom(...LANES),
  })
  .chain(({ keys, tags, ...settings }) => {
    const [key, tag, by] = [fc.constantFrom(...keys), fc.constantFrom(...tags), fc.nat(2)];
    // One that UTF-8 cannot hold drops more than it says (`markOf`).
    const pattern = fc.oneof(
      part,
      key.map((text) => (isWellFormed(text) ? text : "*")),
      key.map((text) => `${/^[\ud800-\udfff]/.test(text) ? "" : text.slice(0, 1)}*`),
    );
    const step: fc.Arbitrary<Step> = fc.oneof(
      fc.record({ kind: fc.constant("set" as const), by: fc.nat(1), key, tags: fc.subarray(tags) }),
      fc.record({ kind: fc.constant("key" as const), by, of: key }),
      fc.record({ kind: fc.constant("tag" as const), by, of: tag }),
      fc.record({ kind: fc.constant("pattern" as const), by, of: pattern }),
      fc.record({ kind: fc.constant("all" as const), by, of: fc.constant("") }),
    );
    return fc.record({ keys: fc.constant(keys), settings: fc.constant(settings), steps: fc.array(step, { minLength: 5, maxLength: 15 }) });
  });

let server: RedisServer;
beforeAll(async () => {
  server = await startRedisServer();
});
afterAll(() => server.stop());

interface Settings {
  readonly namespace: string;
  readonly keyPrefix: string;
  readonly lanes: number;
}

async function open(settings: Settings, hasSecondTier: boolean): Promise<{ cache: CoherentCache<number>; close(): Promise<void> }> {
  const { namespace, ...shared } = settings;
  const bus = new RedisInvalidationBus({ url: server.url, ...shared, timeoutMs: 3_000 });
  const l2 = hasSecondTier ? new RedisCache<number>({ url: server.url, ...settings, timeoutMs: 3_000, writeTimeoutMs: 3_000 }) : undefined;
  const l1 = new MemoryCache<never>({ maxEntries: 100 });
  const cache = createCoherentCache<number>({ l1, bus, namespace, backendBudgetMs: 5_000, ...(l2 && { l2 }) });
  await Promise.all([cache.ready(), l2?.ready()]);
  return {
    cache,
    async close() {
      await cache.close();
      bus.close();
      await l2?.close();
    },
  };
}

interface Held {
  readonly value: number;
  readonly tags: readonly string[];
}

/** Whether an entry is of what a step drops. */
function isMeant(step: Exclude<Step, { kind: "set" }>, key: string, { tags }: Held): boolean {
  if (step.kind === "key") return key === step.of;
  if (step.kind === "tag") return tags.includes(step.of);
  return step.kind === "all" || matchesGlob(step.of, key);
}

function invalidate(cache: CoherentCache<number>, { kind, of }: Exclude<Step, { kind: "set" }>): Promise<unknown> {
  if (kind === "key") return cache.invalidate(of);
  if (kind === "tag") return cache.invalidateTag(of);
  return kind === "all" ? cache.invalidateAll() : cache.invalidateMatching(of);
}

/** Takes the steps, and waits after each until both caches that have a second tier hold what they should, and nothing else. */
async function follow(steps: readonly Step[], keys: readonly string[], caches: ReadonlyArray<CoherentCache<number>>): Promise<void> {
  const held = new Map<string, Held>();
  for (const [index, step] of steps.entries()) {
    const cache = caches[step.by] as CoherentCache<number>;
    if (step.kind === "set") {
      await cache.set(step.key, index, { tags: step.tags });
      held.set(step.key, { value: index, tags: step.tags });
    } else {
      await invalidate(cache, step);
      for (const [key, entry] of [...held]) if (isMeant(step, key, entry)) held.delete(key);
    }
    await waitUntil(`${JSON.stringify(step)} is known to all`, async () => {
      const found = await Promise.all(caches.slice(0, 2).map((reader) => reader.getMany(keys)));
      return found.every((values) => values.every((value, at) => value === held.get(keys[at] as string)?.value));
    });
  }
}

it("what is set and dropped under names of any kind is so for all, with and without a second tier", async () => {
  await fc.assert(
    fc.asyncProperty(plan, async ({ keys, settings, steps }) => {
      await server.command("FLUSHALL");
      const members = await Promise.all([open(settings, true), open(settings, true), open(settings, false)]);
      await follow(
        steps,
        keys,
        members.map(({ cache }) => cache),
      );
      await Promise.all(members.map((member) => member.close()));
    }),
    { numRuns: RUNS, endOnFailure: true },
  );
});

// A text cut in the middle of an emoji makes such keys. The second tier spelt them otherwise than the bus, and had them in another lane: the entry stayed.
it.each([1, 16])(
  "a process without a second tier drops keys with half a character from that of its peers, with %d lanes",
  async (lanes) => {
    const settings = { namespace: "spelt", keyPrefix: `lanes-${lanes}`, lanes };
    const [reader, writer] = [await open(settings, true), await open(settings, false)];
    const keys = Array.from({ length: 20 }, (_, index) => `${"hello \u{1f600}".slice(0, 7)}${index}`);
    for (const [index, key] of keys.entries()) {
      await reader.cache.set(key, index);
      await writer.cache.invalidate(key);
    }
    await waitUntil("none is held", async () => (await reader.cache.getMany(keys)).every((value) => value === undefined));
    const anew = await open(settings, true);
    expect(await anew.cache.getMany(keys)).toEqual(keys.map(() => undefined));
    await Promise.all([reader, writer, anew].map((member) => member.close()));
  },
);
