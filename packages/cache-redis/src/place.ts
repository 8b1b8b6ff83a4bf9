import type { Lane } from "./lane.ts";

/** A key: where it lives and how it is spelt there. */
export interface Place {
  readonly lane: Lane;
  readonly key: string;
  /** The key as it is spelt in Redis. */
  readonly name: string;
}
