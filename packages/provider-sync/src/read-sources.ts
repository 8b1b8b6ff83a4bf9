import type { Clock } from "@larder/cache-core";
import { type BodyFetcher, publicUrl } from "./fetch-body.ts";
import type { RawBody } from "./snapshot-store.ts";
import type { Source, SourceContext, SourceReading } from "./source.ts";
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
}

function parseJson(url: string, bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    // The parser's message quotes the body.
    throw new SourceError("not-json", `the body of ${publicUrl(url)} is not JSON`);
  }
}

class Collector {
  readonly #options: ReadSourcesOptions;
  readonly rawBodies: RawBody[] = [];

  constructor(options: ReadSourcesOptions) {
    this.#options = options;
  }

  contextOf(source: Source, primaries: ReadonlyMap<string, SourceReading>): SourceContext {
    const { signal } = this.#options;
    return { primaries, signal, getJson: (url, request = {}) => this.#getJson(source.name, url, request.headers ?? {}) };
  }

  async #getJson(source: string, url: string, headers: Readonly<Record<string, string>>): Promise<unknown> {
    const { fetcher, lastBody, clock, signal } = this.#options;
    const fetchedAt = clock.wallNow();
    const key = publicUrl(url);
    const former = await lastBody(source, key);
    const { etag, lastModified } = former ?? {};
    const validators = { ...(etag !== undefined && { etag }), ...(lastModified !== undefined && { lastModified }) };
    const isConditional = former !== undefined && (etag !== undefined || lastModified !== undefined);
    const fetched = await fetcher.fetchBody(url, { headers, signal, ...(isConditional && { validators }) });
    // "Not modified" means that the former body is what the upstream says now: it takes the same way as a new one.
    const raw: RawBody =
      fetched.status === "ok"
        ? { source, url: key, fetchedAt, ...fetched.validators, bytes: fetched.bytes }
        : { ...(former as RawBody), fetchedAt };
    const parsed = parseJson(url, raw.bytes);
    this.rawBodies.push(raw);
    return parsed;
  }
}

function explain(error: unknown): { readonly reason: SourceFailureReason; readonly detail: string } {
  if (SourceError.is(error)) return { reason: error.reason, detail: error.message };
  // Another error's message may quote what it choked on.
  return { reason: "unknown", detail: error instanceof Error ? `the source threw ${error.name}` : "the source threw" };
}

async function readOne(source: Source, context: SourceContext, clock: Clock): Promise<ReadOutcome> {
  const startedAt = clock.wallNow();
  const begun = clock.now();
  try {
    const reading = await source.read(context);
    return { source, startedAt, durationMs: clock.now() - begun, outcome: "read", reading };
  } catch (error) {
    return { source, startedAt, durationMs: clock.now() - begun, outcome: "failed", ...explain(error) };
  }
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
        .map((source) => readOne(source, collector.contextOf(source, primaries), options.clock)),
    );
  const first = await readAll("primary", new Map());
  const told = new Map(first.flatMap((outcome) => (outcome.outcome === "read" ? [[outcome.source.name, outcome.reading] as const] : [])));
  const second = await readAll("ancillary", told);
  const outcomes = options.sources.map((source) => [...first, ...second].find((outcome) => outcome.source === source) as ReadOutcome);
  return { outcomes, rawBodies: collector.rawBodies };
}
