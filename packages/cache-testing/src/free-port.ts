import { createServer } from "node:net";
import { systemRandom } from "@larder/cache-core";

/**
 * Ports below those that systems give to outgoing connections (from 32768 on, elsewhere from 49152), the cluster bus included: a server that is
 * killed and started again must find its port free, and on a busy machine some client had taken it.
 */
const LOWEST_PORT = 12_000;
const HIGHEST_PORT = 22_000;
/** Cluster nodes also listen on this much above their port. */
const CLUSTER_BUS_OFFSET = 10_000;

/** Ports given lately: who asked for one may not listen on it yet. */
const given: Set<number> = new Set();
const REMEMBERED = 1_000;

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer().once("error", () => resolve(false));
    probe.listen(port, "127.0.0.1", () => probe.close(() => resolve(true)));
  });
}

/** A TCP port on 127.0.0.1 that nobody listens on now, nor was given lately, and whose cluster bus port (+ 10000) is free too. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = LOWEST_PORT + Math.floor(systemRandom.next() * (HIGHEST_PORT - LOWEST_PORT));
    if (given.has(port)) continue;
    if (given.size >= REMEMBERED) given.clear();
    given.add(port);
    if ((await isFree(port)) && (await isFree(port + CLUSTER_BUS_OFFSET))) return port;
  }
}
