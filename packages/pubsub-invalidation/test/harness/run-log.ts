/** What happened, in rows of numbers. Instants are nanoseconds of CLOCK_MONOTONIC, which all processes of a machine share. */
export const READ = 0;
/** A commit in the database and the invalidation after it, whose end is the row's end; `flag` 1: told as propagated. */
export const WRITE = 1;
/** An invalidation repeated until it was told as propagated. */
export const ACKNOWLEDGED = 2;

const COLUMNS = 6;

export interface Row {
  readonly kind: number;
  readonly key: number;
  readonly beginNs: number;
  readonly endNs: number;
  readonly version: number;
  readonly flag: number;
}

/** Now, exact to the nanosecond for the first hundred days after the machine's start. */
export const nowNs = (): number => Number(process.hrtime.bigint());

/** A growing table of rows. */
export class RunLog {
  #rows = new Float64Array(COLUMNS * 4_096);
  #used = 0;

  add(kind: number, key: number, beginNs: number, endNs: number, version: number, flag = 0): void {
    if (this.#used === this.#rows.length) {
      const grown = new Float64Array(this.#rows.length * 2);
      grown.set(this.#rows);
      this.#rows = grown;
    }
    this.#rows.set([kind, key, beginNs, endNs, version, flag], this.#used);
    this.#used += COLUMNS;
  }

  get length(): number {
    return this.#used / COLUMNS;
  }

  toBytes(): Uint8Array {
    return new Uint8Array(this.#rows.buffer, 0, this.#used * 8);
  }

  static *rows(bytes: Uint8Array): Generator<Row> {
    const values = new Float64Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 8);
    for (let at = 0; at < values.length; at += COLUMNS) {
      const [kind, key, beginNs, endNs, version, flag] = values.subarray(at, at + COLUMNS) as unknown as [
        number,
        number,
        number,
        number,
        number,
        number,
      ];
      yield { kind, key, beginNs, endNs, version, flag };
    }
  }
}
