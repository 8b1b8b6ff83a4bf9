import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { Budget, encodeBody, encodeMessage, KeySpace, systemClock } from "@larder/cache-core";
import { BusRecorder, type RedisServer, startRedisServer, waitUntil } from "@larder/cache-testing";
import { Redis } from "ioredis";
import { describe, expect, it } from "vitest";
import { RedisInvalidationBus } from "../src/index.ts";
import { append, check, replay } from "../src/scripts.ts";
import { LaneRig } from "./lane-rig.ts";

// What docs/scaling.md multiplies. Run with LARDER_MEASURE=1; as a test it only sees that the scripts do their work.
const isMeasuring = process.env.LARDER_MEASURE !== undefined;
const rounds = isMeasuring ? 2_000 : 5;
const repeats = isMeasuring ? 7 : 1;
const fanOuts = isMeasuring ? [0, 1, 10, 100, 1_000] : [0, 2];
const space = new KeySpace({ namespace: "units" });
const body = encodeBody("0".repeat(34), { kind: "key", key: `chat:gpt-4.1:${"0".repeat(64)}` });

/** Microseconds inside the server for one call: the least of several rounds, because a busy machine only ever adds. */
async function serverMicros(redis: Redis, run: () => Promise<unknown>): Promise<number> {
  let least = Infinity;
  for (let round = 0; round < repeats; round += 1) {
    await redis.config("RESETSTAT");
    for (let done = 0; done < rounds; done += 50) await Promise.all(Array.from({ length: Math.min(50, rounds) }, run));
    const line = /cmdstat_evalsha:calls=\d+,usec=\d+,usec_per_call=([\d.]+)/.exec(await redis.info("commandstats"));
    least = Math.min(least, Number(line?.[1]));
  }
  return least;
}

async function subscribers(server: RedisServer, count: number): Promise<Socket[]> {
  const sockets = Array.from({ length: count }, () => connect(server.port, "127.0.0.1"));
  for (const socket of sockets) {
    await once(socket, "connect");
    socket.write(`SUBSCRIBE ${space.channel(0)}\r\n`);
    socket.resume();
  }
  await waitUntil("all subscribe", async () => String(await server.command("PUBSUB", "NUMSUB", space.channel(0))).endsWith(String(count)));
  return sockets;
}

/** All CPU of the server so far, in microseconds. */
async function cpuMicros(redis: Redis): Promise<number> {
  const info = await redis.info("cpu");
  const [user, system] = ["user", "sys"].map((kind) => Number(new RegExp(`used_cpu_${kind}:([\\d.]+)`).exec(info)?.[1]));
  return ((user ?? Number.NaN) + (system ?? Number.NaN)) * 1e6;
}

/** A fleet's connections: each process has one for commands, and one on which its heartbeats are heard. */
interface BeatingProcess {
  readonly data: Socket;
  readonly hearing: Socket;
  readonly heartbeat: Buffer;
}

async function openSocket(server: RedisServer): Promise<Socket> {
  const socket = connect({ port: server.port, host: "127.0.0.1", noDelay: true });
  await once(socket, "connect");
  return socket;
}

async function openFleet(server: RedisServer, sha: string, count: number): Promise<BeatingProcess[]> {
  const fleet: BeatingProcess[] = [];
  for (let index = 0; index < count; index += 1) {
    const [data, hearing] = [await openSocket(server), await openSocket(server)];
    const channel = `${space.base(0)}beat:${index}`;
    hearing.resume().write(`SUBSCRIBE ${channel}\r\n`);
    data.resume();
    const parts = ["EVALSHA", sha, "2", space.record(0), space.log(0), "0".repeat(32), "PUBLISH", channel, "0".repeat(32), ""];
    const heartbeat = Buffer.from(`*${parts.length}\r\n${parts.map((part) => `$${part.length}\r\n${part}\r\n`).join("")}`);
    fleet.push({ data, hearing, heartbeat });
  }
  await waitUntil(
    "all listen",
    async () => String(await server.command("PUBSUB", "CHANNELS", `${space.base(0)}beat:*`)).split(",").length === count,
  );
  return fleet;
}

/**
 * All CPU of the server in microseconds while a fleet sends heartbeats one by one, as they come, and how many it answered. In a burst it reads many at
 * once, and each costs half as much.
 */
async function paceFleet(redis: Redis, fleet: readonly BeatingProcess[], perSecond: number): Promise<{ micros: number; answered: number }> {
  const forMs = isMeasuring ? 1_000 : 50;
  const answered = async () => Number(/cmdstat_evalsha:calls=(\d+)/.exec(await redis.info("commandstats"))?.[1] ?? 0);
  const [cpuBefore, answeredBefore, startedAt] = [await cpuMicros(redis), await answered(), performance.now()];
  let sent = 0;
  for (let passedMs = 0; passedMs < forMs; passedMs = performance.now() - startedAt) {
    const { data, heartbeat } = fleet[sent % fleet.length] as BeatingProcess;
    if (sent < Math.floor((passedMs * perSecond) / 1_000)) {
      data.write(heartbeat);
      sent += 1;
    }
    // A timer would be late and send several at once.
    await new Promise((resolve) => setImmediate(resolve));
  }
  await waitUntil("all are answered", async () => (await answered()) - answeredBefore === sent);
  return { micros: (await cpuMicros(redis)) - cpuBefore, answered: sent };
}

