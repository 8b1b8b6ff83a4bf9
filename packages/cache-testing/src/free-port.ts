import { createServer } from "node:net";

/** Cluster nodes also listen on port + 10000, so ports above this one are no use to them. */
const HIGHEST_PORT = 55_535;
const CLUSTER_BUS_OFFSET = 10_000;

function listenOn(port: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const probe = createServer().once("error", () => resolve(undefined));
    probe.listen(port, "127.0.0.1", () => {
      const address = probe.address();
      const bound = typeof address === "object" && address !== null ? address.port : undefined;
      probe.close(() => resolve(bound));
    });
  });
}

/** A TCP port on 127.0.0.1 that nobody listens on now, and whose cluster bus port (+ 10000) is free too. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = await listenOn(0);
    if (port !== undefined && port <= HIGHEST_PORT && (await listenOn(port + CLUSTER_BUS_OFFSET)) !== undefined) return port;
  }
}
