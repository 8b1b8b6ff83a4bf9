import type { Invalidation, InvalidationTarget } from "./invalidation.ts";

/** The version of the wire format. A message of another one is counted and ignored: the proof's sequence check then asks the log. */
const FORMAT = "1";
/** What stands before the body. A heartbeat, which comes on the same channels more often, is told apart by how it begins. */
const HEAD = /^1 ([^ ]+) (\d{1,15}) /;
/** Longest message taken in, in characters: a key, or what it becomes in JSON, is seldom near it. */
const MAX_LENGTH = 1_048_576;
/** Room for what a message has beside its body: format, epoch, seq, signature. */
const HEAD_LENGTH = 1_024;

/** What a body tells. */
export interface DecodedBody extends Pick<Invalidation, "origin" | "target"> {
  /** Proof of the sender, where the bus signs: over the body as it is without it. */
  readonly signature: string | undefined;
}

/**
 * The part of a message that its sender knows before the script gives it a place in the order. JSON keeps lone surrogates apart. A subject
 * that is too long to be told is told as all: nobody would take the message in, and each would drop everything later, when it finds the hole.
 * @param signature proof of the sender over the body as it is without it; `undefined` = none
 */
export function encodeBody(origin: string, target: InvalidationTarget, signature?: string): string {
  const subject = target.kind === "key" ? target.key : target.kind === "tag" ? target.tag : target.kind === "pattern" ? target.pattern : "";
  const told: readonly string[] = isTellable(subject) ? [target.kind, subject] : ["all", ""];
  return JSON.stringify(signature === undefined ? [origin, ...told] : [origin, ...told, signature]);
}

/** Whether a message can carry a subject. A character takes six at most, as `\u0000` does. */
function isTellable(subject: string): boolean {
  const longest = MAX_LENGTH - HEAD_LENGTH;
  return subject.length <= longest / 6 || JSON.stringify(subject).length <= longest;
}

/** A whole message: format, epoch, seq and body, as the scripts compose it. */
export function encodeMessage(epoch: string, seq: number, body: string): string {
  return `${FORMAT} ${epoch} ${seq} ${body}`;
}

function toTarget(kind: unknown, subject: string): InvalidationTarget | undefined {
  if (kind === "key") return { kind, key: subject };
  if (kind === "tag") return { kind, tag: subject };
  if (kind === "pattern") return { kind, pattern: subject };
  return kind === "all" ? { kind } : undefined;
}

/** Reads a message's body. `undefined` for anything that is not one: parsing never throws. */
export function decodeBody(body: string): DecodedBody | undefined {
  if (body.length > MAX_LENGTH) return undefined;
  try {
    const parsed: unknown = JSON.parse(body);
    if (!Array.isArray(parsed) || typeof parsed[0] !== "string" || typeof parsed[2] !== "string") return undefined;
    const target = toTarget(parsed[1], parsed[2]);
    return target && { origin: parsed[0], target, signature: typeof parsed[3] === "string" ? parsed[3] : undefined };
  } catch {
    return undefined;
  }
}

/** Reads a message. `undefined` for garbage, a foreign format or a message that is too long: parsing never throws. */
export function decodeMessage(text: string): (Invalidation & DecodedBody) | undefined {
  const head = text.length > MAX_LENGTH ? null : HEAD.exec(text);
  const decoded = head && decodeBody(text.slice(head[0].length));
  return decoded ? { epoch: head[1] as string, seq: Number(head[2]), ...decoded } : undefined;
}
