import { SeededRandom, uniquePrefix } from "@larder/cache-testing";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { exactParse } from "./support/exact-json.ts";
import { bytesOf, eventsOf, hidesUsage, playExchanges } from "./support/play-exchange.ts";
import { makeExchange, type RandomExchange } from "./support/random-exchange.ts";
import { type Json, spell } from "./support/random-json.ts";
import { differenceOf, meaningOf, putTogether, readEvents } from "./support/read-back.ts";
import { type Bed, startBed } from "./support/start.ts";

/*
 * What a provider says, in all the ways in which JSON and server-sent events can be written and cut, against what callers of the gateway are told: the one whose call it
 * was, those who shared it, those who come later, in the form in which it came and in the other, here and at a peer. A case is its seed.
 */

/** Seeds that are tried; more of them by hand: `EXCHANGES=5000 FIRST_EXCHANGE=1000`. */
const CASES = Number(process.env.EXCHANGES ?? 80);
const FIRST = Number(process.env.FIRST_EXCHANGE ?? 1);
const VERDICTS_OF_ONE_CALL: readonly unknown[] = ["MISS", "COALESCED", "HIT"];

/** What a caller was told. */
interface Told {
  readonly status: number;
  readonly verdict: string | null;
  readonly bytes: Buffer;
  readonly headers: Headers;
}

/** How many tokens calls and hits were about. */
interface Tokens {
  inputTokens: number;
  outputTokens: number;
}

const exchanges = new Map<unknown, RandomExchange>();

/** One exchange, asked for through gateways that share an upstream. */
class Case {
  readonly #seed: number;
  readonly #beds: readonly Bed[];
  readonly #exchange: RandomExchange;
  /** Whether callers of streams ask for the closing usage chunk, where there is one. */
  readonly #includeUsage: boolean;
  readonly #whole: unknown;
  #requests = 0;
  hits = 0;
  /** Whether a peer had the answer. */
  isShared = false;

  constructor(seed: number, beds: readonly Bed[]) {
    const made = makeExchange(seed);
    this.#seed = seed;
    this.#beds = beds;
    this.#exchange = { ...made, request: { ...made.request, case: seed } };
    this.#includeUsage = hidesUsage(made) && seed % 3 === 0;
    this.#whole = meaningOf(
      exactParse(
        bytesOf(made)
          .toString("utf8")
          .replace(/^\ufeff/, ""),
      ),
    );
    exchanges.set(seed, this.#exchange);
  }

