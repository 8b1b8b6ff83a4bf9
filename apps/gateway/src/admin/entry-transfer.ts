import { randomUUID } from "node:crypto";
import { partitionOf } from "@larder/cache-core/keys";
import { z } from "zod";
import { answerFamilies } from "../answers/families.ts";
import { parseObject } from "../answers/json.ts";
import type { AnswerCache } from "../caching/answer-cache.ts";
import { MAX_TTL_MS } from "../caching/cache-controls.ts";
import type { PurgeWatch } from "../caching/purge-watch.ts";
import { StoredAnswer } from "../caching/stored-answer.ts";
import type { Survey } from "../worker-survey.ts";

/** Characters of a tag at most: the longest that an export tells is of a model whose name has 512. */
const MAX_TAG = 1_024;
const lineSchema = z.object({
  key: z.string().regex(/^1:[0-9a-f]{16}:[a-z]+:.{1,200}:[0-9a-f]{64}$/),
  /** As many as there are: callers who share a load have the entry carry the tags of all of them. */
  tags: z.array(z.string().max(MAX_TAG)),
  /** Epoch milliseconds. */
  expiresAt: z.number(),
  /** Meta and body as the shared tier keeps them, in base64. */
  entry: z.string(),
});
/** Bytes of entries that one process tells another at a time, at most, unless one entry is larger. */
const BATCH_BYTES = 4 * 1024 * 1024;

/** Milliseconds after the last lines of an import that came to another process, until it counts as over. */
const FORGOTTEN_AFTER_MS = 600_000;

/** What became of a line; `dropped`: not taken in, since it was invalidated after the import had begun. */
export type Imported = "imported" | "expired" | "refused" | "dropped";

/** An entry that a line holds, as it may be stored. */
interface ForeignEntry {
  readonly key: string;
  readonly answer: StoredAnswer;
  readonly options: { readonly ttlMs: number; readonly tags: readonly string[] };
}

/** What one process has in memory. */
interface Holding {
  readonly process: number;
  readonly entries: ReadonlyArray<readonly [key: string, size: number]>;
}

/** A question to one process, or to all but one. */
interface Entries {
  readonly process: number;
  readonly keys: readonly string[];
}

/** Lines of one import, from the process that it came to. It is told of before they come, and when no more do. */
interface Lines {
  readonly process: number;
  readonly importId: string;
  readonly lines: readonly string[];
  readonly isOver: boolean;
}

/**
 * Entries as lines of JSON, of all processes of this gateway: each has its own in memory. An export asks what each of them holds and then, some
 * at a time, for what it does not have itself. An import is written to the second tier that the processes share; where they share none it is handed
 * on to the others, and is a fill like that of a load in each: a write would have the others drop what they have just been given.
 */
export class EntryTransfer {
  readonly #answers: AnswerCache;
  readonly #survey: Survey;
  readonly #isShared: boolean;
  /** Imports that have come to other processes, by id, and what was invalidated since they began. */
  readonly #foreign = new Map<string, { readonly purges: PurgeWatch; readonly timer: NodeJS.Timeout }>();

