import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { Pool } from "undici";
import type { TaskContext } from "../scenario.ts";
import { bodyOf, serveUntilStopped } from "./gateway-servers.ts";

/** Which upstream to pass requests on to. */
export interface RelayInput {
  readonly upstreamPort: number;
}

/**
 * What any gateway on Node does at least for a miss, and nothing else: reads the body, sends it on through a pool of connections, and passes the answer's
 * bytes on as they come. It parses, checks, counts and keeps nothing. What lies between this and the upstream is Node's part of a miss.
 */
export function relayServer(input: unknown, task: TaskContext): Promise<null> {
  const pool = new Pool(`http://127.0.0.1:${(input as RelayInput).upstreamPort}`, { connections: 1_024 });
  const server = createServer((request, response) => void relay(pool, request, response).catch(() => response.destroy()));
  return serveUntilStopped(server, task).finally(() => pool.destroy());
}

async function relay(pool: Pool, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = await bodyOf(request);
  const headers = { "content-type": "application/json", authorization: request.headers.authorization };
  await pool.stream({ method: "POST", path: request.url ?? "/", headers, body }, ({ statusCode, headers: answered }) => {
    for (const name of ["content-type", "content-length"]) {
      const value = answered[name];
      if (value !== undefined) response.setHeader(name, value);
    }
    return response.writeHead(statusCode);
  });
}
