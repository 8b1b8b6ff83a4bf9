import { type AddressInfo, createServer, type Server, type Socket } from "node:net";

/** What a server of PostgreSQL's protocol answers to each kind of message, as far as statements without rows need it. */
const ANSWERS: Readonly<Record<string, readonly Buffer[]>> = {
  Q: [message("C", Buffer.from("SELECT 0\0")), message("Z", Buffer.from("I"))],
  P: [message("1")],
  B: [message("2")],
  D: [message("t", Buffer.alloc(2)), message("n")],
  E: [message("C", Buffer.from("SELECT 0\0"))],
  S: [message("Z", Buffer.from("I"))],
};

function message(type: string, body: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(5);
  head.write(type, 0);
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}

/** What PostgreSQL says to one of two who make the same table at a time, `IF NOT EXISTS` or not. */
const MADE_BY_ANOTHER = refusal("23505", "duplicate key value");
/** What it says to a role that may not make tables, whether they are there or not; a standby's words differ by their code alone. */
const NOT_ALLOWED = refusal("42501", "permission denied for schema public");

function refusal(code: string, text: string): Buffer {
  return Buffer.concat([message("E", Buffer.from(`SERROR\0C${code}\0M${text}\0\0`)), message("Z", Buffer.from("I"))]);
}

/** A PostgreSQL whose tables are all empty, and which falls silent when it is told to: no real one can be frozen from within a test. */
export class FakePostgres {
  /** Takes what comes and says nothing. */
  isFrozen = false;
  /** Has each table made by somebody else at the same time. */
  isRacing = false;
  /** Whether whoever comes may make tables. */
  mayMakeTables = true;
  readonly #made = new Set<string>();
  readonly connections = new Set<Socket>();
  readonly #server: Server = createServer((socket) => this.#serve(socket));

  /** @returns its URL */
  listen(port = 0): Promise<string> {
    return new Promise((resolve) => {
      this.#server.listen(port, "127.0.0.1", () => resolve(`postgres://u:p@127.0.0.1:${(this.#server.address() as AddressInfo).port}/x`));
    });
  }

  async close(): Promise<void> {
    for (const connection of this.connections) connection.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #refusalOf(statement: string): Buffer | undefined {
    if (!this.mayMakeTables && statement.startsWith("CREATE")) return NOT_ALLOWED;
    return this.#isMadeByAnother(statement) ? MADE_BY_ANOTHER : undefined;
  }

  #isMadeByAnother(statement: string): boolean {
    if (!this.isRacing || !statement.startsWith("CREATE") || this.#made.has(statement)) return false;
    this.#made.add(statement);
    return true;
  }

  #serve(socket: Socket): void {
    this.connections.add(socket);
    let come = Buffer.alloc(0);
    let isGreeted = false;
    socket.on("close", () => this.connections.delete(socket)).on("error", () => undefined);
    socket.on("data", (data) => {
      come = Buffer.concat([come, data]);
      if (this.isFrozen) return;
      // The first message alone has no type.
      for (let head = isGreeted ? 1 : 0; come.length >= head + 4; head = 1) {
        const end = head + come.readInt32BE(head);
        if (come.length < end) return;
        const type = isGreeted ? come.toString("latin1", 0, 1) : undefined;
        const statement = come.toString("latin1", head + 4, end);
        come = come.subarray(end);
        isGreeted = true;
        const refused = this.#refusalOf(statement);
        if (type === "X") socket.end();
        else if (refused) socket.write(refused);
        else
          socket.write(
            Buffer.concat(type === undefined ? [message("R", Buffer.alloc(4)), message("Z", Buffer.from("I"))] : (ANSWERS[type] ?? [])),
          );
      }
    });
  }
}
