import { decodeMessage, encodeBody, type Loader, type MaybePromise, type ReadThroughCache } from "@larder/cache-core";
import type { ProcessContext } from "@larder/cache-testing";

/** The part of a cache that schedules use. */
type Used = Pick<
  ReadThroughCache<unknown>,
  "get" | "getOrSet" | "set" | "delete" | "clear" | "invalidate" | "invalidateTag" | "invalidateMatching" | "invalidateAll"
>;

const CHANNEL = "reference:invalidate";

/**
 * The design that most services write by hand, and that the reference system S1 has: a map with single flight; to invalidate, delete here
 * and publish the key; on a message of another process, delete; else trust the time to live. Here to show what the simulator makes of it.
 */
export function createReferenceDesign({ busPort, random, clock, ttlMs }: ProcessContext): ReadThroughCache<unknown> {
  const origin = random.token();
  const entries = new Map<string, { readonly value: unknown; readonly expiresAt: number }>();
  const flights = new Map<string, Promise<unknown>>();
  const drop = (kind: string, key: string): void => {
    if (kind === "key") entries.delete(key);
    else entries.clear();
  };
  busPort.open({
    onSubscribed: () => {},
    onLost: () => {},
    onMessage: (_, text) => {
      const message = decodeMessage(text);
      if (message && message.origin !== origin) drop(message.target.kind, message.target.kind === "key" ? message.target.key : "");
    },
  });
  busPort.subscribe([CHANNEL]);
  const tell = async (target: Parameters<typeof encodeBody>[1]): Promise<{ propagated: boolean; pending: number }> => {
    drop(target.kind, target.kind === "key" ? target.key : "");
    const subject = target.kind === "tag" ? target.tag : target.kind === "pattern" ? target.pattern : "";
    const args = [random.token(), "PUBLISH", CHANNEL, "1000", encodeBody(origin, target), target.kind, subject, "60000"];
    // Fire and forget, as the reference does: what fails is lost.
    busPort.run({ name: "append" }, ["reference:version", "reference:log", "reference:tag"], args, 50).catch(() => {});
    return { propagated: true, pending: 0 };
  };
  const get = (key: string): unknown => {
    const entry = entries.get(key);
    return entry && clock.now() < entry.expiresAt ? entry.value : undefined;
  };
  const load = async (key: string, loader: Loader<unknown>): Promise<unknown> => {
    const { signal } = new AbortController();
    const context = {
      key,
      signal,
      cancellation: signal,
      reason: "miss" as const,
      stale: undefined,
      setOptions: () => {},
      skipStore: () => {},
    };
    const value = await loader(context);
    entries.set(key, { value, expiresAt: clock.now() + ttlMs });
    return value;
  };
  const used: Used = {
    get,
    getOrSet: (key, loader): MaybePromise<unknown> => {
      const found = get(key);
      if (found !== undefined) return found;
      const flight = flights.get(key) ?? load(key, loader).finally(() => flights.delete(key));
      flights.set(key, flight);
      return flight;
    },
    set: async (key, value) => {
      const told = await tell({ kind: "key", key });
      entries.set(key, { value, expiresAt: clock.now() + ttlMs });
      return told.propagated;
    },
    delete: (key) => entries.delete(key),
    clear: () => entries.clear(),
    invalidate: (key) => tell({ kind: "key", key }),
    invalidateTag: (tag) => tell({ kind: "tag", tag }),
    invalidateMatching: (pattern) => tell({ kind: "pattern", pattern }),
    invalidateAll: () => tell({ kind: "all" }),
  };
  return used as ReadThroughCache<unknown>;
}
