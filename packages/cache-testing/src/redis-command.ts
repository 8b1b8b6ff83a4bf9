import { connect } from "node:net";

/** A reply of Redis in the simplest form: text, number, list, or nothing. Errors are rejections. */
export type RedisReply = string | number | null | RedisReply[];

interface Parsed {
  readonly value: RedisReply | Error;
  readonly end: number;
}

function parseLines(buffer: Buffer, start: number, count: number): Parsed | undefined {
  const values: RedisReply[] = [];
  let end = start;
  for (let index = 0; index < count; index += 1) {
    const item = parseReply(buffer, end);
    if (!item) return undefined;
    values.push(item.value instanceof Error ? item.value.message : item.value);
    end = item.end;
  }
  return { value: values, end };
}

/** Reads one RESP2 reply; `undefined` while it is not complete. */
function parseReply(buffer: Buffer, start = 0): Parsed | undefined {
  const lineEnd = buffer.indexOf("\r\n", start);
  if (lineEnd < 0) return undefined;
  const line = buffer.toString("utf8", start + 1, lineEnd);
  const end = lineEnd + 2;
  switch (String.fromCharCode(buffer[start] ?? 0)) {
    case "-":
      return { value: new Error(line), end };
    case ":":
      return { value: Number(line), end };
    case "$": {
      const length = Number(line);
      if (length < 0) return { value: null, end };
      return buffer.length < end + length + 2 ? undefined : { value: buffer.toString("utf8", end, end + length), end: end + length + 2 };
    }
    case "*":
      return Number(line) < 0 ? { value: null, end } : parseLines(buffer, end, Number(line));
    default:
      return { value: line, end };
  }
}

function encode(args: readonly string[]): string {
  return `*${args.length}\r\n${args.map((argument) => `$${Buffer.byteLength(argument)}\r\n${argument}\r\n`).join("")}`;
}

/**
 * Sends one command to a Redis over a connection of its own and gives the reply: what the launchers need before any client could be
 * used, and what a test uses to look at the server past the client under test.
 * @throws the server's error reply, a refused connection, or a timeout
 */
export function redisCommand(port: number, args: readonly string[], timeoutMs = 2000): Promise<RedisReply> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1", () => socket.write(encode(args)));
    let received: Buffer = Buffer.alloc(0);
    const fail = (error: Error): void => {
      socket.destroy();
      reject(error);
    };
    socket.setTimeout(timeoutMs, () => fail(new Error(`${args[0]} was not answered on port ${port} within ${timeoutMs} ms`)));
    socket.on("error", fail);
    socket.on("close", () => reject(new Error(`port ${port} closed the connection`)));
    socket.on("data", (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      const parsed = parseReply(received);
      if (!parsed) return;
      if (parsed.value instanceof Error) return fail(parsed.value);
      resolve(parsed.value);
      socket.destroy();
    });
  });
}
