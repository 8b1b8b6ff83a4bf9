import type { FaultPlan } from "./schedule-plan.ts";
import type { SeededRandom } from "./seeded-random.ts";
import type { SimulatedLink } from "./simulated-link.ts";
import type { SimulatedProcess } from "./simulated-process.ts";
import type { SimulatedRedis, Snapshot } from "./simulated-redis.ts";
import type { VirtualTime } from "./virtual-time.ts";

/** What faults happen to, and who is told. */
export interface FaultContext {
  readonly time: VirtualTime;
  readonly redis: SimulatedRedis;
  readonly random: SeededRandom;
  /** By index; a crash puts another one in its place. */
  readonly processes: readonly SimulatedProcess[];
  /** Starts a process's next life. */
  boot(index: number): void;
  onFault(index: number, at: number): void;
  /** A process whose event loop stood still goes on, and has not handled anything yet. */
  onResume(process: SimulatedProcess): void;
  onCrash(process: SimulatedProcess): void;
}

/** Inflicts the faults of a plan, and heals what can be healed. */
export class FaultInjector {
  readonly #context: FaultContext;

  constructor(context: FaultContext) {
    this.#context = context;
  }

  /** Plans one fault. Called when the operations begin. @param keyName the name of the schedule's nth key */
  plan(index: number, fault: FaultPlan, keyName: (key: number) => string): void {
    const { time, redis, onFault } = this.#context;
    let snapshot: Snapshot = new Map();
    if (fault.kind === "failover") {
      time.schedule(fault.at - fault.lagMs, () => {
        snapshot = redis.snapshot();
      });
    }
    time.schedule(fault.at, () => {
      onFault(index, fault.at);
      if (fault.kind === "failover") this.#failOver(snapshot);
      else if (fault.kind === "corrupt") this.#corrupt(`v:${keyName(fault.key)}`, fault.byte, fault.bits);
      else this.#inflict(fault);
    });
  }

  /** Ends what lasts. */
  heal(): void {
    this.#context.redis.isFull = false;
    for (const process of this.#context.processes) {
      if (process.isPaused) this.#resume(process);
      process.unmute();
      for (const link of process.links) {
        link.resume();
        if (process.isAlive) link.unbar();
      }
    }
  }

  #inflict(fault: Exclude<FaultPlan, { kind: "failover" | "corrupt" }>): void {
    const { time, redis, processes } = this.#context;
    switch (fault.kind) {
      case "cut":
      case "bar":
      case "stall":
        this.#disturb(fault);
        break;
      case "mute": {
        const process = processes[fault.process] as SimulatedProcess;
        process.mute(fault.lane);
        time.schedule(fault.forMs, () => process.unmute());
        break;
      }
      case "pause":
        this.#pause(processes[fault.process] as SimulatedProcess, fault.forMs);
        break;
      case "crash":
        this.#crash(processes[fault.process] as SimulatedProcess, fault.forMs);
        break;
      case "jump":
        (processes[fault.process] as SimulatedProcess).wallSkewMs += fault.byMs;
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
        time.schedule(fault.forMs, () => {
          redis.isFull = false;
        });
    }
  }

  #failOver(snapshot: Snapshot): void {
    this.#context.redis.restartFrom(snapshot);
    for (const process of this.#context.processes) for (const link of process.links) link.cut();
  }

  #corrupt(ending: string, byte: number, bits: number): void {
    const { redis } = this.#context;
    for (const key of redis.keys()) if (key.endsWith(ending)) redis.corrupt(key, byte, bits);
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
    if (!process.isAlive) return;
    process.stop();
    this.#context.onCrash(process);
    this.#context.time.schedule(forMs, () => this.#context.boot(process.index));
  }
}