describe("unit costs", () => {
  it("of an invalidation, a heartbeat and a replay", async () => {
    const server = await startRedisServer({ settings: { maxclients: "5000" } });
    const redis = new Redis(server.url);
    const sha = (text: string) => redis.script("LOAD", text) as Promise<string>;
    const [appendSha, checkSha, replaySha] = [await sha(append.text), await sha(check.text), await sha(replay.text)];
    const keys = [space.record(0), space.log(0)];
    const rows: Record<string, string> = {};
    try {
      for (const count of fanOuts) {
        const sockets = await subscribers(server, count);
        const send = () =>
          redis.evalsha(appendSha, 3, ...keys, space.tag(0, ""), "epoch", "PUBLISH", space.channel(0), "10000", body, "key", "", "1000");
        const cpuBefore = await cpuMicros(redis);
        rows[`append with ${count} subscribers, us in the script`] = (await serverMicros(redis, send)).toFixed(1);
        const all = ((await cpuMicros(redis)) - cpuBefore) / (rounds * repeats);
        rows[`append with ${count} subscribers, in bursts, us of all CPU`] = all.toFixed(1);
        for (const socket of sockets) socket.destroy();
        await waitUntil("all leave", async () => String(await server.command("PUBSUB", "NUMSUB", space.channel(0))).endsWith("0"));
      }
      const beat = () => redis.evalsha(checkSha, 2, ...keys, "epoch", "PUBLISH", `${space.base(0)}beat:x`, "0".repeat(32));
      rows["heartbeat, us in the script"] = (await serverMicros(redis, beat)).toFixed(1);
      const fleet = await openFleet(server, checkSha, isMeasuring ? 40 : 2);
      for (const perSecond of isMeasuring ? [400, 2_000, 4_000, 20_000] : [400]) {
        let least = Infinity;
        for (let round = 0; round < (isMeasuring ? 5 : 1); round += 1) {
          const [idle, busy] = [await paceFleet(redis, fleet, 0), await paceFleet(redis, fleet, perSecond)];
          least = Math.min(least, (busy.micros - idle.micros) / busy.answered);
          expect(busy.answered).toBeGreaterThan(0);
        }
        rows[`heartbeats at ${perSecond}/s, one by one, us of all CPU`] = least.toFixed(1);
      }
      for (const { data, hearing } of fleet) for (const socket of [data, hearing]) socket.destroy();
      const last = Number(await redis.hget(space.record(0), "seq"));
      const page = () => redis.evalsha(replaySha, 2, ...keys, String(Math.max(1, last - 499)), "500");
      if (isMeasuring) rows["replay of 500, us in the script"] = (await serverMicros(redis, page)).toFixed(1);
      const length = await redis.xlen(space.log(0));
      rows["log, bytes an entry"] = (Number(await redis.memory("USAGE", space.log(0), "SAMPLES", "0")) / length).toFixed(0);
      expect(length).toBeGreaterThan(0);
      expect(await beat()).toHaveLength(6);
    } finally {
      redis.disconnect();
      await server.stop();
    }
    const rig = new LaneRig();
    await rig.heartbeat();
    const count = isMeasuring ? 200_000 : 100;
    const texts = Array.from({ length: count }, (_, index) => encodeMessage("epoch1", index + 1, body));
    const cpuBefore = process.cpuUsage();
    for (const text of texts) rig.lane.onMessage(text);
    rows["message heard, us of CPU without the socket"] = ((process.cpuUsage(cpuBefore).user ?? 0) / count).toFixed(2);
    expect(rig.counters.messages).toBe(count);
    if (isMeasuring) console.table(rows);
  }, 300_000);

  it.runIf(isMeasuring)(
    "of a lost connection: until what was missed is known and proven",
    async () => {
      const server = await startRedisServer();
      const [a, b] = [new RedisInvalidationBus({ url: server.url }), new RedisInvalidationBus({ url: server.url })];
      const heard = new BusRecorder();
      const [channelA, channelB] = [a.join("units", new BusRecorder()), b.join("units", heard)];
      await Promise.all([channelA.ready(), channelB.ready()]);
      const took: number[] = [];
      for (let round = 0; round < 40; round += 1) {
        const [before, told] = [performance.now(), heard.heard.length];
        await server.command("CLIENT", "KILL", "TYPE", "pubsub");
        await channelA.invalidate({ kind: "key", key: `${round}` }, { budget: new Budget(1_000, systemClock) });
        await heard.until("told and proven", () => heard.heard.length > told && (heard.proofs.at(-1) ?? 0) > before);
        took.push(performance.now() - before);
      }
      took.sort((left, right) => left - right);
      console.log(
        `cut to coherent: p50 ${took[20]?.toFixed(0)} ms, p90 ${took[36]?.toFixed(0)} ms, max ${took[39]?.toFixed(0)} ms, resets ${b.stats().resets}`,
      );
      a.close();
      b.close();
      await server.stop();
    },
    120_000,
  );
});
