import { escapeGlob, KeySpace } from "@larder/cache-core";
import {
  READ_ONLY,
  SeededRandom,
  SimulatedRedis,
  SimulatedScripts,
  startRedisServer,
  uniquePrefix,
  VirtualTime,
  waitUntil,
} from "@larder/cache-testing";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import * as storeScripts from "../../cache-redis/src/scripts.ts";
import * as busScripts from "../src/scripts.ts";

/** Scripts run on both servers: some thousands here, 100,000 in CI. */
const RUNS = Number(process.env.LARDER_DIFFERENTIAL_RUNS ?? 4_000);
/** Runs after which everything that the two servers hold is compared. */
const BATCH = 100;
const FAR = "9999999999999";
const HOUR_MS = "3600000";
const TOKEN_CHARACTERS = 32;

type Argument = string | number | Buffer;

interface Call {
  readonly name: string;
  readonly text: string;
  readonly keys: readonly string[];
  readonly args: readonly Argument[];
}

const texts = new Map<string, string>([
  ...Object.values(storeScripts)
    .flat()
    .map((script) => [script.name, script.source] as const),
  ["append", busScripts.append.text],
  ["replay", busScripts.replay.text],
]);

/** What both servers are asked: keys, tags and tokens are few, so that scripts meet. */
class CallMaker {
  readonly #random: SeededRandom;
  readonly #space: KeySpace;
  /** Tokens that replies gave out: some are used again, as a caller would. */
  #fences = ["none"];
  #leases = [""];
  #epochs = ["0".repeat(32)];
  #lastSeq = 0;

  constructor(random: SeededRandom, space: KeySpace) {
    this.#random = random;
    this.#space = space;
  }

  /** Takes in what a reservation or an invalidation answered. */
  learn(name: string, reply: unknown): void {
    if (!Array.isArray(reply)) return;
    if (typeof reply[0] === "string" && reply[0].length === 32) this.#epochs = [...this.#epochs.slice(-2), reply[0]];
    if (name === "reserve") {
      this.#fences = [...this.#fences.slice(-3), String(reply[6])];
      if (reply[7] === "owned") this.#leases = [...this.#leases.slice(-3), String(reply[8])];
      this.#lastSeq = Number(reply[1]);
    }
  }

