import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pino from "pino";
import { createSettings } from "../../src/config/read-settings.ts";
import { type RunningGateway, startGateway } from "../../src/start-gateway.ts";
import { FixtureUpstream } from "./upstream.ts";

/** A gateway in this process, with a fixture behind it. */
export interface Bed {
  readonly upstream: FixtureUpstream;
  readonly gateway: RunningGateway;
  /** The gateway's address without a slash at its end. */
  readonly url: string;
  readonly directory: string;
  /** Everything logged so far. */
  readonly logs: string[];
  /** Posts JSON. */
  post(path: string, body: unknown, headers?: Record<string, string>): Promise<Response>;
  /** Calls the administration. */
  admin(method: string, path: string, body?: unknown): Promise<Response>;
  /** Starts another gateway with the same database. */
  peer(settings?: Parameters<typeof createSettings>[0]): Promise<Bed>;
  close(): Promise<void>;
}

/** The admin token of every test gateway. */
export const ADMIN_TOKEN = "test-admin-token-0123456789";
const KEY = "sk-upstream-canary-7f3a9c";

/** Starts a gateway over a fixture upstream, on free ports, with a folder of its own. */
export async function startBed(
  settings: Parameters<typeof createSettings>[0] = {},
  shared?: { upstream: FixtureUpstream; directory: string },
): Promise<Bed> {
  const upstream = shared?.upstream ?? (await FixtureUpstream.start());
  const directory = shared?.directory ?? mkdtempSync(join(tmpdir(), "larder-gateway-"));
  const logs: string[] = [];
  const log = pino({ level: "debug" }, { write: (line: string) => void logs.push(line) });
  const all = {
    port: 0,
    adminToken: ADMIN_TOKEN,
    openaiBaseUrl: upstream.url,
    openaiApiKey: KEY,
    upstreamRetries: 0,
    syncSources: ["none"],
    ...settings,
  };
  const clear = async (): Promise<void> => {
    if (shared) return;
    await upstream.close();
    rmSync(directory, { recursive: true, force: true });
  };
  let gateway: Awaited<ReturnType<typeof startGateway>>;
  try {
    gateway = await startGateway(createSettings(all), { directory, log });
  } catch (error) {
    await clear();
    throw error;
  }
  const { url } = gateway;
  const send = (method: string, path: string, body: unknown, headers: Record<string, string>): Promise<Response> =>
    fetch(url + path, {
      method,
      headers: { "content-type": "application/json", ...headers },
      ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
    });
  return {
    upstream,
    gateway,
    url,
    directory,
    logs,
    post: (path, body, headers = {}) => send("POST", path, body, headers),
    admin: (method, path, body) => send(method, path, body, { authorization: `Bearer ${ADMIN_TOKEN}` }),
    peer: (more = {}) => startBed({ ...settings, ...more }, { upstream, directory }),
    close: async () => {
      await gateway.close();
      await clear();
    },
  };
}

/** A chat request that no other test makes. */
export function chat(text: string, more: Record<string, unknown> = {}): Record<string, unknown> {
  return { model: "fixture-model", messages: [{ role: "user", content: text }], ...more };
}

/** Resolves when a condition holds, looked at after every turn of the event loop; rejects when it does not within 15 s. */
export async function until(holds: () => boolean): Promise<void> {
  const giveUpAt = performance.now() + 15_000;
  while (!holds()) {
    if (performance.now() > giveUpAt) throw new Error(`did not come true: ${holds.toString()}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** A promise and what resolves it. */
export function gate(): { readonly opened: Promise<void>; open(): void } {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open: () => open() };
}
