import type { InvalidationBus } from "@larder/cache-core";
import type { PlanLimits, ProcessContext } from "@larder/cache-testing";
import { WorkerBusHub, WorkerInvalidationBus, type WorkerLink } from "@larder/pubsub-invalidation/worker";

type WorkerMessage = Parameters<WorkerLink["send"]>[0];
type Hear = (message: WorkerMessage) => void;

/** What may go wrong where processes talk over a channel of the operating system: it is slow or ends with one of them, and loses nothing. */
export const WORKER_FAULTS: NonNullable<PlanLimits["faults"]> = ["pause", "crash", "stall", "jump", "evict", "flush", "full", "corrupt"];

/** One for each schedule. */
const hubs: WeakMap<object, WorkerBusHub> = new WeakMap();

/** The hub in the primary process of a schedule's workers. The simulator hears what it publishes. */
function hubOf({ elsewhere, clock, lanes }: ProcessContext): WorkerBusHub {
  const held = hubs.get(elsewhere.schedule);
  if (held) return held;
  const hub = new WorkerBusHub(clock);
  hubs.set(elsewhere.schedule, hub);
  const channels = Array.from({ length: lanes }, (_, lane) => `larder:{sim.${lane}}:bus`);
  const tell: Hear = (message) => {
    if (message.kind === "message") elsewhere.onPublish(message.channel, message.text);
  };
  hub.connect({
    send: tell,
    listen: (hear) => {
      queueMicrotask(() => hear({ larder: 1, kind: "subscribe", from: "the simulator", channels }));
      return () => {};
    },
  });
  return hub;
}

/** A worker's bus, whose channel to the hub has the latency and the faults of one of its simulated connections. */
export function createSimulatedWorkerBus(context: ProcessContext): InvalidationBus {
  const { busPort, elsewhere, clock, random, lanes, watch } = context;
  const [link] = busPort.links;
  if (!link) throw new Error("a simulated process has a connection for its bus");
  const inWorker: Set<Hear> = new Set();
  const inHub: Set<Hear> = new Set();
  const listenWith =
    (listeners: Set<Hear>): WorkerLink["listen"] =>
    (hear) => {
      listeners.add(hear);
      return () => void listeners.delete(hear);
    };
  const deliver = (message: WorkerMessage): void => {
    for (const hear of inWorker) hear(message);
    if (message.kind === "message") elsewhere.onDelivery(message.channel, message.text);
  };
  hubOf(context).connect({ send: (message) => link.push(() => deliver(message)), listen: listenWith(inHub) });
  link.connect();
  const toHub: Hear = (message) =>
    link.send(() => {
      for (const hear of inHub) hear(message);
    }, true);
  return watch(new WorkerInvalidationBus({ link: { send: toHub, listen: listenWith(inWorker) }, clock, random, lanes }));
}
