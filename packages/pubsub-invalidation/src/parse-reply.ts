/** A heartbeat as the check script publishes it. */
export interface HeartbeatText {
  readonly nonce: string;
  readonly epoch: string;
  readonly seq: number;
}

/** Longest heartbeat: nonce, epoch and seq are all short. */
const MAX_HEARTBEAT_LENGTH = 256;

/** Reads a heartbeat; `undefined` for anything else. */
export function parseHeartbeat(text: string): HeartbeatText | undefined {
  if (text.length > MAX_HEARTBEAT_LENGTH) return undefined;
  const [nonce, epoch, digits] = text.split(" ");
  if (!nonce || !epoch || !digits || !/^\d{1,15}$/.test(digits)) return undefined;
  return { nonce, epoch, seq: Number(digits) };
}

/** A page of the log as the replay script answers it. */
export interface LogPage {
  /** `undefined`: the version record is lost. */
  readonly epoch: string | undefined;
  readonly seq: number;
  readonly entries: readonly unknown[];
}

/** Reads a page; `undefined` for a reply of another shape. */
export function parseLogPage(reply: unknown): LogPage | undefined {
  if (!Array.isArray(reply) || !Array.isArray(reply[2])) return undefined;
  const [epoch, seq, entries] = reply as [unknown, unknown, unknown[]];
  return { epoch: typeof epoch === "string" ? epoch : undefined, seq: Number(seq ?? 0), entries };
}

/** Reads an entry of the log, `[seq-0, ["b", body]]`; `undefined` for another shape. */
export function parseLogEntry(raw: unknown): { readonly seq: number; readonly body: string } | undefined {
  if (!Array.isArray(raw) || typeof raw[0] !== "string" || !Array.isArray(raw[1])) return undefined;
  const digits = /^(\d{1,15})-0$/.exec(raw[0])?.[1];
  const body: unknown = raw[1][raw[1].indexOf("b") + 1];
  return digits !== undefined && typeof body === "string" ? { seq: Number(digits), body } : undefined;
}
