import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { freePort, waitUntil } from "@larder/cache-testing";
import type { TaskContext } from "../scenario.ts";
import { chatAnswer } from "../workload-values.ts";

// The servers of the gateway scenario, each in a process of its own: a bare node:http server that reads the body and answers a fixed one
// (the limit of a hit), an upstream that plays an OpenAI-compatible provider (the limit of a miss), and the gateways as programs.

/** Model name at which the upstream thinks for 50 ms first. */
export const SLOW_MODEL = "slow-50";
const SLOW_MS = 50;
const ANSWER_BYTES = 1024;
const CHUNKS = 20;
const START_MS = 30_000;

const answer = Buffer.from(JSON.stringify(chatAnswer(ANSWER_BYTES)));

const chunks: readonly string[] = [
  ...Array.from({ length: CHUNKS }, (_, index) => {
    const delta = index === 0 ? { role: "assistant", content: "" } : { content: `word${index} ` };
    return sseChunk(delta, null);
  }),
  sseChunk({}, "stop"),
  "data: [DONE]\n\n",
];

const wholeStream = Buffer.from(chunks.join(""));

function sseChunk(delta: unknown, finishReason: string | null): string {
  const chunk = {
    id: "chatcmpl-0",
    object: "chat.completion.chunk",
    created: 1_700_000_000,
    model: "gpt-4o-mini",
    choices: [{ index: 0, delta, finish_reason: finishReason }],
  };
  return `data: ${JSON.stringify(chunk)}\n\n`;
}

/** All of a request's body. */
export async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

/** Which of the two a plain server plays: the limit of a hit, which has its stream as one piece, or a provider, which makes it bit by bit. */
export type PlainPart = "bare" | "upstream";

async function respond(request: IncomingMessage, response: ServerResponse, part: PlainPart): Promise<void> {
  const body = await bodyOf(request);
  if (body.includes(SLOW_MODEL)) await new Promise((resolve) => setTimeout(resolve, SLOW_MS));
  if (!body.includes('"stream":true')) {
    response.writeHead(200, { "content-type": "application/json", "content-length": answer.length }).end(answer);
    return;
  }
  response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache" });
  if (part === "bare") {
    response.end(wholeStream);
    return;
  }
  for (const chunk of chunks) response.write(chunk);
  response.end();
}

/** Serves until the scenario is over, in the part that it is given. */
export async function plainServer(input: unknown, task: TaskContext): Promise<null> {
  const part = input as PlainPart;
  const server = createServer((request, response) => void respond(request, response, part).catch(() => response.destroy()));
  return serveUntilStopped(server, task);
}

/** Listens, tells the port, and ends with the scenario. */
export async function serveUntilStopped(server: Server, task: TaskContext): Promise<null> {
  server.keepAliveTimeout = 60_000;
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  task.send({ port: (server.address() as AddressInfo).port });
  await untilStopped(task);
  server.closeAllConnections();
  server.close();
  return null;
}

/** Which gateway to start, and in front of which upstream. */
export interface GatewayInput {
  readonly gateway: "larder" | "portkey";
  readonly upstreamPort: number;
  /** Portkey's folder. */
  readonly folder?: string;
  readonly redisUrl?: string;
}

/** Where the gateway's program is: `undefined` when it has not been built. */
export function larderProgram(): string | undefined {
  const program = join(dirname(createRequire(import.meta.url).resolve("@larder/gateway/package.json")), "dist/main.js");
  return existsSync(program) ? program : undefined;
}

/** Runs a gateway's program in an empty folder until the scenario is over. */
export async function gatewayServer(input: unknown, task: TaskContext): Promise<null> {
  const { gateway, upstreamPort, folder, redisUrl } = input as GatewayInput;
  const home = await mkdtemp(join(tmpdir(), "larder-bench-"));
  const port = await freePort();
  let program: ChildProcess | undefined;
  try {
    program = gateway === "larder" ? startLarder(home, port, upstreamPort, redisUrl) : startPortkey(home, port, folder!);
    const path = gateway === "larder" ? "/readyz" : "/";
    await waitUntil(
      `${gateway} on port ${port}`,
      () => {
        // An interrupted run kills this process soon, and the program would outlive it.
        task.signal.throwIfAborted();
        return isUp(`http://127.0.0.1:${port}${path}`, program!);
      },
      START_MS,
    );
    task.send({ port, pid: program.pid });
    await untilStopped(task);
  } finally {
    program?.kill("SIGKILL");
    await rm(home, { recursive: true, force: true });
  }
  return null;
}

/** The settings of larder's gateway in front of the bench's upstream: its defaults, but for what a row would not be comparable with. */
export function larderEnvironment(home: string, port: number, upstreamPort: number, redisUrl: string | undefined): NodeJS.ProcessEnv {
  return {
    PATH: process.env.PATH,
    HOME: home,
    HOST: "127.0.0.1",
    PORT: String(port),
    OPENAI_BASE_URL: `http://127.0.0.1:${upstreamPort}/v1`,
    OPENAI_API_KEY: "bench-key",
    LARDER_AUTH: "none",
    // The bench never leaves this machine, and a sync begins at once, whatever its interval.
    LARDER_SYNC_SOURCES: "none",
    // Nothing stands in front of it that would have to hear of its end first.
    LARDER_DRAIN_GRACE: "0s",
    LARDER_CACHE_MAX_ENTRIES: "10000",
    NODE_ENV: "production",
    ...(redisUrl ? { REDIS_URL: redisUrl } : {}),
  };
}

function startLarder(home: string, port: number, upstreamPort: number, redisUrl: string | undefined): ChildProcess {
  const env = larderEnvironment(home, port, upstreamPort, redisUrl);
  return spawn(process.execPath, [larderProgram()!], { cwd: home, env, stdio: "ignore" });
}

function startPortkey(home: string, port: number, folder: string): ChildProcess {
  const env = { PATH: process.env.PATH, HOME: home, NODE_ENV: "production" };
  return spawn(process.execPath, [join(folder, "build/start-server.js"), `--port=${port}`, "--headless"], {
    cwd: home,
    env,
    stdio: "ignore",
  });
}

async function isUp(url: string, program: ChildProcess): Promise<boolean> {
  if (program.exitCode !== null) throw new Error(`the program ended with code ${program.exitCode} while starting`);
  try {
    const response = await fetch(url);
    await response.arrayBuffer();
    return response.status < 500;
  } catch {
    return false;
  }
}

function untilStopped(task: TaskContext): Promise<void> {
  if (task.signal.aborted) return Promise.resolve();
  return new Promise((resolve) => task.signal.addEventListener("abort", () => resolve(), { once: true }));
}
