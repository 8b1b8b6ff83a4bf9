import type { FaultPlan } from "./fault-plan.ts";
import type { StoreOutage } from "./schedule-plan.ts";
import type { SeededRandom } from "./seeded-random.ts";
import type { SimulatedAddress, SimulatedServer } from "./simulated-address.ts";
import type { SimulatedLink } from "./simulated-link.ts";
import type { SimulatedProcess } from "./simulated-process.ts";
import type { Snapshot } from "./simulated-redis.ts";
import type { VirtualTime } from "./virtual-time.ts";

/** What faults happen to, and who is told. */
export interface FaultContext {
  readonly time: VirtualTime;
  /** The second tier's, one for each shard, and the bus's where that has one of its own. */
  readonly addresses: readonly SimulatedAddress[];
  readonly random: SeededRandom;
  /** By index; a crash puts another one in its place. */
  readonly processes: readonly SimulatedProcess[];
  /** Starts a process's next life. */
  boot(index: number): void;
  /** Whether a process that ends closes its cache before. */
  readonly isOrderly: boolean;
  onFault(index: number, at: number): void;
  /** A process whose event loop stood still goes on, and has not handled anything yet. */
  onResume(process: SimulatedProcess): void;
  onCrash(process: SimulatedProcess): void;
  /** Something does not end that must. */
  onViolation(violation: string): void;
}

/** Virtual milliseconds within which a cache must be closed, however it stands with its server: two of the bus's deadlines, with room. */
const CLOSE_LIMIT_MS = 3_000;

/** Inflicts the faults of a plan, and heals what can be healed. */
export class FaultInjector {
  readonly #context: FaultContext;
  #isOutageEndless = false;

  constructor(context: FaultContext) {
    this.#context = context;
  }

  /** Plans one fault. Called when the operations begin. @param keyName the name of the schedule's nth key */
  plan(index: number, fault: FaultPlan, keyName: (key: number) => string): void {
    const { time, onFault } = this.#context;
    const address = this.#addressOf(fault);
    let snapshot: Snapshot = new Map();
    if (fault.kind === "failover" || fault.kind === "demote") {
      time.schedule(fault.at - fault.lagMs, () => {
        snapshot = address.master.redis.snapshot();
      });
    }
    time.schedule(fault.at, () => {
      onFault(index, fault.at);
      if (fault.kind === "failover") this.#failOver(address, snapshot);
      else if (fault.kind === "demote") this.#demote(address, snapshot, fault);
      else if (fault.kind === "corrupt") this.#corrupt(`v:${keyName(fault.key)}`, fault.byte, fault.bits);
      else this.#inflict(fault);
    });
  }

