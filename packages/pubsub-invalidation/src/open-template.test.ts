import { parseRedisUrl } from "@larder/cache-core";
import * as ioredis from "ioredis";
import { expect, it, vi } from "vitest";
import { openTemplate } from "./open-template.ts";

// Regression: the certificate of a cluster's node is for its name, and was held against its address. No such cluster could be used by its URL.
it("reaches the nodes of a cluster over TLS by their names, in the connections that are made from it, too", () => {
  const template = openTemplate(ioredis, parseRedisUrl("rediss://user:secret@localhost:1,localhost:2")) as ioredis.Cluster;
  expect(template.options.redisOptions).toMatchObject({ username: "user", password: "secret", tls: {} });
  for (const client of [template, template.duplicate([], { lazyConnect: true })]) {
    const found = vi.fn();
    client.options.dnsLookup?.("localhost", found);
    expect(found).toHaveBeenCalledExactlyOnceWith(null, "localhost");
  }
});

// Regression: they were spoken to in clear, password included, and so was the master that they named.
it("speaks TLS to sentinels of a rediss URL, and to the master that they name", () => {
  const template = openTemplate(ioredis, parseRedisUrl("rediss+sentinel://:secret@localhost:1/main"));
  expect(template.options).toMatchObject({ name: "main", tls: {}, sentinelTLS: {}, enableTLSForSentinelMode: true });
});
