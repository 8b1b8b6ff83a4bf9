import * as crypto from "node:crypto";
import { KeyScopes, RawBodyAlias, readRequest, requestKey } from "@larder/cache-core/keys";
import { chatBody, type TextKind } from "../chat-bodies.ts";
import { type BatchContender, type Measurement, measureInterleaved, type Named, toMeasurements, toRows } from "../measure.ts";
import { PeerUnavailable } from "../peers.ts";
import { linesOverColumns } from "../plots.ts";
import type { Scenario, ScenarioContext, ScenarioResult, Table, Target, UnavailableContender } from "../scenario.ts";

const SIZES = [1_000, 10_000, 100_000] as const;
const BODIES = 16;
const HASH = "sha256 of the bytes";
const SORTED = "sort + JSON.stringify + sha256";
const KEY = "larder key";
const BODY = "larder key and parsed body";
const ALIAS = "larder alias";
const ALIAS_WITH_SCOPE = "larder alias, tenant and headers looked up";

type OneShot = (algorithm: string, data: string | Uint8Array, encoding: "hex") => string;
const oneShot = (crypto as { readonly hash?: OneShot }).hash;

/** The quickest SHA-256 this Node has: what all contenders but larder, which brings its own, are given. */
function sha256(data: string | Uint8Array): string {
  return oneShot === undefined ? crypto.createHash("sha256").update(data).digest("hex") : oneShot("sha256", data, "hex");
}

function sortNames(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortNames);
  if (typeof value !== "object" || value === null) return value;
  const object = value as Readonly<Record<string, unknown>>;
  const sorted: Record<string, unknown> = {};
  for (const name of Object.keys(object).sort()) sorted[name] = sortNames(object[name]);
  return sorted;
}

/** What an OpenAI client sends; the headers that are part of a key are among none of them. */
const headers: Readonly<Record<string, string>> = {
  host: "127.0.0.1:8787",
  connection: "keep-alive",
  accept: "application/json",
  "accept-encoding": "gzip,deflate",
  "accept-language": "*",
  authorization: "Bearer larder-0123456789abcdef",
  "content-type": "application/json",
  "content-length": "1000",
  "user-agent": "OpenAI/JS 6.1.0",
  "x-stainless-lang": "js",
  "x-stainless-package-version": "6.1.0",
  "x-stainless-os": "Linux",
  "x-stainless-arch": "x64",
  "x-stainless-runtime": "node",
  "x-stainless-retry-count": "0",
};

/** A contender before it knows its bodies. */
interface KeyContender extends Named {
  readonly toKey: (body: Buffer) => unknown;
}

interface Peer {
  readonly name: string;
  readonly export: string;
}

const peers: readonly Peer[] = [
  { name: "safe-stable-stringify", export: "stringify" },
  { name: "fast-json-stable-stringify", export: "default" },
  { name: "canonicalize", export: "default" },
];

async function loadPeers(context: ScenarioContext): Promise<{ contenders: KeyContender[]; unavailable: UnavailableContender[] }> {
  const contenders: KeyContender[] = [];
  const unavailable: UnavailableContender[] = [];
  for (const peer of peers) {
    const name = `${peer.name} + sha256`;
    try {
      const loaded = await context.peers.load(peer.name);
      const stringify = (await loaded.import(peer.name))[peer.export] as (value: unknown) => string;
      const toKey = (body: Buffer): string => sha256(stringify(JSON.parse(body.toString())));
      toKey(Buffer.from("{}"));
      contenders.push({ name, role: "peer", version: loaded.version, toKey });
    } catch (error) {
      if (!(error instanceof PeerUnavailable)) throw error;
      unavailable.push({ contender: name, why: error.message, install: error.install });
    }
  }
  return { contenders, unavailable };
}

function asBatch({ toKey, ...named }: KeyContender, bodies: readonly Buffer[]): BatchContender {
  return {
    ...named,
    batch: (operations) => {
      let last: unknown;
      for (let index = 0; index < operations; index += 1) last = toKey(bodies[index % BODIES]!);
      return last;
    },
  };
}

/** Microseconds a key instead of keys a second: what the issue and the reader count in. */
function inMicroseconds(measurements: readonly Measurement[], baseline: string): Measurement[] {
  const sampled = measurements.map(({ name, role, version, note, samples }) => ({
    contender: { name, role, ...(version === undefined ? {} : { version }), ...(note === undefined ? {} : { note }) },
    samples: samples.map((perSecond) => 1e6 / perSecond),
  }));
  return toMeasurements(sampled, baseline);
}

interface Part {
  readonly id: string;
  readonly title: string;
  readonly kind: TextKind;
  readonly baseline: string;
  readonly contenders: readonly KeyContender[];
  readonly goals: ReadonlyArray<{ readonly contender: string; readonly most: number }>;
  readonly unavailable?: readonly UnavailableContender[];
  readonly notes: readonly string[];
  /** Called with the bodies before they are measured. */
  readonly prepare?: (bodies: readonly Buffer[]) => void;
}