  next(): Call {
    const random = this.#random;
    const key = random.pick(["a", "b", "c"]);
    const names = [
      "reserve",
      "reserve",
      "fill",
      "fill",
      "fill",
      "replace",
      "invalidate",
      "mark",
      "append",
      "drop",
      "release",
      "renew",
      "probe",
    ];
    const name = random.pick([...names, "check", "replay", "heads", "read-record"]);
    const text = texts.get(name);
    if (text === undefined) throw new Error(`no script is called ${name}`);
    return { name, text, ...this.#parts(name, key) };
  }

  #parts(name: string, key: string): Pick<Call, "keys" | "args"> {
    const random = this.#random;
    const space = this.#space;
    const record = space.record(0);
    const log = space.log(0);
    const [value, fence, lease, wake] = [space.value(key), space.fence(key), space.lease(key), space.wakeChannel(key)];
    const tags = random.pick([[], ["red"], ["red", "blue"]]).map((tag) => space.tag(0, tag));
    const fresh = random.token();
    const deadline = random.chance(0.9) ? FAR : "1";
    const px = random.pick([HOUR_MS, "7200000", ""]);
    const kind = random.pick(["all", "tag", "tag", "pattern", "pattern", "key"]);
    const subject = kind === "tag" ? random.pick(["red", "blue"]) : kind === "pattern" ? random.pick(["a*", 'q"uote', "\\*", "é"]) : "";
    const body = `body-${random.integer(1_000)}`;
    const channel = space.channel(0);
    switch (name) {
      case "check":
        return {
          keys: [record, log],
          args: [
            fresh,
            "PUBLISH",
            random.pick(["", `${channel}:beat`]),
            "nonce",
            ...random.pick([[], [], [""], [random.pick(this.#epochs)]]),
          ],
        };
      case "replay":
        return { keys: [record, log], args: [String(Math.max(1, this.#lastSeq - 5)), "4"] };
      case "read-record":
        return { keys: [record], args: [] };
      case "reserve":
        return {
          keys: [value, fence, lease, record, log],
          args: [fresh, deadline, random.token(), HOUR_MS, random.pick(["", random.token()]), HOUR_MS],
        };
      case "fill":
        return {
          keys: [value, fence, lease, record, ...tags],
          args: [
            deadline,
            random.pick(this.#epochs),
            String(this.#lastSeq - random.integer(2)),
            random.pick(this.#fences),
            random.pick(this.#leases),
            px,
            entry(key),
            wake,
            HOUR_MS,
            random.pick([FAR, "1"]),
          ],
        };
      case "replace":
        return {
          keys: [value, fence, lease, record, log, ...tags],
          args: [fresh, deadline, px, entry(key), "PUBLISH", wake, random.pick(["", body]), channel, 100_000, random.pick([FAR, "1"])],
        };
      case "invalidate":
        return { keys: [value, fence, lease, record, log], args: [fresh, "PUBLISH", channel, 100_000, body, wake] };
      case "mark":
      case "append":
        return {
          keys: [
            record,
            log,
            ...(name === "append" && kind === "key" ? [value, fence] : []),
            ...(kind === "tag" ? [space.tag(0, subject)] : []),
          ],
          args: [fresh, "PUBLISH", channel, "100000", body, kind, subject, HOUR_MS],
        };
      case "drop":
        return { keys: [value, fence, lease, record], args: [wake] };
      case "release":
        // Who knows what it asked with alone names no more of it.
        return { keys: [lease], args: [random.pick(this.#leases).slice(0, random.pick([TOKEN_CHARACTERS, undefined])), wake, "failed"] };
      case "renew":
        return { keys: [lease], args: [random.pick(this.#leases), HOUR_MS] };
      case "probe":
        return { keys: [lease], args: [] };
      default:
        return { keys: [record, value, fence], args: [] };
    }
  }
}

/** An entry with room for the stamp: a header that says how long tags and owner are. */
function entry(key: string): Buffer {
  const head = Buffer.alloc(100, 1);
  head.writeUInt32BE(key.length, 8);
  head.writeUInt32BE(0, 12);
  return Buffer.concat([head, Buffer.from(`${key}body of ${key}`)]);
}

/** Times differ between the servers: what holds one is made the same. */
const plain = (part: unknown): unknown => {
  if (part === undefined || part === false) return null;
  if (Array.isArray(part)) return part.map(plain);
  const text = Buffer.isBuffer(part) ? part.toString("latin1") : typeof part === "string" ? Buffer.from(part).toString("latin1") : part;
  if (typeof text === "number") return text > 1_000_000 ? "ms" : text;
  if (typeof text === "string" && /^\d{13}$/.test(text)) return "ms";
  // An entry: the two instants in its stamp.
  if (typeof text === "string" && text.length >= 100 && text.startsWith("\u0001"))
    return text.slice(0, 76) + text.slice(84, 92) + text.slice(100);
  return text;
};

describe("the simulated Redis", () => {
  let client: Redis;
  let subscriber: Redis;

  beforeAll(() => {
    client = new Redis(process.env.REDIS_URL as string);
    subscriber = client.duplicate();
  });
  afterAll(async () => {
    await Promise.all([client.quit(), subscriber.quit()]);
  });

  it("answers, keeps and publishes what the real one does, over random scripts", { timeout: RUNS * 20 + 10_000 }, async () => {
    const keyPrefix = uniquePrefix();
    const space = new KeySpace({ namespace: "same", keyPrefix });
    const random = new SeededRandom(Number(process.env.LARDER_DIFFERENTIAL_SEED ?? 1));
    const redis = new SimulatedRedis(new VirtualTime());
    const scripts = new SimulatedScripts(redis);
    const maker = new CallMaker(random, space);
    const publishedThere: string[] = [];
    const publishedHere: string[] = [];
    redis.publish = (channel, text) => void publishedHere.push(`${channel} ${text}`);
    subscriber.on("pmessage", (_, channel, text) => publishedThere.push(`${channel} ${text}`));
    await subscriber.psubscribe(`${escapeGlob(keyPrefix)}*`);
    for (let done = 0; done < RUNS; done += BATCH) {
      const pairs = Array.from({ length: BATCH }, () => {
        const call = maker.next();
        const there = client.callBuffer("EVAL", call.text, call.keys.length, ...call.keys, ...call.args);
        const here = scripts.run(call.name, call.keys, call.args);
        maker.learn(call.name, here);
        return { call, there, here };
      });
      for (const { call, there, here } of pairs)
        expect(plain(await there), `${call.name} ${JSON.stringify(call.args.map(String))}`).toEqual(plain(here));
      expect(await stateThere(client, keyPrefix)).toEqual(stateHere(redis));
      await waitUntil("everything published has come", async () => publishedThere.length >= publishedHere.length);
      expect(publishedThere).toEqual(publishedHere);
    }
    expect(publishedHere.length).toBeGreaterThan(BATCH / 4);
  });

  it("refuses as a replica what the real one refuses, and answers what it answers", async () => {
    await using server = await startRedisServer();
    const own = new Redis(server.url);
    const redis = new SimulatedRedis(new VirtualTime());
    const scripts = new SimulatedScripts(redis);
    const maker = new CallMaker(new SeededRandom(2), new KeySpace({ namespace: "same", keyPrefix: "p" }));
    const refusals: Record<string, number> = {};
    for (let done = 0; done < 800; done += 1) {
      if (done === 400) {
        await server.command("REPLICAOF", "127.0.0.1", "1");
        redis.writeRefusal = READ_ONLY;
      }
      const call = maker.next();
      const there = own.callBuffer("EVAL", call.text, call.keys.length, ...call.keys, ...call.args);
      const outcome = await there.then(plain, firstWord);
      const here = await (async () => scripts.run(call.name, call.keys, call.args))().then(plain, firstWord);
      maker.learn(call.name, here);
      expect(here, `${done} ${call.name} ${JSON.stringify(call.args.map(String))}`).toEqual(outcome);
      if (here === "READONLY") refusals[call.name] = (refusals[call.name] ?? 0) + 1;
    }
    expect(await stateThere(own, "p")).toEqual(stateHere(redis));
    // What only reads is answered, and old: everything that a cache relies on must write.
    expect(Object.keys(refusals).toSorted()).toEqual(
      expect.arrayContaining(["append", "check", "drop", "invalidate", "mark", "read-record", "replace", "reserve"]),
    );
    expect(refusals).not.toHaveProperty("replay");
    own.disconnect();
  });
});

const firstWord = (error: unknown): string => String((error as Error).message).split(" ")[0] as string;

/** Everything under a prefix of the real server. */
async function stateThere(client: Redis, keyPrefix: string): Promise<Record<string, unknown>> {
  const state: Record<string, unknown> = {};
  const [, names] = await client.scan(0, "MATCH", `${escapeGlob(keyPrefix)}*`, "COUNT", 10_000);
  for (const name of names) {
    const type = await client.type(name);
    if (type === "string") state[name] = plain(await client.getBuffer(name));
    else if (type === "hash") state[name] = withoutRun(await client.hgetall(name));
    else state[name] = (await client.xrange(name, "-", "+")).map(([id, [, body]]) => `${id} ${body}`);
  }
  return state;
}

/** Everything that the simulated server holds. */
function stateHere(redis: SimulatedRedis): Record<string, unknown> {
  const state: Record<string, unknown> = {};
  for (const [name, { value }] of redis.snapshot()) {
    if (value instanceof Map) state[name] = withoutRun(Object.fromEntries(value));
    else if (Array.isArray(value)) state[name] = value.map(({ seq, body }) => `${seq}-0 ${body}`);
    else state[name] = plain(Buffer.isBuffer(value) ? value : Buffer.from(value));
  }
  return state;
}

function withoutRun({ run: _, ...rest }: Record<string, string>): Record<string, string> {
  return rest;
}
