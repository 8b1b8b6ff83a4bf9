import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { singleCell } from "../measure.ts";
import type { Cell, Row, ScenarioContext, Table, Target } from "../scenario.ts";
import { chatAnswer } from "../workload-values.ts";
import { chatBody, type Fleet, PORTKEY, requestTo, startGateway } from "./gateway-fleet.ts";

const UPSTREAM_MS = 300;
const ANSWER_BYTES = 1024;
const LARDER = "larder";

interface Rush {
  readonly id: string;
  readonly title: string;
  readonly callers: number;
  readonly processes: 1 | 2;
  readonly stream: boolean;
}

const rushes: readonly Rush[] = [
  { id: "plain-20", title: "20 at once", callers: 20, processes: 1, stream: false },
  { id: "stream-20", title: "20 streams at once", callers: 20, processes: 1, stream: true },
  { id: "plain-40", title: "40 on two processes", callers: 40, processes: 2, stream: false },
];

/** An upstream that counts what it is asked. */
class CountingUpstream {
  calls = 0;
  readonly #server: Server;

  constructor() {
    const answer = JSON.stringify(chatAnswer(ANSWER_BYTES));
    this.#server = createServer(async (request, response) => {
      const parts: Buffer[] = [];
      for await (const part of request) parts.push(part as Buffer);
      this.calls += 1;
      await new Promise((resolve) => setTimeout(resolve, UPSTREAM_MS));
      if (!Buffer.concat(parts).includes('"stream":true')) {
        response.writeHead(200, { "content-type": "application/json" }).end(answer);
        return;
      }
      response.writeHead(200, { "content-type": "text/event-stream" });
      const chunk = (delta: object, finishReason: string | null): string =>
        `data: ${JSON.stringify({ id: "chatcmpl-0", object: "chat.completion.chunk", created: 1_700_000_000, model: "gpt-4o-mini", choices: [{ index: 0, delta, finish_reason: finishReason }] })}\n\n`;
      response.write(chunk({ role: "assistant", content: "word" }, null));
      response.end(`${chunk({}, "stop")}data: [DONE]\n\n`);
    });
  }

  async listen(): Promise<number> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return (this.#server.address() as AddressInfo).port;
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

/** Sends the same request from all callers at once. @returns how many got an answer */
async function rush(
  ports: readonly number[],
  { id, callers, stream }: Rush,
  headers: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<number> {
  const body = chatBody({ model: `rush-${id}`, stream });
  const answers = await Promise.all(
    Array.from({ length: callers }, async (_, index) => {
      const request = requestTo(ports[index % ports.length]!, body, headers);
      try {
        const response = await fetch(request.url, { method: "POST", headers: request.headers, body: request.body, signal });
        return response.ok && (await response.text()).length > 0;
      } catch {
        return false;
      }
    }),
  );
  signal.throwIfAborted();
  return answers.filter(Boolean).length;
}

async function rowOf(
  contender: { readonly name: string; readonly role: Row["role"]; readonly version?: string },
  ports: readonly number[],
  headers: Readonly<Record<string, string>>,
  upstream: CountingUpstream,
  context: ScenarioContext,
): Promise<Row> {
  const cells: Record<string, Cell> = {};
  for (const each of rushes) {
    if (each.processes > ports.length) {
      cells[each.id] = { kind: "missing", why: contender.role === "ours" ? "there is no Redis to start" : "its processes share nothing" };
      continue;
    }
    upstream.calls = 0;
    const served = await rush(ports.slice(0, each.processes), each, headers, context.signal);
    cells[each.id] = singleCell(upstream.calls, served === each.callers ? undefined : `${each.callers - served} got no answer`);
  }
  const { name, role, version } = contender;
  return { contender: name, role, ...(version === undefined ? {} : { version }), cells };
}

/** One call, and an answer for everyone: a call that one of twenty is answered from saves nothing. */
export function targetsOf(row: Row): Target[] {
  return rushes.flatMap(({ id }) => {
    const cell = row.cells[id];
    if (cell?.kind !== "measured") return [];
    const isMet = cell.median === 1 && cell.note === undefined;
    return [{ contender: LARDER, column: id, text: `1 upstream call (${cell.median})`, isMet }];
  });
}

/** How many calls reach the upstream when many ask for the same at once, in one process and, where there is one, in two that share a Redis. */
export async function measureSharing(fleet: Fleet, context: ScenarioContext): Promise<Table> {
  context.progress.update(0.92, "identical requests at once");
  const upstream = new CountingUpstream();
  const upstreamPort = await upstream.listen();
  const redis = context.redis.isAvailable() ? await context.redis.start() : undefined;
  try {
    const input = { gateway: LARDER, upstreamPort, ...(redis ? { redisUrl: redis.url } : {}) } as const;
    const larders = await Promise.all(Array.from({ length: redis ? 2 : 1 }, () => startGateway(context, input)));
    const ports = larders.map(({ port }) => port);
    const rows = [await rowOf({ name: LARDER, role: "ours" }, ports, {}, upstream, context)];
    if (fleet.portkey) {
      const headers = { ...fleet.portkey.headers, "x-portkey-custom-host": `http://127.0.0.1:${upstreamPort}/v1` };
      const peer = { name: PORTKEY, role: "peer", version: fleet.portkey.version } as const;
      rows.push(await rowOf(peer, [fleet.portkey.port], headers, upstream, context));
    }
    for (const { stop } of larders) await stop();
    return {
      id: "identical",
      title: `Identical requests at once, an upstream that takes ${UPSTREAM_MS} ms: calls that reach it`,
      columns: rushes.map(({ id, title }) => ({ id, title, unit: "calls", better: "lower" as const })),
      rows,
      unavailable: fleet.unavailable,
      targets: targetsOf(rows[0]!),
    };
  } finally {
    upstream.close();
    await redis?.stop();
  }
}
