import { partitionOf } from "@larder/cache-core/keys";
import { z } from "zod";
import { answerFamilies } from "../answers/families.ts";
import { parseObject } from "../answers/json.ts";
import type { AnswerCache } from "../caching/answer-cache.ts";
import { MAX_TTL_MS } from "../caching/cache-controls.ts";
import type { PurgeWatch } from "../caching/purge-watch.ts";
import { StoredAnswer } from "../caching/stored-answer.ts";
import type { Survey } from "../worker-survey.ts";

const lineSchema = z.object({
  key: z.string().regex(/^1:[0-9a-f]{16}:[a-z]+:.{1,200}:[0-9a-f]{64}$/),
  tags: z.array(z.string().max(512)).max(64),
  /** Epoch milliseconds. */
  expiresAt: z.number(),
  /** Meta and body as the shared tier keeps them, in base64. */
  entry: z.string(),
});
/** Bytes of entries that one process tells another at a time, at most, unless one entry is larger. */
const BATCH_BYTES = 4 * 1024 * 1024;

/** What became of a line; `dropped`: not taken in, since it was invalidated after the import had begun. */
export type Imported = "imported" | "expired" | "refused" | "dropped";

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

interface Lines {
  readonly process: number;
  readonly lines: readonly string[];
}

/**
 * Entries as lines of JSON, of all processes of this gateway: each has its own in memory. An export asks what each of them holds and then, some
 * at a time, for what it does not have itself. An import is written here, and handed on to the others where they share no second tier to
 * read it from: there it is a fill like that of a load, since a write would have the other processes drop what they have just been given.
 */
export class EntryTransfer {
  readonly #answers: AnswerCache;
  readonly #survey: Survey;
  readonly #isShared: boolean;

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
      const { process: from, lines } = about as Lines;
      if (from !== process.pid)
        for (const line of lines) await this.#read(line, (key, answer, options) => answers.fill(key, answer, options));
      return lines.length;
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

  /** Takes lines in, here and in the other processes. @param purges what was invalidated since they were sent @returns what became of each */
  async import(lines: readonly string[], purges: PurgeWatch): Promise<Imported[]> {
    const outcomes: Imported[] = [];
    for (const line of lines)
      outcomes.push(await this.#read(line, (key, answer, options) => this.#answers.set(key, answer, options), purges));
    const good = lines.filter((_, index) => outcomes[index] === "imported");
    // Who does not answer is not waited for: it asks a provider, as without the import.
    if (!this.#isShared && good.length > 0)
      await this.#survey.ask("import", { process: process.pid, lines: good } satisfies Lines).catch(() => undefined);
    return outcomes;
  }

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

  async #read(line: string, store: AnswerCache["set"], purges?: PurgeWatch): Promise<Imported> {
    try {
      const { key, tags, expiresAt, entry } = lineSchema.parse(JSON.parse(line));
      const answer = StoredAnswer.decode(Buffer.from(entry, "base64"));
      const { owner, model, createdAt, ttlMs } = answer.meta;
      const remainingMs = Math.min(expiresAt, createdAt + ttlMs) - Date.now();
      if (remainingMs <= 0) return "expired";
      if (remainingMs > MAX_TTL_MS || !isAnswerTo(key, answer)) return "refused";
      // Whatever the line says, it can be dropped by tenant and by model.
      const allTags = [...new Set([...tags, `tenant:${owner}`, `model:${model}`])];
      if (purges?.covers(key, allTags)) return "dropped";
      return (await store(key, answer, { ttlMs: remainingMs, tags: allTags })) ? "imported" : "refused";
    } catch {
      return "refused";
    }
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
