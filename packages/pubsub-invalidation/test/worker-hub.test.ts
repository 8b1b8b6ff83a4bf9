import { Budget, systemClock } from "@larder/cache-core";
import { BusRecorder, ManualClock, settle, waitUntil } from "@larder/cache-testing";
import { afterEach, describe, expect, it } from "vitest";
import { WorkerBusHub, WorkerInvalidationBus, type WorkerLink } from "../src/worker.ts";
import { linkPair } from "../src/worker-link.ts";
import type { WorkerMessage } from "../src/worker-message.ts";

const opened: Array<() => unknown> = [];
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
});

const call = () => ({ budget: new Budget(5_000, systemClock) });
const heartbeatMs = 40;

/** A channel to a worker that may stand still: what is sent to it then waits in the primary's memory. */
function stoppable() {
  const [primary, worker] = linkPair();
  const waiting: WorkerMessage[] = [];
  let isStopped = false;
  const primaryEnd: WorkerLink = {
    listen: (onMessage, onClosed) => primary.listen(onMessage, onClosed),
    send: (message) => void (isStopped ? waiting.push(message) : primary.send(message)),
  };
  const workerEnd: WorkerLink = {
    listen: (onMessage, onClosed) => worker.listen(onMessage, onClosed),
    send: (message) => void (isStopped || worker.send(message)),
  };
  return {
    primaryEnd,
    workerEnd,
    waiting,
    stop: () => {
      isStopped = true;
    },
    goOn: () => {
      isStopped = false;
      for (const message of waiting.splice(0)) primary.send(message);
    },
  };
}

function join(bus: WorkerInvalidationBus, heard = new BusRecorder()) {
  opened.push(() => bus.close());
  return { bus, heard, channel: bus.join("n", heard) };
}

describe("WorkerBusHub", () => {
  // Regression: timers run before messages are read, and everything that a worker had asked for before it was busy counted as unanswered.
  it("takes an answer that lay in the channel while its worker was busy for one that came in time", async () => {
    const clock = new ManualClock();
    const hub = new WorkerBusHub(clock);
    opened.push(() => hub.close());
    const { primaryEnd, workerEnd, waiting, stop, goOn } = stoppable();
    hub.connect(primaryEnd);
    const { channel } = join(new WorkerInvalidationBus({ link: workerEnd, heartbeatMs: 5_000, clock }));
    await channel.ready();
    const told = channel.invalidate({ kind: "key", key: "k" }, { budget: new Budget(50, clock) });
    stop();
    await settle();
    expect(waiting.map(({ kind }) => kind)).toContain("reply");
    clock.advance(50);
    goOn();
    await settle();
    clock.advance(50);
    await expect(told).resolves.toMatchObject({ seq: 1 });
  });

  // Regression: a primary that made a bus for each of its caches in turn kept a place for every one, and looked through them at each message.
  it("forgets a bus of its own process that was closed, and tells one that is open when it closes itself", async () => {
    const hub = new WorkerBusHub();
    const [closed, open] = [join(hub.createBus({ heartbeatMs })), join(hub.createBus({ heartbeatMs }))];
    await Promise.all([closed.channel.ready(), open.channel.ready()]);
    expect(hub.size).toBe(2);
    closed.bus.close();
    await settle();
    expect(hub.size).toBe(1);
    hub.close();
    await settle();
    expect([hub.size, open.bus.stats().isConnected]).toEqual([0, false]);
  });

  it("keeps no more than a bound for a worker that stands still, which afterwards learns what it has missed", async () => {
    const hub = new WorkerBusHub();
    opened.push(() => hub.close());
    const link = stoppable();
    hub.connect(link.primaryEnd);
    const logLength = 50_000;
    const issuer = join(hub.createBus({ heartbeatMs, logLength }));
    const stopped = join(new WorkerInvalidationBus({ link: link.workerEnd, heartbeatMs, logLength }));
    await Promise.all([issuer.channel.ready(), stopped.channel.ready()]);
    const resets = stopped.heard.resets.length;
    link.stop();
    const filler = "x".repeat(2_000);
    for (let round = 0; round < 10; round += 1) {
      const keys = Array.from({ length: 500 }, (_, index) => `${filler}${round}.${index}`);
      await Promise.all(keys.map((key) => issuer.channel.invalidate({ kind: "key", key }, call())));
    }
    const waitingCharacters = link.waiting.reduce((sum, message) => sum + (message.kind === "message" ? message.text.length : 0), 0);
    expect(waitingCharacters).toBeGreaterThan(3_000_000);
    expect(waitingCharacters).toBeLessThan(4 * 1_024 * 1_024);
    link.goOn();
    await stopped.heard.proofOf(systemClock.now());
    expect(stopped.heard.resets).toHaveLength(resets);
    const told = new Set(stopped.heard.targets.map((target) => (target.kind === "key" ? target.key : "")));
    expect(told.size).toBe(5_000);
    // It is sent messages again, and not only told by its heartbeats what it has missed.
    const { replays } = stopped.bus.stats();
    await issuer.channel.invalidate({ kind: "key", key: "afterwards" }, call());
    await waitUntil("the next one", () => stopped.heard.targets.some((target) => target.kind === "key" && target.key === "afterwards"));
    expect(stopped.bus.stats().replays).toBe(replays);
  });

  it("tells several buses of one worker apart, and goes on serving one when another closes", async () => {
    const hub = new WorkerBusHub();
    opened.push(() => hub.close());
    const [primaryEnd, workerEnd] = linkPair();
    hub.connect(primaryEnd);
    const options = { link: workerEnd, heartbeatMs };
    const [first, second] = [join(new WorkerInvalidationBus(options)), join(new WorkerInvalidationBus(options))];
    const issuer = join(hub.createBus({ heartbeatMs }));
    await Promise.all([first, second, issuer].map(({ channel }) => channel.ready()));
    expect([first, second].map(({ bus }) => [bus.stats().resets, bus.stats().malformed])).toEqual([
      [0, 0],
      [0, 0],
    ]);
    // Each is answered with its own place, not with the other's.
    const places = await Promise.all([first, second].map(({ channel }) => channel.invalidate({ kind: "key", key: "k" }, call())));
    expect(places.map(({ seq }) => seq).sort()).toEqual([1, 2]);
    await first.channel.invalidate({ kind: "key", key: "k" }, call());
    first.bus.close();
    const { gaps } = second.bus.stats();
    await issuer.channel.invalidate({ kind: "key", key: "afterwards" }, call());
    await second.heard.until("the one afterwards", () => second.heard.heard.length === 3);
    await second.heard.proofOf(systemClock.now());
    expect(second.bus.stats().gaps).toBe(gaps);
  });
});
