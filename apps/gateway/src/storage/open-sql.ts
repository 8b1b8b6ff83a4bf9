import { openPostgres } from "./postgres.ts";
import { type Sql, sqlitePath } from "./sql.ts";
import { openSqlite } from "./sqlite.ts";

/** Opens the database of a `file:` or `postgres:` URL. Relative files are relative to `directory`. @throws when it cannot be reached */
export function openSql(databaseUrl: string, directory: string): Promise<Sql> {
  return databaseUrl.startsWith("file:") ? openSqlite(sqlitePath(databaseUrl, directory)) : openPostgres(databaseUrl);
}
