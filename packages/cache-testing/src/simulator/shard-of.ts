import { laneOf } from "./lane-of.ts";

/** Which of so many shards keeps a key or carries a channel, by its name: lanes are dealt out to them in turn. */
export const shardOf = (name: string, shards: number): number => (shards === 1 ? 0 : (laneOf(name) ?? 0) % shards);
