import type { LoadRequest } from "../load-generator.ts";
import { UNIQUE } from "../load-generator.ts";
import { type LoadedPeer, PeerUnavailable } from "../peers.ts";
import type { Role, ScenarioContext, UnavailableContender } from "../scenario.ts";
import type { RelayInput } from "./gateway-relay.ts";
import type { GatewayInput, PlainPart } from "./gateway-servers.ts";

export const BARE = "bare node:http";
export const UPSTREAM = "upstream asked directly";
/** A second limit for misses: what a gateway on node:http and undici does at least. */
const RELAY = "bare relay (node:http, undici)";
export const PORTKEY = "@portkey-ai/gateway";
export const REQUEST_BYTES = 600;
/** Longer than the longest soak. */
const SERVER_TIMEOUT_MS = 12 * 3_600_000;

/** Who is asked, and with what. */
export interface AskedServer {
  readonly name: string;
  readonly role: Role;
  readonly version?: string;
  readonly request: LoadRequest;
}

/** The body of a chat request of about `REQUEST_BYTES`. */
export function chatBody(fields: { readonly model?: string; readonly stream?: boolean; readonly isUnique?: boolean }): string {
  const { model = "gpt-4o-mini", stream = false, isUnique = false } = fields;
  const filler = "Answer as shortly as you can. ".repeat(20).slice(0, REQUEST_BYTES - 200);
  const content = isUnique ? `What is ${UNIQUE}?` : "What is a larder?";
  return JSON.stringify({
    model,
    messages: [
      { role: "system", content: filler },
      { role: "user", content },
    ],
    temperature: 0,
    ...(stream ? { stream } : {}),
  });
}

/** A server in a process of its own. */
export interface RunningServer {
  readonly port: number;
  /** Of the process that answers. */
  readonly pid: number;
  stop(): Promise<void>;
}

/** Starts the task and waits for its port. What is not stopped before ends with the scenario. */
function startServer(context: ScenarioContext, task: string, input: unknown): Promise<RunningServer> {
  return new Promise((resolve, reject) => {
    const running = context.runTask<null>(task, input, {
      timeoutMs: SERVER_TIMEOUT_MS,
      onMessage: (message) => {
        const { port, pid } = message as { port: number; pid?: number };
        resolve({ port, pid: pid ?? running.pid, stop: () => running.stop() });
      },
    });
    running.result.catch(reject);
  });
}

/** Starts one more gateway. */
export function startGateway(context: ScenarioContext, input: GatewayInput): Promise<RunningServer> {
  return startServer(context, "gateway", input);
}

/** A chat request to a server of the fleet. */
export const requestTo = (port: number, body: string, headers: Readonly<Record<string, string>> = {}): LoadRequest => ({
  url: `http://127.0.0.1:${port}/v1/chat/completions`,
  headers: { "content-type": "application/json", authorization: "Bearer bench-key", ...headers },
  body,
});

/** The servers of the scenario. */
export interface Fleet {
  readonly bare: number;
  readonly upstream: number;
  readonly relay: number;
  readonly larder: number;
  readonly portkey: { readonly port: number; readonly version: string; readonly headers: Record<string, string> } | undefined;
  readonly unavailable: UnavailableContender[];
}

/** Starts all servers; a peer that cannot be there is told, and larder that cannot is an error. */
export async function startFleet(context: ScenarioContext): Promise<Fleet> {
  const unavailable: UnavailableContender[] = [];
  const [{ port: bare }, { port: upstream }] = await Promise.all([
    startServer(context, "plain", "bare" satisfies PlainPart),
    startServer(context, "plain", "upstream" satisfies PlainPart),
  ]);
  const { port: relay } = await startServer(context, "relay", { upstreamPort: upstream } satisfies RelayInput);
  const { port: larder } = await startGateway(context, { gateway: "larder", upstreamPort: upstream });
  let portkey: Fleet["portkey"];
  try {
    const peer: LoadedPeer = await context.peers.load(PORTKEY);
    const { port } = await startGateway(context, { gateway: "portkey", upstreamPort: upstream, folder: peer.folder });
    const headers = { "x-portkey-provider": "openai", "x-portkey-custom-host": `http://127.0.0.1:${upstream}/v1` };
    portkey = { port, version: peer.version, headers };
  } catch (error) {
    context.signal.throwIfAborted();
    const isMissing = error instanceof PeerUnavailable;
    unavailable.push({
      contender: PORTKEY,
      why: isMissing ? error.message : "did not start",
      install: isMissing ? error.install : "see its own output",
    });
  }
  return { bare, upstream, relay, larder, portkey, unavailable };
}

/** Who can answer a repeated request at once. */
export function hitTargets(fleet: Fleet, body: string): AskedServer[] {
  return [
    { name: BARE, role: "limit", request: requestTo(fleet.bare, body) },
    { name: "larder", role: "ours", request: requestTo(fleet.larder, body) },
  ];
}

/** Who has to ask the upstream, and the upstream itself. */
export function missTargets(fleet: Fleet, body: string): AskedServer[] {
  const { portkey } = fleet;
  return [
    { name: UPSTREAM, role: "limit", request: requestTo(fleet.upstream, body) },
    { name: RELAY, role: "limit", request: requestTo(fleet.relay, body) },
    { name: "larder", role: "ours", request: requestTo(fleet.larder, body) },
    ...(portkey
      ? [{ name: PORTKEY, role: "peer" as const, version: portkey.version, request: requestTo(portkey.port, body, portkey.headers) }]
      : []),
  ];
}