  async check(): Promise<void> {
    const order = this.#seed % 4;
    if (this.#exchange.fault !== "none" && order !== 0) return this.#checkFaulty();
    if (order === 0) this.#checkFirst(await this.#ask(false), false);
    else if (order === 1) this.#checkFirst(await this.#ask(true), true);
    else await this.#checkTogether(order === 2 ? [true, false, true] : [false, true, false]);
    expect(this.#calls).toBe(1);
    for (const bed of this.#beds) {
      if (bed !== this.#beds[0] && !(await this.#isShared(bed))) continue;
      for (const isStream of [true, false, true]) this.#checkHit(await this.#ask(isStream, bed), isStream, order === 0);
    }
    expect(this.#calls).toBe(1);
  }

  /** What it cost, as the provider told. */
  get cost(): Tokens {
    const { usage } = this.#exchange.answer as { usage?: Record<string, number> | null };
    const of = (...names: readonly string[]): number => names.reduce((sum, name) => sum + (usage?.[name] ?? 0), 0);
    return {
      inputTokens: of("prompt_tokens", "input_tokens", "cache_read_input_tokens"),
      outputTokens: of("completion_tokens", "output_tokens"),
    };
  }

  get #calls(): number {
    return (this.#beds[0] as Bed).upstream.seen.filter(({ body }) => body.case === this.#seed).length;
  }

  /** Each request is written in another way: it stays the same request. */
  async #ask(isStream: boolean, bed = this.#beds[0] as Bed): Promise<Told> {
    this.#requests += 1;
    const options = this.#includeUsage ? { stream_options: { include_usage: true } } : {};
    const body: Json = { ...this.#exchange.request, ...(isStream ? { stream: true, ...options } : {}) };
    const response = await bed.post(this.#exchange.path, spell(new SeededRandom(this.#seed * 100 + this.#requests), body));
    const bytes = Buffer.from(await response.arrayBuffer().catch(() => new ArrayBuffer(0)));
    const verdict = response.headers.get("x-larder-cache");
    if (verdict === "HIT") this.hits += 1;
    return { status: response.status, verdict, bytes, headers: response.headers };
  }

  /**
   * Whether a peer has the answer. It is written to Redis off the answer's path, and not at all when that takes too long, as on a busy machine. What is looked for is what is
   * stored alone, so that looking causes no call.
   */
  async #isShared(bed: Bed): Promise<boolean> {
    for (let look = 0; look < 100; look += 1) {
      const { status } = await bed.post(this.#exchange.path, spell(new SeededRandom(1), this.#exchange.request), {
        "cache-control": "only-if-cached",
      });
      if (status !== 200) continue;
      this.hits += 1;
      this.isShared = true;
      return true;
    }
    return false;
  }

  /** Streams that break are told as far as they came, and never kept; a whole answer to the same request is another matter. */
  async #checkFaulty(): Promise<void> {
    for (let round = 1; round <= 2; round += 1) {
      const told = await this.#ask(true);
      expect([told.verdict, this.#calls]).toEqual(["MISS", round]);
      if (told.status === 200 && this.#exchange.fault !== "broken off")
        same(readEvents(told.bytes), eventsOf(this.#exchange, this.#includeUsage));
      else expect([200, 502]).toContain(told.status);
    }
    const whole = await this.#ask(false);
    expect([whole.verdict, this.#calls]).toEqual(["MISS", 3]);
    this.#checkWhole(whole, true);
  }

  #checkFirst(told: Told, isStream: boolean): void {
    expect([told.status, told.verdict]).toEqual([200, "MISS"]);
    if (isStream) same(readEvents(told.bytes), eventsOf(this.#exchange, this.#includeUsage));
    else this.#checkWhole(told, true);
    const headers = ["x-ratelimit-remaining-requests", "x-larder-upstream-request-id", "x-vendor", "set-cookie"];
    expect(headers.map((name) => told.headers.get(name))).toEqual(["7", `req-${this.#seed}`, null, null]);
  }

  async #checkTogether(forms: readonly boolean[]): Promise<void> {
    const all = await Promise.all(forms.map((isStream) => this.#ask(isStream)));
    for (const [index, told] of all.entries()) {
      expect(VERDICTS_OF_ONE_CALL).toContain(told.verdict);
      if (forms[index]) this.#checkReplay(told);
      else this.#checkWhole(told, false);
    }
  }

  #checkHit(told: Told, isStream: boolean, isExact: boolean): void {
    expect([told.verdict, told.headers.get("content-type")]).toEqual([
      "HIT",
      isStream ? "text/event-stream; charset=utf-8" : "application/json",
    ]);
    if (isStream) this.#checkReplay(told);
    else this.#checkWhole(told, isExact);
  }

  /** @param isExact whether it came as it is told: then to the byte */
  #checkWhole({ status, bytes }: Told, isExact: boolean): void {
    expect(status).toBe(200);
    if (isExact) expect(bytes.toString("latin1")).toBe(bytesOf(this.#exchange).toString("latin1"));
    // What a stream tells of the prompt has a place in the whole answer, and none in the provider's own.
    else same({ ...(meaningOf(readJson(bytes)) as Json), prompt_filter_results: undefined }, this.#whole);
  }

  #checkReplay({ status, bytes }: Told): void {
    expect(status).toBe(200);
    const whole = { ...(this.#whole as Json) };
    if (hidesUsage(this.#exchange) && !this.#includeUsage) delete whole.usage;
    same(meaningOf(putTogether(this.#exchange.kind, readEvents(bytes))), whole);
  }
}

/** As `response.json()` reads it, which passes over a byte order mark. */
function readJson(bytes: Buffer): unknown {
  return exactParse(bytes.toString("utf8").replace(/^\ufeff/, ""));
}

function same(left: unknown, right: unknown): void {
  const difference = differenceOf(left, right);
  if (difference !== undefined) throw new Error(difference);
}

async function tokensOf(beds: readonly Bed[], what: "spent" | "saved"): Promise<Tokens> {
  const sum: Tokens = { inputTokens: 0, outputTokens: 0 };
  for (const bed of beds) {
    const stats = (await (await bed.admin("GET", "/admin/cache/stats")).json()) as Record<"spent" | "saved", Tokens>;
    sum.inputTokens += stats[what].inputTokens;
    sum.outputTokens += stats[what].outputTokens;
  }
  return sum;
}

/** Tries the cases one after the other, and that their tokens were counted. @returns how many a peer had */
async function tryAll(beds: readonly Bed[], first: number, count: number): Promise<number> {
  const [spent, saved]: [Tokens, Tokens] = [await tokensOf(beds, "spent"), await tokensOf(beds, "saved")];
  let shared = 0;
  for (let seed = first; seed < first + count; seed += 1) {
    const tried = new Case(seed, beds);
    try {
      await tried.check();
    } catch (error) {
      throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error });
    }
    exchanges.delete(seed);
    if (tried.isShared) shared += 1;
    for (const field of ["inputTokens", "outputTokens"] as const) {
      spent[field] += tried.cost[field];
      saved[field] += tried.cost[field] * tried.hits;
    }
  }
  expect([await tokensOf(beds, "spent"), await tokensOf(beds, "saved")]).toEqual([spent, saved]);
  return shared;
}

describe("a random answer", () => {
  let bed: Bed;
  beforeAll(async () => {
    bed = await startBed();
    bed.upstream.behaviour = playExchanges(exchanges);
  });
  afterAll(() => bed.close());

  it(`means the same however it is asked for, and costs one call (${CASES} of them)`, async () => {
    await tryAll([bed], FIRST, CASES);
  }, 600_000);
});

describe("a random answer in a fleet", () => {
  let beds: Bed[] = [];
  beforeAll(async () => {
    const one = await startBed({ redisUrl: process.env.REDIS_URL as string, redisPrefix: uniquePrefix() });
    one.upstream.behaviour = playExchanges(exchanges);
    beds = [one, await one.peer()];
    const isReady = async (bed: Bed): Promise<boolean> => {
      const { backends } = (await (await fetch(`${bed.url}/readyz`)).json()) as { backends: { redis?: boolean; bus?: boolean } };
      return backends.redis === true && backends.bus === true;
    };
    await vi.waitUntil(async () => (await isReady(beds[0] as Bed)) && isReady(beds[1] as Bed), { timeout: 10_000, interval: 10 });
  });
  afterAll(async () => {
    for (const bed of beds.reverse()) await bed.close();
  });

  const few = Math.ceil(CASES / 8);
  it(`means the same at a peer (${few} of them)`, async () => {
    expect(await tryAll(beds, FIRST + 1_000_000, few)).toBeGreaterThan(few / 4);
  }, 600_000);
});
