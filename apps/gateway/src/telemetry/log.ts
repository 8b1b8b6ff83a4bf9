import pino from "pino";

/** What the gateway logs with. */
export type Log = Pick<pino.Logger, "fatal" | "error" | "warn" | "info" | "debug">;

/** Bytes of lines that wait to be written at most: what comes while a disk is full or a reader stands still is lost. */
const MAX_WAITING_BYTES = 1024 * 1024;
/** Longest text in a log line: a model name may be a megabyte. */
const MAX_TEXT = 512;
const HIDDEN = [
  "authorization",
  "apiKey",
  "api_key",
  "key",
  "token",
  "password",
  "secret",
  "*.authorization",
  "*.apiKey",
  "*.key",
  "*.token",
];

/**
 * One JSON line per event on stderr; stdout is for the start's own words. Credentials are held in `Secret`, which prints as `[redacted]`; on
 * top of that, errors are reduced to name, code and their own frames, since clients put headers and arguments on them, and long texts are
 * cut. pino escapes line ends and control characters itself, so that no value can begin a line of its own.
 */
export function createLog(level: string): Log {
  const destination = pino.destination({ dest: 2, sync: false, maxLength: MAX_WAITING_BYTES });
  // Without a listener the error would end the process, and requests with it, for the sake of a line.
  destination.on("error", () => {
    // Called when the process ends, it would try again for ever, and the process never end.
    destination.flushSync = () => undefined;
  });
  return pino(
    {
      level,
      base: { service: "larder-gateway", pid: process.pid },
      redact: { paths: HIDDEN, censor: "[redacted]" },
      serializers: { error: describeError, err: describeError },
      formatters: { log: (fields) => Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, cut(value)])) },
    },
    destination,
  );
}

function cut(value: unknown): unknown {
  return typeof value === "string" && value.length > MAX_TEXT ? `${value.slice(0, MAX_TEXT)}…` : value;
}

function describeError(error: unknown): unknown {
  if (!(error instanceof Error)) return { type: typeof error };
  const frames = error.stack
    ?.split("\n")
    .filter((line) => /^\s+at /.test(line))
    .slice(0, 5)
    .map((line) => line.trim());
  return { name: error.name, code: (error as { code?: unknown }).code, frames };
}
