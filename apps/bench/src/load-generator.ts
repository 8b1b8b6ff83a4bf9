import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Peers, PeerUnavailable } from "./peers.ts";
import { ScenarioUnavailable } from "./scenario.ts";

/** What is asked of a server. */
export interface LoadRequest {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** The body of every request. `UNIQUE` in it is replaced by another number each time. */
  readonly body: string;
}

/** How long and how hard. */
export interface LoadShape {
  readonly connections: number;
  readonly seconds: number;
}

/** What a closed loop saw: each connection sends its next request when the last is answered. */
export interface LoadResult {
  readonly requestsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Answers that were no 2xx, and requests without one. */
  readonly failures: number;
}

/** Replaced in a body by a number that no other request has. */
export const UNIQUE = "{{unique}}";

/** A program that sends load. */
export interface LoadGenerator {
  readonly name: string;
  run(request: LoadRequest, shape: LoadShape, signal: AbortSignal): Promise<LoadResult>;
}

const hasProgram = (name: string): boolean => spawnSync("sh", ["-c", `command -v ${name}`]).status === 0;

/** `wrk` where it is installed, since it takes the least from the server under test; else autocannon. @throws {ScenarioUnavailable} without both */
export async function pickLoadGenerator(peers: Peers): Promise<LoadGenerator> {
  if (hasProgram("wrk")) return { name: "wrk", run: runWrk };
  const peer = await peers.load("autocannon").catch((error: unknown) => {
    if (!(error instanceof PeerUnavailable)) throw error;
    throw new ScenarioUnavailable(`there is no wrk, and autocannon ${error.message}`, `install wrk; else ${error.install}`);
  });
  return {
    name: `autocannon ${peer.version}`,
    run: (request, shape, signal) => runAutocannon(join(peer.folder, "autocannon.js"), request, shape, signal),
  };
}

async function capture(program: string, args: readonly string[], signal: AbortSignal): Promise<string> {
  const running = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], signal, killSignal: "SIGKILL" });
  let text = "";
  running.stdout.on("data", (chunk: Buffer) => {
    text += chunk.toString();
  });
  let trouble = "";
  running.stderr.on("data", (chunk: Buffer) => {
    trouble += chunk.toString();
  });
  await once(running, "close");
  // wrk goes on without a script that it cannot read, and would measure something else.
  if (trouble.includes(".lua:")) throw new Error(`${program} could not run its script: ${trouble.split(".lua:").pop()?.trim()}`);
  return text;
}

/** A Lua string in which nothing needs escaping. */
function luaString(text: string): string {
  let level = "";
  while (text.includes(`]${level}]`)) level += "=";
  return `[${level}[${text}]${level}]`;
}

function wrkScript({ headers, body }: LoadRequest): string {
  const [before = "", after] = body.split(UNIQUE);
  const lines = [
    'wrk.method = "POST"',
    ...Object.entries(headers).map(([name, value]) => `wrk.headers[ ${luaString(name)} ] = ${luaString(value)}`),
  ];
  if (after === undefined) return [...lines, `wrk.body = ${luaString(body)}`].join("\n");
  return [
    ...lines,
    // The thread's own random start keeps runs of one gateway from repeating each other's bodies.
    "local counter = 0",
    `local run = ${luaString(`${process.pid}-${performance.now()}`)}`,
    `local before, after = ${luaString(before)}, ${luaString(after)}`,
    "request = function()",
    "  counter = counter + 1",
    '  return wrk.format(nil, nil, nil, before .. run .. "-" .. counter .. after)',
    "end",
  ].join("\n");
}

const UNITS: Readonly<Record<string, number>> = { us: 0.001, ms: 1, s: 1000, m: 60_000 };

function wrkTime(text: string, line: RegExp): number {
  const found = line.exec(text);
  return found ? Number(found[1]) * (UNITS[found[2]!] ?? 1) : Number.NaN;
}

async function runWrk(request: LoadRequest, { connections, seconds }: LoadShape, signal: AbortSignal): Promise<LoadResult> {
  const folder = await mkdtemp(join(tmpdir(), "larder-bench-"));
  try {
    const script = join(folder, "request.lua");
    await writeFile(script, wrkScript(request));
    const text = await capture(
      "wrk",
      ["-t1", `-c${connections}`, `-d${seconds}s`, "--latency", "--timeout", "10s", "-s", script, request.url],
      signal,
    );
    const numberIn = (line: RegExp): number => Number(line.exec(text)?.[1] ?? 0);
    const errors = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(text)?.slice(1).map(Number) ?? [];
    return {
      requestsPerSecond: numberIn(/Requests\/sec:\s+([\d.]+)/),
      p50Ms: wrkTime(text, /50%\s+([\d.]+)(us|ms|s|m)\b/),
      p99Ms: wrkTime(text, /99%\s+([\d.]+)(us|ms|s|m)\b/),
      failures: numberIn(/Non-2xx or 3xx responses:\s+(\d+)/) + errors.reduce((sum, count) => sum + count, 0),
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

interface AutocannonResult {
  readonly requests: { readonly average: number };
  readonly latency: { readonly p50: number; readonly p99: number };
  readonly non2xx: number;
  readonly errors: number;
}

async function runAutocannon(
  program: string,
  request: LoadRequest,
  { connections, seconds }: LoadShape,
  signal: AbortSignal,
): Promise<LoadResult> {
  const headers = Object.entries(request.headers).flatMap(([name, value]) => ["-H", `${name}=${value}`]);
  const isUnique = request.body.includes(UNIQUE);
  const body = request.body.replace(UNIQUE, "[<id>]");
  const args = [
    program,
    "-c",
    String(connections),
    "-d",
    String(seconds),
    "-m",
    "POST",
    ...headers,
    "-b",
    body,
    ...(isUnique ? ["-I"] : []),
    "--json",
    request.url,
  ];
  const result = JSON.parse(await capture(process.execPath, args, signal)) as AutocannonResult;
  return {
    requestsPerSecond: result.requests.average,
    p50Ms: result.latency.p50,
    p99Ms: result.latency.p99,
    failures: result.non2xx + result.errors,
  };
}