async function measurePart(part: Part, context: ScenarioContext, from: number, share: number): Promise<Table> {
  const columns: Record<string, Measurement[]> = {};
  const targets: Target[] = [];
  for (const [index, size] of SIZES.entries()) {
    const bodies = Array.from({ length: BODIES }, (_, body) => chatBody(size, part.kind, context.seed + body));
    part.prepare?.(bodies);
    const measured = await measureInterleaved(
      part.contenders.map((contender) => asBatch(contender, bodies)),
      {
        // Many short batches: one that fits into a time slice is rarely interrupted, and the median drops those that were.
        rounds: context.quick ? 21 : 151,
        batchMs: context.quick ? 2 : 4,
        // So short batches would be over before the optimizer has had its turn.
        warmUpMs: context.quick ? 100 : 400,
        baseline: part.baseline,
        seed: context.seed,
        signal: context.signal,
        onRound: (done) => context.progress.update(from + (share * (index + done)) / SIZES.length, `${part.id}, ${size / 1000} KB`),
      },
    );
    const column = String(size);
    columns[column] = inMicroseconds(measured, part.baseline);
    for (const { contender, most } of part.goals) {
      const ratio = columns[column].find(({ name }) => name === contender)?.cell.ratio;
      if (ratio !== undefined)
        targets.push({ contender, column, text: `<= ${most} of "${part.baseline}" (${ratio.toFixed(2)})`, isMet: ratio <= most });
    }
  }
  return {
    id: part.id,
    title: part.title,
    columns: SIZES.map((size) => ({ id: String(size), title: `${size / 1000} KB`, unit: "us", better: "lower" })),
    rows: toRows(columns),
    baseline: part.baseline,
    targets,
    notes: part.notes,
    ...(part.unavailable === undefined ? {} : { unavailable: part.unavailable }),
  };
}

async function run(context: ScenarioContext): Promise<ScenarioResult> {
  const { contenders: libraries, unavailable } = await loadPeers(context);
  const scopes = new KeyScopes();
  const alias = new RawBodyAlias<string>();
  const route = { baseUrl: "https://api.openai.com/v1" };
  const tenants = ["acme", "globex", "initech"];
  let turn = 0;
  const nextScope = () => scopes.of({ endpoint: "chat", tenant: tenants[turn++ % tenants.length]!, headers });
  const scope = scopes.of({ endpoint: "chat", tenant: "acme", headers });

  const hash: KeyContender = { name: HASH, role: "limit", toKey: sha256 };
  const keyed: readonly KeyContender[] = [
    hash,
    { name: SORTED, role: "peer", toKey: (body) => sha256(JSON.stringify(sortNames(JSON.parse(body.toString())))) },
    ...libraries,
    { name: KEY, role: "ours", toKey: (body) => requestKey(nextScope(), readRequest("chat", body), route) },
    {
      name: BODY,
      role: "ours",
      note: "what a miss pays: the body is parsed as well",
      toKey: (body) => {
        const request = readRequest("chat", body);
        return request.body.model === requestKey(nextScope(), request, route);
      },
    },
  ];
  const aliased: readonly KeyContender[] = [
    hash,
    { name: "sha256 behind a function", role: "control", toKey: (body) => sha256(body) },
    { name: ALIAS, role: "ours", note: "digest, lookup, key; the scope is at hand", toKey: (body) => alias.get(scope, alias.digest(body)) },
    { name: ALIAS_WITH_SCOPE, role: "ours", toKey: (body) => alias.get(nextScope(), alias.digest(body)) },
  ];
  const remember = (bodies: readonly Buffer[]): void => {
    for (const tenant of tenants)
      for (const body of bodies) alias.set(scopes.of({ endpoint: "chat", tenant, headers }), alias.digest(body), "chat:gpt-4o-mini:key");
  };
  const byKey = {
    baseline: SORTED,
    contenders: keyed,
    goals: [{ contender: KEY, most: 0.8 }],
    unavailable,
    notes: [
      "From the bytes of a body to its key, decoding and parsing included. larder's key also covers tenant, route and headers, refuses invalid UTF-8 and repeated names, and keeps integers past 2^53 apart; the others do none of it.",
    ],
  } as const;
  const parts: readonly Part[] = [
    { ...byKey, id: "key-prose", title: "Key of a chat body: prose, ASCII, few escapes", kind: "prose" },
    { ...byKey, id: "key-agent", title: "Key of a chat body: an agent's turns, tools, escapes, non-ASCII text", kind: "agent" },
    {
      id: "alias",
      title: "Key of a body that came before: the raw-body alias",
      kind: "agent",
      baseline: HASH,
      contenders: aliased,
      goals: [{ contender: ALIAS, most: 1.2 }],
      notes: ["The bodies were remembered before, for three tenants."],
      prepare: remember,
    },
  ];
  const tables: Table[] = [];
  for (const [index, part] of parts.entries()) tables.push(await measurePart(part, context, index / parts.length, 1 / parts.length));
  const plots = tables.map((table) =>
    linesOverColumns(table, (size) => Number(size) / 1_000, {
      title: table.title,
      xLabel: "body, KB",
      yLabel: "us",
      xScale: "log",
      yScale: "log",
    }),
  );
  return { tables, plots };
}

/** What it costs to know which request a body is. */
export const keysScenario: Scenario = {
  name: "keys",
  title: "Request keys",
  describe:
    "From the bytes of a chat request to its cache key, against SHA-256 alone and against parsing, sorting and hashing; and the alias that spares a repeated body all of it.",
  run,
};
