import type { Cluster, Command, Redis } from "ioredis";

/*
 * What a script call costs the client
 *
 * ioredis turns a command with a Buffer among its arguments into bytes argument by argument: three small Buffers each, joined at the end.
 * For `SET key value` nobody notices. A safe write has twenty arguments, two of them Buffers, and this was a fifth of what it cost the
 * client (21 us, and 17 without). The command below writes the same bytes (RESP arrays of bulk strings) in one pass: text is gathered as one string from Buffer
 * to Buffer, and copied once. Everything else is ioredis': queues, routing by slot, key prefix, retries. Overriding `toWritable` is how its own
 * script command works.
 */

type Client = Redis | Cluster;
type CommandClass = typeof Command;
type Argument = Command["args"][number];

const classes: WeakMap<CommandClass, CommandClass> = new WeakMap();

/**
 * The client's own class of commands, which its instances do not show: a command made by the client, and kept from being sent. An import could be of
 * another version than a client that was handed over. `undefined` for what only looks like ioredis, as a mock may.
 */
function commandClassOf(client: Client): CommandClass | undefined {
  const catcher = Object.create(client, { options: { value: {} }, sendCommand: { value: (command: Command) => command } }) as Client;
  const command = catcher.callBuffer("ping") as unknown as Partial<Command>;
  return typeof command?.toWritable === "function" ? (command.constructor as CommandClass) : undefined;
}

function derive(Base: CommandClass): CommandClass {
  return class ScriptCommand extends Base {
    override toWritable(): Buffer {
      return encodeCommand(this.name, this.args);
    }
  };
}

/** The class of commands of this client that are quick to encode, their replies as Buffers; `undefined` where the client has none of its own. */
export function scriptCommandOf(client: Client): CommandClass | undefined {
  const Base = commandClassOf(client);
  if (!Base) return undefined;
  const known = classes.get(Base);
  if (known) return known;
  const Derived = derive(Base);
  classes.set(Base, Derived);
  return Derived;
}

/** A command as Redis reads it. */
export function encodeCommand(name: string, args: readonly Argument[]): Buffer {
  const pieces: Array<string | Buffer> = [];
  let text = `*${args.length + 1}\r\n$${name.length}\r\n${name}\r\n`;
  /** Bytes of everything so far, beyond a byte for each character of text. */
  let bytes = 0;
  for (const arg of args) {
    if (typeof arg !== "object") {
      const word = String(arg);
      const length = Buffer.byteLength(word);
      bytes += length - word.length;
      text += `$${length}\r\n${word}\r\n`;
      continue;
    }
    const body = arg as Buffer;
    text += `$${body.length}\r\n`;
    bytes += text.length + body.length;
    pieces.push(text, body);
    text = "\r\n";
  }
  bytes += text.length;
  pieces.push(text);
  return join(pieces, bytes);
}

function join(pieces: ReadonlyArray<string | Buffer>, bytes: number): Buffer {
  const joined = Buffer.allocUnsafe(bytes);
  let at = 0;
  for (const piece of pieces) at += typeof piece === "string" ? joined.write(piece, at, "utf8") : piece.copy(joined, at);
  return joined;
}
