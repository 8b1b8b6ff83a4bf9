import { createHash } from "node:crypto";
import type { Clock } from "@larder/cache-core";
import { checkReadingInSlices } from "./check-reading.ts";
import type { BodyFetcher } from "./fetch-body.ts";
import { finishInTurns, nextTurn } from "./in-slices.ts";
import { publicUrl } from "./public-url.ts";
import type { RawBody } from "./snapshot-store.ts";
import type { Source, SourceContext, SourceReading, SourceRequest } from "./source.ts";
import { SourceError, type SourceFailureReason } from "./source-error.ts";

/** How one source's reading ended. */
export type ReadOutcome = { readonly source: Source; readonly startedAt: number; readonly durationMs: number } & (
  | { readonly outcome: "read"; readonly reading: SourceReading }
  | { readonly outcome: "failed"; readonly reason: SourceFailureReason; readonly detail: string }
);

/** What the sources told, and the bodies they told it with. */
export interface ReadSources {
  readonly outcomes: readonly ReadOutcome[];
  readonly rawBodies: readonly RawBody[];
}

/** What reading the sources needs. */
export interface ReadSourcesOptions {
  readonly sources: readonly Source[];
  readonly fetcher: BodyFetcher;
  /** The body of the former run, for conditional requests; `undefined` when there is none or the store is away. */
  lastBody(source: string, url: string): Promise<RawBody | undefined>;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Bytes that the bodies of one source, and of all, may come to. */
  readonly limits: { readonly maxSourceBytes: number; readonly maxRunBytes: number };
  /** Called as each source has answered or failed. */
  onRead?(outcome: ReadOutcome): void;
}

/**
 * What a stored body is found again by: the public part of its URL, and a digest of the query, which may hold a key. Without the query
 * two lists of one path would answer each other's conditional requests.
 */
function storedName(url: string): string {
  const search = URL.canParse(url) ? new URL(url).search : "";
  return search === "" ? publicUrl(url) : `${publicUrl(url)}?sha256=${createHash("sha256").update(search).digest("hex").slice(0, 16)}`;
}

/** Milliseconds that a source may take to sum up what it has read when the run's time is over. */
const SUM_UP_MS = 1_000;

/** Bytes from which a body's parsing is a piece of work of its own, some milliseconds, and a turn is given before its items are looked at. */
const LARGE_BODY_BYTES = 262_144;

/** What does not heed the run's signal must not hold up the run: it has failed `graceMs` after it. */
function unlessAborted<T>(work: Promise<T>, { signal, clock }: Pick<ReadSourcesOptions, "signal" | "clock">, graceMs: number): Promise<T> {
  return new Promise((resolve, reject) => {
    let cancel = (): void => {};
    const giveUp = (): void => reject(new SourceError("aborted", "the run was cancelled or its time is over"));
    const onAbort = (): void => {
      cancel = clock.setTimer(giveUp, graceMs);
    };
    if (signal.aborted) onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    const settle = (): void => {
      cancel();
      signal.removeEventListener("abort", onAbort);
    };
    work.then(resolve, reject).finally(settle);
  });
}

function parseJson(url: string, bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    // The parser's message quotes the body.
    throw new SourceError("not-json", `the body of ${publicUrl(url)} is not JSON`);
  }
}

/**
 * Reads JSON for the sources and keeps the bodies. They are held until the commit, so what one source may bring in, and what all of them
 * may, is bounded: a cap for each body alone lets a source of hundreds of requests fill the memory with bodies that are each small enough.
 */
class Collector {
  readonly #options: ReadSourcesOptions;
  readonly rawBodies: RawBody[] = [];
  readonly #bytesOf: Map<string, number> = new Map();
  #totalBytes = 0;

  constructor(options: ReadSourcesOptions) {
    this.#options = options;
  }

