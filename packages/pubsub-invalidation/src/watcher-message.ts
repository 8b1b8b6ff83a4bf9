/** Asks every peer what it holds under a key. */
export interface WatcherQuestion {
  readonly larder: 1;
  readonly kind: "ask";
  readonly from: string;
  readonly id: number;
  readonly key: string;
}

/** What a peer holds: nothing when `ageMs` is absent. */
export interface WatcherAnswer {
  readonly larder: 1;
  readonly kind: "answer";
  readonly from: string;
  readonly to: string;
  readonly id: number;
  /** Milliseconds since it was stored. */
  readonly ageMs?: number;
  readonly version?: number;
}

/** Longest message taken in. */
const MAX_LENGTH = 65_536;

const isOptionalNumber = (value: unknown): boolean => value === undefined || typeof value === "number";

/** Reads a message; `undefined` for anything else. */
export function parseWatcherMessage(text: string): WatcherQuestion | WatcherAnswer | undefined {
  if (text.length > MAX_LENGTH) return undefined;
  try {
    const parsed = JSON.parse(text) as Partial<Record<string, unknown>> | null;
    if (typeof parsed !== "object" || parsed?.larder !== 1 || typeof parsed.from !== "string" || typeof parsed.id !== "number")
      return undefined;
    if (parsed.kind === "ask" && typeof parsed.key === "string") return parsed as unknown as WatcherQuestion;
    const isAnswer = parsed.kind === "answer" && typeof parsed.to === "string";
    return isAnswer && isOptionalNumber(parsed.ageMs) && isOptionalNumber(parsed.version)
      ? (parsed as unknown as WatcherAnswer)
      : undefined;
  } catch {
    return undefined;
  }
}