  /** @param isShared whether the processes have a second tier in common */
  constructor(answers: AnswerCache, survey: Survey, isShared: boolean) {
    this.#answers = answers;
    this.#survey = survey;
    this.#isShared = isShared;
    survey.answer("holding", (): Holding => ({ process: process.pid, entries: this.#sizes() }));
    survey.answer("entries", (about) => {
      const { process: asked, keys } = about as Entries;
      return asked === process.pid ? [...this.#linesOf(keys)] : [];
    });
    survey.answer("import", async (about) => {
      const message = about as Lines;
      if (message.process !== process.pid) await this.#fill(message);
      return message.lines.length;
    });
  }

  /** What the processes of this gateway hold. @throws when none of them answers */
  async holdings(): Promise<readonly Holding[]> {
    const holdings = (await this.#survey.ask("holding")) as ReadonlyArray<Holding | undefined>;
    // Its own first: that needs no asking.
    return holdings.filter((holding) => holding !== undefined).sort((left, right) => Number(isOwn(right)) - Number(isOwn(left)));
  }

  /** The lines of all that they hold, each entry once. A process that does not answer any more is left out. */
  async *lines(holdings: readonly Holding[]): AsyncGenerator<string, void, undefined> {
    const told = new Set<string>();
    for (const holding of holdings) {
      const fresh = holding.entries.filter(([key]) => !told.has(key));
      for (const [key] of fresh) told.add(key);
      if (isOwn(holding)) yield* this.#linesOf(fresh.map(([key]) => key));
      else for (const keys of inBatches(fresh)) yield* await this.#linesFrom({ process: holding.process, keys });
    }
  }

  /**
   * Takes lines in, here and in the other processes, but none of what is invalidated from now on: all of them watch for it from the beginning,
   * since lines are under way for longer than an invalidation. @param run is given what takes lines and tells what became of each
   */
  async importing<T>(run: (take: (lines: readonly string[]) => Promise<Imported[]>) => Promise<T>): Promise<T> {
    const purges = this.#answers.watchPurges();
    const importId = randomUUID();
    const tell = async (lines: readonly string[], isOver = false): Promise<void> => {
      // Who does not answer is not waited for: it asks a provider, as without the import.
      if (!this.#isShared)
        await this.#survey.ask("import", { process: process.pid, importId, lines, isOver } satisfies Lines).catch(() => undefined);
    };
    try {
      await tell([]);
      return await run((lines) => this.#take(lines, purges, tell));
    } finally {
      purges.close();
      void tell([], true);
    }
  }

  async #take(lines: readonly string[], purges: PurgeWatch, tell: (lines: readonly string[]) => Promise<void>): Promise<Imported[]> {
    const outcomes: Imported[] = [];
    const taken: Array<{ readonly line: string; readonly entry: ForeignEntry }> = [];
    for (const line of lines) {
      const entry = readLine(line);
      const outcome = await store(entry, purges, this.#put);
      if (outcome === "imported") taken.push({ line, entry: entry as ForeignEntry });
      outcomes.push(outcome);
    }
    // What was dropped since it was stored here must not be stored there: the others have heard of it already.
    const good = taken.filter(({ entry }) => !purges.covers(entry.key, entry.options.tags)).map(({ line }) => line);
    if (good.length > 0) await tell(good);
    return outcomes;
  }

  async #fill({ importId, lines, isOver }: Lines): Promise<void> {
    const { purges, timer } = this.#foreign.get(importId) ?? { purges: this.#answers.watchPurges(), timer: undefined };
    clearTimeout(timer);
    const forget = (): void => {
      this.#foreign.delete(importId);
      purges.close();
    };
    if (isOver) return forget();
    // Of a process that dies no end is heard.
    this.#foreign.set(importId, { purges, timer: setTimeout(forget, FORGOTTEN_AFTER_MS).unref() });
    for (const line of lines) await store(readLine(line), purges, this.#put);
  }

  /** Where nothing is shared, each process stores for itself: a write would have the others drop the key, and take it for one that is to stay away. */
  readonly #put: AnswerCache["set"] = (key, answer, options) =>
    this.#isShared ? this.#answers.set(key, answer, options) : this.#answers.fill(key, answer, options);

  async #linesFrom(about: Entries): Promise<string[]> {
    try {
      return ((await this.#survey.ask("entries", about)) as ReadonlyArray<string[] | undefined>).flatMap((lines) => lines ?? []);
    } catch {
      return [];
    }
  }

  #sizes(): Array<[string, number]> {
    return Array.from(this.#answers.entries(), ({ key, answer }) => [key, answer.size]);
  }

  *#linesOf(keys: readonly string[]): Generator<string, void, undefined> {
    for (const { key, answer, tags } of this.#answers.entries(keys)) {
      const expiresAt = answer.meta.createdAt + answer.meta.ttlMs;
      yield JSON.stringify({ key, tags, expiresAt, entry: answer.encode().toString("base64") });
    }
  }
}

/** A line's entry, or why it is none. */
function readLine(line: string): ForeignEntry | "expired" | "refused" {
  try {
    const { key, tags, expiresAt, entry } = lineSchema.parse(JSON.parse(line));
    const answer = StoredAnswer.decode(Buffer.from(entry, "base64"));
    const { owner, model, createdAt, ttlMs } = answer.meta;
    const remainingMs = Math.min(expiresAt, createdAt + ttlMs) - Date.now();
    if (remainingMs <= 0) return "expired";
    if (remainingMs > MAX_TTL_MS || !isAnswerTo(key, answer)) return "refused";
    // Whatever the line says, it can be dropped by tenant and by model.
    return { key, answer, options: { ttlMs: remainingMs, tags: [...new Set([...tags, `tenant:${owner}`, `model:${model}`])] } };
  } catch {
    return "refused";
  }
}

async function store(entry: ReturnType<typeof readLine>, purges: PurgeWatch, put: AnswerCache["set"]): Promise<Imported> {
  if (typeof entry === "string") return entry;
  if (purges.covers(entry.key, entry.options.tags)) return "dropped";
  try {
    return (await put(entry.key, entry.answer, entry.options)) ? "imported" : "refused";
  } catch {
    return "refused";
  }
}

function isOwn(holding: Holding): boolean {
  return holding.process === process.pid;
}

function* inBatches(entries: Holding["entries"]): Generator<string[], void, undefined> {
  let keys: string[] = [];
  let bytes = 0;
  for (const [key, size] of entries) {
    if (keys.length > 0 && bytes + size > BATCH_BYTES) {
      yield keys;
      keys = [];
      bytes = 0;
    }
    keys.push(key);
    bytes += size;
  }
  if (keys.length > 0) yield keys;
}

/** Whether an entry is what requests with its key are answered with: its owner's, and an answer of that endpoint that would have been stored here. */
function isAnswerTo(key: string, { meta, body }: StoredAnswer): boolean {
  const [, partition, endpoint = ""] = key.split(":", 3);
  if (partition !== partitionOf(meta.owner)) return false;
  if (endpoint === "embedding") return meta.format !== "json" && body.length > 0 && body.length % (meta.format === "f64" ? 8 : 4) === 0;
  const family = answerFamilies.get(endpoint);
  const parsed = meta.format === "json" && family ? parseObject(body.toString("utf8")) : undefined;
  return parsed !== undefined && family?.refusalToStore(parsed) === undefined;
}
