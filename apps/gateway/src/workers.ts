import cluster, { type Worker } from "node:cluster";
import { availableParallelism } from "node:os";
import { type IpcEnd, ipcLink, WorkerBusHub, WorkerInvalidationBus } from "@larder/pubsub-invalidation/worker";
import { ANSWERS_NAMESPACE } from "./caching/answer-cache.ts";
import type { Settings } from "./config/schema.ts";
import { endWorkers } from "./end-workers.ts";
import { closeUnclaimedConnections } from "./handed-connections.ts";
import { createLocalTier, type SharedTier } from "./shared-tier.ts";
import { type RunningGateway, startGateway } from "./start-gateway.ts";
import { CounterHub, WorkerCounter } from "./worker-counter.ts";
import { WorkerNotes } from "./worker-notes.ts";
import { answerPulse, PATIENCE_MS, watchPulse } from "./worker-pulse.ts";
import { SurveyHub, WorkerSurvey } from "./worker-survey.ts";

/** What a worker tells the primary when it listens. */
export interface Announcement {
  readonly url: string;
  readonly adminTokenFile: string | undefined;
  /** Only at the start that made it: shown once, on a terminal. */
  readonly newAdminToken: string | undefined;
}

/** Why the workers did not start: as the first of them tells it, for all. */
export class WorkerStartError extends Error {
  /** What the program ends with. */
  readonly exitCode: number;

  constructor(message: string, exitCode: number) {
    super(message);
    this.name = "WorkerStartError";
    this.exitCode = exitCode;
  }
}

/** Tells the primary why this worker cannot start, and ends. It is the primary that prints it: once, however many workers there are. */
export function failWorker(message: string, exitCode: number): void {
  process.send?.({ type: FAILED, message, exitCode }, undefined, undefined, () => process.exit(exitCode));
}

const FAILED = "larder:failed";
const STOP = "larder:stop";
/** The same with a grace for load balancers. */
const DRAIN = "larder:drain";
const LISTENING = "larder:listening";
/** A worker asks what it is to be. */
const ASKED = "larder:asked";
const ASSIGNED = "larder:assigned";
/** Milliseconds between the death of a worker and its successor: one that dies at once must not take the machine with it. */
const RESPAWN_AFTER_MS = 1_000;

/** Milliseconds that a worker may take to end beside what the settings give it to drain: the last telemetry and invalidations are sent. */
const END_WITHIN_MS = 10_000;

/** How many processes the settings ask for. */
export function workerCount(settings: Pick<Settings, "workers">): number {
  return settings.workers === "auto" ? availableParallelism() : settings.workers;
}

/** Whether this process is a worker that the primary has forked. */
export function isWorker(): boolean {
  return cluster.isWorker && process.send !== undefined;
}

/** What the primary makes of a worker. */
interface Assignment {
  /** As the primary has read them: read again by the successor of a worker that died, a file that was changed meanwhile would make another gateway of it. */
  readonly settings: Settings;
  /** Its place among the workers, from 1 on, which its successor takes over: a name that is new each time would be a new series of every metric. */
  readonly place: number;
}

/** The primary's end of the channel, as a worker sees it. */
interface PrimaryEnd {
  send(message: object): void;
  listen(onMessage: (message: unknown) => void): void;
}

/**
 * Runs a worker: without Redis its invalidations go to the other workers through the primary, so that all of them stay coherent, and limits per minute are counted
 * there; requests at a time in any case. Signals are the primary's to hear: a terminal sends them to the whole group, and only one may decide.
 */
export async function runWorker(): Promise<void> {
  for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => undefined);
  // Listened for before anything else listens: the bus does too, and what comes while the gateway starts would reach the bus alone.
  const stop = (end: (gateway: RunningGateway) => Promise<void> = (gateway) => gateway.close()): void => {
    started.then(end).then(
      () => process.exit(0),
      () => process.exit(1),
    );
  };
  process.on("message", (message) => {
    if (message === STOP) stop();
    if (message === DRAIN) stop((gateway) => gateway.drain());
  });
  // The primary is gone: nobody would tell us to stop any more.
  process.on("disconnect", () => stop());
  const primary: PrimaryEnd = {
    send: (message: object) => void process.send?.(message, undefined, undefined, () => undefined),
    listen: (onMessage: (message: unknown) => void) => void process.on("message", onMessage),
  };
  answerPulse(primary);
  const started = startWorker(primary);
  const { url, adminTokenFile, newAdminToken } = await started;
  process.send?.({ type: LISTENING, announcement: { url, adminTokenFile, newAdminToken } satisfies Announcement });
}

async function startWorker(primary: PrimaryEnd): Promise<RunningGateway> {
  const { settings, place } = await askForAssignment(primary);
  const isAlone = settings.redisUrl === undefined;
  const survey = new WorkerSurvey(primary);
  return startGateway(settings, {
    survey,
    counter: new WorkerCounter(primary, isAlone ? ["requestsPerMinute", "tokensPerMinute", "concurrency"] : ["concurrency"]),
    worker: String(place),
    ...(isAlone ? { shared: openWorkerTier(survey) } : {}),
  });
}

/** Asked for, since what the primary sends by itself may come before anybody listens. */
function askForAssignment(primary: PrimaryEnd): Promise<Assignment> {
  return new Promise((resolve) => {
    primary.listen((message) => {
      const told = message as WorkerMessage | null;
      if (told?.type === ASSIGNED) resolve(told.assignment);
    });
    primary.send({ type: ASKED });
  });
}

