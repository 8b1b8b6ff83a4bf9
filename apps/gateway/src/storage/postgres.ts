import type { Bindable, Row, Sql } from "./sql.ts";

/** Seconds to connect. */
const CONNECT_TIMEOUT_SECONDS = 4;
/** Milliseconds that an answer is waited for. */
const PATIENCE_MS = 5_000;

/**
 * PostgreSQL. Its client waits for an answer for ever: from a server that is frozen, or by a network that swallows packets, and requests would wait
 * with it. After a while nobody does, and the connections are given up: another statement on them would come to nothing as well.
 */
export async function openPostgres(databaseUrl: string, patienceMs: number = PATIENCE_MS): Promise<Sql> {
  const { default: postgres } = await import("postgres");
  // Without `fetch_types: false` the client asks for the types of arrays by itself; when its connection is ended under that, nobody hears the error.
  const client = postgres(databaseUrl, {
    max: 4,
    connect_timeout: CONNECT_TIMEOUT_SECONDS,
    idle_timeout: 60,
    fetch_types: false,
    onnotice: () => undefined,
  });
  let isLost = false;
  const giveUp = (): void => {
    isLost = true;
    void client.end({ timeout: 0 }).catch(() => undefined);
  };
  const run = async (statement: string, values: readonly Bindable[] = []): Promise<readonly Row[]> => {
    let position = 0;
    const numbered = statement.replaceAll("?", () => `$${++position}`);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => {
        giveUp();
        reject(Object.assign(new Error("the database did not answer in time"), { code: "ERR_DATABASE_TIMEOUT" }));
      }, patienceMs);
    });
    try {
      return (await Promise.race([client.unsafe(numbered, [...values]), late])) as unknown as Row[];
    } finally {
      clearTimeout(timer);
    }
  };
  try {
    await run("select 1");
  } catch (error) {
    giveUp();
    throw error;
  }
  return {
    get isLost() {
      return isLost;
    },
    run,
    close: () => client.end({ timeout: 5 }),
  };
}