  /** Plans that nobody reaches a server for a while. Called when the operations begin. */
  planOutage(address: SimulatedAddress, { at, forMs }: StoreOutage): void {
    const { time } = this.#context;
    time.schedule(at, () => {
      address.isAway = true;
      for (const process of this.#context.processes) for (const link of process.linksTo(address)) link.cut();
    });
    if (forMs < Infinity) time.schedule(Math.max(0, at) + forMs, () => this.#endOutage(address));
    this.#isOutageEndless = forMs === Infinity;
  }

  /** Ends what lasts. */
  heal(): void {
    for (const address of this.#context.addresses) {
      for (const former of address.servers.slice(0, -1)) this.#retire(address, former);
      address.master.redis.isFull = false;
      address.master.redis.refusal = undefined;
      address.master.redis.writeRefusal = undefined;
      if (address.isAway && !this.#isOutageEndless) this.#endOutage(address);
    }
    for (const process of this.#context.processes) {
      if (process.isPaused) this.#resume(process);
      process.unmute();
      for (const link of process.links) {
        link.resume();
        if (process.isAlive) link.unbar();
      }
    }
  }

  #inflict(fault: Exclude<FaultPlan, { kind: "failover" | "demote" | "corrupt" }>): void {
    if (!("process" in fault)) {
      this.#inflictOnServer(fault);
      return;
    }
    const process = this.#context.processes[fault.process] as SimulatedProcess;
    switch (fault.kind) {
      case "cut":
      case "bar":
      case "stall":
        this.#disturb(fault);
        break;
      case "mute":
        process.mute(fault.lane);
        this.#later(fault.forMs, () => process.unmute());
        break;
      case "flood":
        if (process.isAlive) process.flood(fault.messages);
        break;
      case "pause":
        this.#pause(process, fault.forMs);
        break;
      case "crash":
        this.#crash(process, fault.forMs);
        break;
      case "jump":
        process.wallSkewMs += fault.byMs;
    }
  }

  #inflictOnServer(fault: Extract<FaultPlan, { kind: "server-jump" | "flush" | "evict" | "full" | "freeze" | "refuse" }>): void {
    const address = this.#addressOf(fault);
    const { redis } = address.master;
    switch (fault.kind) {
      case "server-jump":
        redis.skewMs += Math.trunc(fault.byMs);
        break;
      case "flush":
        redis.flush();
        break;
      case "evict": {
        const keys = redis.keys();
        if (keys.length > 0) redis.evict(keys[fault.which % keys.length] as string);
        break;
      }
      case "full":
        redis.isFull = true;
        this.#later(fault.forMs, () => {
          redis.isFull = false;
        });
        break;
      case "refuse": {
        const what = fault.isOfWrites ? "writeRefusal" : "refusal";
        redis[what] = fault.error;
        this.#later(fault.forMs, () => {
          if (redis[what] === fault.error) redis[what] = undefined;
        });
        break;
      }
      case "freeze":
        this.#freeze(address, fault.forMs);
    }
  }

  #later(delayMs: number, run: () => void): void {
    this.#context.time.schedule(delayMs, run);
  }

  /** Which server a fault happens to: by what stays the same when others are left out. */
  #addressOf({ at }: FaultPlan): SimulatedAddress {
    const { addresses } = this.#context;
    return addresses[Math.floor(at * 1_000) % addresses.length] as SimulatedAddress;
  }

  #endOutage(address: SimulatedAddress): void {
    address.isAway = false;
    for (const process of this.#context.processes) if (process.isAlive) for (const link of process.linksTo(address)) link.connect();
  }

  #failOver(address: SimulatedAddress, snapshot: Snapshot): void {
    address.master.redis.restartFrom(snapshot);
    for (const process of this.#context.processes) for (const link of process.linksTo(address)) link.cut();
  }

  /** One process stays with the former master, by some of its connections; all others are sent to the new one. */
  #demote(address: SimulatedAddress, snapshot: Snapshot, fault: Extract<FaultPlan, { kind: "demote" }>): void {
    const { time, processes } = this.#context;
    const stays = (processes[fault.process] as SimulatedProcess).linksTo(address).filter((_, index) => (fault.links >> (index % 4)) & 1);
    const former = address.demote(snapshot, stays, fault.isSticky, fault.following ?? { afterMs: Infinity, lagMs: 0 });
    for (const process of processes) for (const link of process.linksTo(address)) if (!stays.includes(link)) link.cut();
    time.schedule(fault.forMs, () => this.#retire(address, former));
  }

  /** It reads and answers nothing, and goes on with what has come. */
  #freeze(address: SimulatedAddress, forMs: number): void {
    const { time, processes } = this.#context;
    const frozen = processes
      .filter(({ isAlive }) => isAlive)
      .flatMap((process) => process.linksTo(address).map((link) => ({ process, link })));
    for (const { link } of frozen) link.stall();
    time.schedule(forMs, () => {
      for (const { process, link } of frozen) if (!process.isPaused) link.resume();
    });
  }

  #retire(address: SimulatedAddress, former: SimulatedServer): void {
    for (const link of address.retire(former)) link.cut();
  }

  #corrupt(ending: string, byte: number, bits: number): void {
    for (const { master } of this.#context.addresses)
      for (const key of master.redis.keys()) if (key.endsWith(ending)) master.redis.corrupt(key, byte, bits);
  }

  #disturb(fault: Extract<FaultPlan, { kind: "cut" | "bar" | "stall" }>): void {
    const { time, processes } = this.#context;
    const process = processes[fault.process] as SimulatedProcess;
    const link = process.links[fault.link % process.links.length] as SimulatedLink;
    if (!process.isAlive) return;
    if (fault.kind === "cut") {
      link.cut();
    } else if (fault.kind === "bar") {
      link.bar();
      time.schedule(fault.forMs, () => link.unbar());
    } else {
      link.stall();
      time.schedule(fault.forMs, () => {
        if (!process.isPaused) link.resume();
      });
    }
  }

  /** The event loop stands still. When it goes on, whoever reads first reads before any late timer or message is handled. */
  #pause(process: SimulatedProcess, forMs: number): void {
    if (!process.isAlive || process.isPaused) return;
    process.pause();
    this.#context.time.schedule(forMs, () => this.#resume(process));
  }

  #resume(process: SimulatedProcess): void {
    if (!process.isPaused) return;
    process.isPaused = false;
    if (process.isAlive) this.#context.onResume(process);
    process.resume(this.#context.random);
  }

  #crash(process: SimulatedProcess, forMs: number): void {
    if (!process.isAlive || process.isClosing) return;
    if (this.#context.isOrderly) this.#close(process, forMs);
    else this.#end(process, forMs);
  }

  #end(process: SimulatedProcess, forMs: number): void {
    process.stop();
    this.#context.onCrash(process);
    this.#context.time.schedule(forMs, () => this.#context.boot(process.index));
  }

  /** It answers what it was asked for, tells what is left to be told, and goes. Whatever its server does, that comes to an end. */
  #close(process: SimulatedProcess, forMs: number): void {
    const { time, onViolation } = this.#context;
    const begunAt = time.now;
    process.isClosing = true;
    const finish = (problem?: string): void => {
      if (!process.isAlive) return;
      if (problem !== undefined) onViolation(`I23 process ${process.index}: close() from ${begunAt.toFixed(3)} ${problem}`);
      this.#end(process, forMs);
    };
    void (async () => process.cache.close())().then(
      () => finish(),
      (error: unknown) => finish(`failed with ${String(error)}`),
    );
    time.schedule(CLOSE_LIMIT_MS, () => finish(`took more than ${CLOSE_LIMIT_MS} ms`));
  }
}
