import { EventEmitter } from "node:events";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { Cluster, Redis } from "ioredis";
import { expect, test } from "vitest";
import { IoredisPort } from "./ioredis-port.ts";

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

// Regression: a node that is away comes and goes with every attempt to reach it, and each was kept until the cache was closed.
test("forgets the nodes of a cluster that are gone, and listens no more to those that are there when it is closed", async () => {
  const there = new EventEmitter();
  const cluster = Object.assign(new EventEmitter(), { isCluster: true, status: "connecting", options: {}, nodes: () => [there] });
  const port = new IoredisPort(cluster as unknown as Cluster, false);
  port.open({ onUp: () => {}, onDown: () => {}, onMessage: () => {}, onSubscriptionsLost: () => {} });
  const gone = Array.from({ length: 100 }, () => {
    const node = new EventEmitter();
    cluster.emit("+node", node);
    expect(node.listenerCount("error")).toBe(1);
    cluster.emit("-node", node);
    return new WeakRef(node);
  });
  await new Promise(setImmediate);
  collectGarbage();
  expect(gone.filter((node) => node.deref() !== undefined)).toHaveLength(0);
  expect(there.listenerCount("ready")).toBe(1);
  port.close();
  expect([there.eventNames(), cluster.eventNames()]).toEqual([[], []]);
});

// ioredis writes an error to the console that nobody listens for, be it that of a connection that is being ended.
test("a connection for wakes that breaks while it is ended has somebody who listens", async () => {
  const subscriber = Object.assign(new EventEmitter(), { status: "ready", subscribe: async () => 1, disconnect: () => {} });
  const client = Object.assign(new EventEmitter(), { status: "connecting", options: {}, duplicate: () => subscriber });
  const port = new IoredisPort(client as unknown as Redis, false);
  await port.subscribe("channel");
  port.close();
  expect(() => subscriber.emit("error", new Error("write ECONNRESET"))).not.toThrow();
});
