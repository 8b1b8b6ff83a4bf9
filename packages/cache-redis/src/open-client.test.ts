import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import type { Cluster, Redis } from "ioredis";
import { afterEach, expect, test, vi } from "vitest";
import { openClient } from "./open-client.ts";

const opened: Array<Redis | Cluster> = [];
afterEach(() => {
  for (const client of opened.splice(0)) client.on("error", () => {}).disconnect();
});

function open(url: string): Redis | Cluster {
  const client = openClient(url);
  client.on("error", () => {});
  opened.push(client);
  return client;
}

test("reads host, port, database and credentials of one server", () => {
  expect(open("redis://us%40er:p%3Ass@127.0.0.1:1/3").options).toMatchObject({
    host: "127.0.0.1",
    port: 1,
    db: 3,
    username: "us@er",
    password: "p:ss",
  });
  expect(open("redis://:only-password@127.0.0.1:1").options).toMatchObject({ password: "only-password" });
  expect(open("rediss://127.0.0.1:1").options).toMatchObject({ tls: {} });
  expect(open("redis://[::1]:1").options).toMatchObject({ host: "::1", port: 1 });
});

test("reads a list as a cluster and sentinels by their master's name", () => {
  expect(open("redis://127.0.0.1:1,127.0.0.1:2").isCluster).toBe(true);
  expect(open("redis+sentinel://127.0.0.1:1,127.0.0.1/main/2").options).toMatchObject({
    name: "main",
    db: 2,
    sentinels: [
      { host: "127.0.0.1", port: 1 },
      { host: "127.0.0.1", port: 26_379 },
    ],
  });
});

// Regression: they were spoken to in clear, password included, and so was the master that they named.
test("speaks TLS to sentinels of a rediss URL, and to the master that they name", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const client = open(`rediss+sentinel://:secret@127.0.0.1:${(server.address() as AddressInfo).port}/main`);
  const [socket] = (await once(server, "connection")) as [Socket];
  const [first] = (await once(socket, "data")) as [Buffer];
  // The record type of a TLS handshake.
  expect(first[0]).toBe(0x16);
  expect(client.options).toMatchObject({ tls: {}, enableTLSForSentinelMode: true });
  client.disconnect();
  socket.destroy();
  server.close();
});

// Regression: the certificate of a cluster's node is for its name, and was held against its address. No such cluster could be used by its URL.
test("reaches the nodes of a cluster over TLS by their names", () => {
  const { dnsLookup } = (open("rediss://localhost:1,localhost:2") as Cluster).options;
  const found = vi.fn();
  dnsLookup?.("localhost", found);
  expect(found).toHaveBeenCalledExactlyOnceWith(null, "localhost");
});

test("never queues, never repeats: the cache decides", () => {
  expect(open("redis://127.0.0.1:1").options).toMatchObject({
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
  });
});

test.each([
  "",
  "http://host",
  "redis://",
  "redis://host:99999",
  "redis://host/db",
  "redis://a,b/3",
  "redis+sentinel://host",
  "redis://:CANARY@ho st",
  "redis://:CANARY%zz@host",
])("refuses %j, says what it expected, and quotes no password", (url) => {
  expect(() => open(url)).toThrow(/expected redis:/);
  expect(() => open(url)).not.toThrow(/CANARY/);
});