function openWorkerTier(survey: WorkerSurvey): SharedTier {
  return createLocalTier({
    bus: new WorkerInvalidationBus(),
    notes: new WorkerNotes(survey),
    openWatcherPort: async () => {
      const { workerWatcherPort } = await import("@larder/pubsub-invalidation/watcher");
      return workerWatcherPort(ipcLink(process as IpcEnd), `watch:${ANSWERS_NAMESPACE}`);
    },
  });
}

/** The primary's end of the channel to a worker. */
function endOf(worker: Worker): { send(message: object): void; listen(onMessage: (message: unknown) => void): void } {
  return {
    // The callback takes the error of a channel that is closing, which would be thrown otherwise.
    send: (message) => void worker.send(message, undefined, () => undefined),
    listen: (onMessage) => void worker.on("message", onMessage),
  };
}

/** What a worker tells of its start, and what it is told for it. */
type WorkerMessage =
  | { readonly type: typeof ASKED }
  | { readonly type: typeof ASSIGNED; readonly assignment: Assignment }
  | { readonly type: typeof LISTENING; readonly announcement: Announcement }
  | { readonly type: typeof FAILED; readonly message: string; readonly exitCode: number }
  | undefined;

/** The workers of one machine, seen from their primary. */
export class WorkerFleet {
  readonly #hub = new WorkerBusHub();
  readonly #survey = new SurveyHub();
  readonly #counter = new CounterHub();
  readonly #settings: Settings;
  readonly #complain: (message: string) => void;
  /** By the worker's id. */
  readonly #places = new Map<number, number>();
  #isStopping = false;

  /** @param complain told what becomes of workers while they are up: which have died, could not start, stood still, or had to be killed */
  constructor(settings: Settings, complain: (message: string) => void) {
    this.#settings = settings;
    this.#complain = complain;
  }

  /**
   * Forks the workers. @returns what the first of them tells when it listens
   * @throws {WorkerStartError} when one ends before that; the others are ended as well
   */
  start(count: number): Promise<Announcement> {
    this.#hub.attachCluster(cluster);
    closeUnclaimedConnections();
    cluster.on("fork", (worker) => void worker.once("exit", this.#counter.add(endOf(worker))));
    return new Promise((resolve, reject) => {
      let isUp = false;
      let failure: WorkerStartError | undefined;
      cluster.on("message", (worker: Worker, message: WorkerMessage) => {
        if (message?.type === ASKED) this.#assign(worker);
        if (message?.type === FAILED && isUp) this.#complain(message.message);
        if (message?.type === FAILED) failure ??= new WorkerStartError(message.message, message.exitCode);
        if (message?.type !== LISTENING) return;
        this.#include(worker);
        if (isUp) return;
        isUp = true;
        resolve(message.announcement);
      });
      const giveUp = (code: number | null): void => {
        reject(failure ?? new WorkerStartError(`a worker ended with code ${code} before it listened`, 1));
        this.close().catch(() => undefined);
      };
      cluster.on("exit", (worker, code, signal) => {
        if (this.#isStopping) return;
        if (isUp) this.#replace(worker, signal || `code ${code}`);
        // What it has said may still be on its way.
        else if (worker.isConnected()) worker.once("disconnect", () => giveUp(code));
        else giveUp(code);
      });
      for (let place = 1; place <= count; place += 1) this.#fork(place);
    });
  }

  #fork(place: number): void {
    this.#places.set(cluster.fork().id, place);
  }

  #assign(worker: Worker): void {
    endOf(worker).send({ type: ASSIGNED, assignment: { settings: this.#settings, place: this.#placeOf(worker) } satisfies Assignment });
  }

  #placeOf({ id }: Worker): number {
    return this.#places.get(id) as number;
  }

  #include(worker: Worker): void {
    worker.once("exit", this.#survey.add(endOf(worker)));
    worker.once(
      "exit",
      watchPulse(endOf(worker), () => this.#giveUp(worker)),
    );
  }

  /** Whoever ends is waited for elsewhere, and what has ended is replaced. */
  #giveUp(worker: Worker): void {
    if (this.#isStopping) return;
    this.#complain(`worker ${this.#placeOf(worker)} has not answered for ${PATIENCE_MS / 1_000} seconds and is killed`);
    worker.process.kill("SIGKILL");
  }

  /** When all workers have died together, nothing but the timer keeps this process. */
  #replace(worker: Worker, how: string): void {
    const place = this.#placeOf(worker);
    this.#places.delete(worker.id);
    this.#complain(`worker ${place} has ended (${how}); another one takes its place`);
    setTimeout(() => this.#isStopping || this.#fork(place), RESPAWN_AFTER_MS);
  }

  /** Has every worker drain, and resolves when all have ended; rejects when one had to be killed, which was not done in time. Calling it or `close` again kills them. */
  drain(): Promise<void> {
    return this.#end(DRAIN);
  }

  /** The same without the grace. */
  close(): Promise<void> {
    return this.#end(STOP);
  }

  async #end(message: typeof STOP | typeof DRAIN): Promise<void> {
    const workers = Object.values(cluster.workers ?? {}).filter((worker) => worker !== undefined);
    if (this.#isStopping) for (const worker of workers) worker.process.kill("SIGKILL");
    this.#isStopping = true;
    const { drain, drainGrace } = this.#settings;
    const killed = await endWorkers(workers, message, drainGrace + drain + END_WITHIN_MS);
    this.#hub.close();
    if (killed === 0) return;
    this.#complain(`${killed} of ${workers.length} workers did not end in time and were killed`);
    throw new Error("workers were killed");
  }
}