  contextOf(source: Source, primaries: ReadonlyMap<string, SourceReading>): SourceContext {
    const { signal } = this.#options;
    return { primaries, signal, getJson: (url, request = {}) => this.#getJson(source.name, url, request) };
  }

  async #getJson(source: string, url: string, request: SourceRequest): Promise<unknown> {
    const { fetcher, lastBody, clock, signal } = this.#options;
    const { headers = {}, maxBytes = Number.POSITIVE_INFINITY } = request;
    const fetchedAt = clock.wallNow();
    const name = storedName(url);
    const former = await unlessAborted(lastBody(source, name), this.#options, 0);
    const { etag, lastModified } = former ?? {};
    const validators = { ...(etag !== undefined && { etag }), ...(lastModified !== undefined && { lastModified }) };
    const isConditional = former !== undefined && (etag !== undefined || lastModified !== undefined);
    const roomBytes = Math.min(maxBytes, this.#roomOf(source, url));
    const fetched = await fetcher.fetchBody(url, { headers, signal, maxBytes: roomBytes, ...(isConditional && { validators }) });
    // "Not modified" means that the former body is what the upstream says now: it takes the same way as a new one.
    const raw: RawBody =
      fetched.status === "ok"
        ? { source, url: name, fetchedAt, ...fetched.validators, bytes: fetched.bytes }
        : { ...(former as RawBody), fetchedAt };
    this.#count(source, url, raw.bytes.byteLength);
    const parsed = parseJson(url, raw.bytes);
    if (raw.bytes.byteLength > LARGE_BODY_BYTES) await nextTurn();
    this.rawBodies.push(raw);
    return parsed;
  }

  #roomOf(source: string, url: string): number {
    const { maxSourceBytes, maxRunBytes } = this.#options.limits;
    const roomBytes = Math.min(maxSourceBytes - (this.#bytesOf.get(source) ?? 0), maxRunBytes - this.#totalBytes);
    if (roomBytes <= 0)
      throw new SourceError("too-large", `no room is left for ${publicUrl(url)}: the bodies of this run are too many or too large`);
    return roomBytes;
  }

  /** Counted before it is parsed, and once more against the room: requests side by side have each seen the same. */
  #count(source: string, url: string, bytes: number): void {
    if (bytes > this.#roomOf(source, url))
      throw new SourceError("too-large", `the body of ${publicUrl(url)} is larger than the room left in this run`);
    this.#bytesOf.set(source, (this.#bytesOf.get(source) ?? 0) + bytes);
    this.#totalBytes += bytes;
  }
}

function explain(error: unknown): { readonly reason: SourceFailureReason; readonly detail: string } {
  if (SourceError.is(error)) return { reason: error.reason, detail: error.message };
  // Another error's message may quote what it choked on.
  return { reason: "unknown", detail: error instanceof Error ? `the source threw ${error.name}` : "the source threw" };
}

async function readOne(source: Source, context: SourceContext, options: ReadSourcesOptions): Promise<ReadOutcome> {
  const { clock, onRead } = options;
  const startedAt = clock.wallNow();
  const begun = clock.now();
  let outcome: ReadOutcome;
  try {
    const told = await unlessAborted(source.read(context), options, SUM_UP_MS);
    await nextTurn();
    const reading = await finishInTurns(checkReadingInSlices(told));
    outcome = { source, startedAt, durationMs: clock.now() - begun, outcome: "read", reading };
  } catch (error) {
    outcome = { source, startedAt, durationMs: clock.now() - begun, outcome: "failed", ...explain(error) };
  }
  onRead?.(outcome);
  return outcome;
}

/**
 * Reads all sources: the primary ones side by side, then the ancillary ones, which may build on what the primary ones told. Every
 * failure stays its own source's.
 */
export async function readSources(options: ReadSourcesOptions): Promise<ReadSources> {
  const collector = new Collector(options);
  const readAll = (role: Source["role"], primaries: ReadonlyMap<string, SourceReading>): Promise<ReadOutcome[]> =>
    Promise.all(
      options.sources
        .filter((source) => source.role === role)
        .map((source) => readOne(source, collector.contextOf(source, primaries), options)),
    );
  const first = await readAll("primary", new Map());
  const told = new Map(first.flatMap((outcome) => (outcome.outcome === "read" ? [[outcome.source.name, outcome.reading] as const] : [])));
  const second = await readAll("ancillary", told);
  const outcomes = options.sources.map((source) => [...first, ...second].find((outcome) => outcome.source === source) as ReadOutcome);
  return { outcomes, rawBodies: collector.rawBodies };
}
