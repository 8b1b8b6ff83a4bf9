// A process of its own that takes the lease of a key, says so, and then never ends its load.
import { RedisCache } from "../src/index.ts";
import { call } from "./support.ts";

const [url, keyPrefix] = process.argv.slice(2) as [string, string];
const cache = new RedisCache<string>({ url, namespace: "test", keyPrefix });
await cache.ready();
const reservation = await cache.reserve("key", true, call());
process.send?.(reservation?.lease);
setInterval(() => {}, 1_000);
