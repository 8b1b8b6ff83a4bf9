import type { MaybePromise } from "@larder/cache-core";
import type { Peers } from "../peers.ts";
import type { Role } from "../scenario.ts";

/** Makes a key's value for a read-through call. */
export type LoadValue = (key: string) => Promise<unknown>;

/** A read-through cache of any library, behind the few calls that scenarios compare. One instance stands for one process. */
export interface ReadThroughCache {
  /** The cached value, else what `load` makes, stored. */
  getOrSet(key: string, load: LoadValue): MaybePromise<unknown>;
  /** The library's way to say that a key's value is no longer true, for all processes that it can reach. */
  invalidate(key: string): Promise<unknown>;
  /** Whether the first tier answers synchronously when it holds the key; `undefined` where the library has no such way. */
  readonly getSync?: (key: string) => unknown;
  /** Resolves when the cache hears of invalidations by others. */
  ready(): Promise<void>;
  close(): Promise<void>;
}

/** How an instance is made. */
export interface ReadThroughSetting {
  /** Where its own connections go; absent: in memory alone. */
  readonly redisUrl?: string;
  /** Another way to the same server for what carries invalidations, so that it can be cut alone. @default `redisUrl` */
  readonly busUrl?: string;
  /** Name shared by the instances that mean the same cache. */
  readonly namespace: string;
  /** Time to live in milliseconds. */
  readonly ttlMs: number;
}

/** One library of the comparison. */
export interface ReadThroughContender {
  readonly name: string;
  readonly role: Role;
  /** The peer's name in `peerPackages`; absent for what is built in. */
  readonly peer?: string;
  /** What it is composed of where that is not its default. */
  readonly note?: string;
  /** Whether processes tell each other of invalidations. */
  readonly hasBus: boolean;
  /** Whether processes share a second tier. */
  readonly hasL2: boolean;
  create(setting: ReadThroughSetting, peers: Peers): Promise<ReadThroughCache>;
}
