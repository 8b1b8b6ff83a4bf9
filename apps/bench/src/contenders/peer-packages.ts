/** Where a peer comes from: pinned, so that a figure names what it measured. All run on Node 20.19. */
export interface PeerPackage {
  /** Name on npm; differs from the peer's name only where that is longer than anybody says. */
  readonly package: string;
  readonly version: string;
  /** What else is installed beside it: its own peers and drivers. */
  readonly beside?: Readonly<Record<string, string>>;
  /** Versions forced on its dependencies, with the reason in a comment. */
  readonly overrides?: Readonly<Record<string, string>>;
}

const ioredis = { ioredis: "5.11.1" };

/** Every peer by the name that rows show. */
export const peerPackages: Readonly<Record<string, PeerPackage>> = {
  "lru-cache": { package: "lru-cache", version: "11.5.3" },
  "quick-lru": { package: "quick-lru", version: "7.3.0" },
  "tiny-lru": { package: "tiny-lru", version: "13.1.0" },
  mnemonist: { package: "mnemonist", version: "0.40.8" },
  "sieve-cache": { package: "@neophi/sieve-cache", version: "1.5.0" },
  "@isaacs/ttlcache": { package: "@isaacs/ttlcache", version: "2.1.5" },
  transitory: { package: "transitory", version: "2.2.0" },
  bentocache: { package: "bentocache", version: "1.6.1", beside: ioredis },
  cacheable: { package: "cacheable", version: "2.5.0", beside: { "@keyv/redis": "5.1.6", "@qified/redis": "0.10.1" } },
  // keyv 6 asks for Node 22.19.
  "cache-manager": { package: "cache-manager", version: "7.2.9", beside: { keyv: "5.6.0", "@keyv/redis": "5.1.6", cacheable: "2.5.0" } },
  keyv: { package: "keyv", version: "5.6.0", beside: { "@keyv/redis": "5.1.6" } },
  // 15 and newer ask for Node 22.
  "layered-loader": { package: "layered-loader", version: "14.2.2", beside: ioredis },
  "async-cache-dedupe": { package: "async-cache-dedupe", version: "3.4.0", beside: ioredis },
  unstorage: { package: "unstorage", version: "1.17.6", beside: ioredis },
  "safe-stable-stringify": { package: "safe-stable-stringify", version: "2.5.0" },
  "fast-json-stable-stringify": { package: "fast-json-stable-stringify", version: "2.1.0" },
  canonicalize: { package: "canonicalize", version: "2.1.0" },
  ioredis: { package: "ioredis", version: "5.11.1" },
  redis: { package: "redis", version: "6.3.1" },
  autocannon: { package: "autocannon", version: "8.0.0" },
  // As published it resolves to a hono whose response headers are immutable, and every stream answers 500; these are its lockfile's.
  "@portkey-ai/gateway": {
    package: "@portkey-ai/gateway",
    version: "1.15.2",
    overrides: { hono: "4.9.7", "@hono/node-server": "1.13.5" },
  },
};
