/** Milliseconds per unit of a duration. */
const DURATION_UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
/** Bytes per unit of a size: binary multiples, as operators of caches expect. */
const SIZE_UNITS: Readonly<Record<string, number>> = { b: 1, kb: 1024, mb: 1024 ** 2, gb: 1024 ** 3 };

function readQuantity(text: string, units: Readonly<Record<string, number>>): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]+)$/i.exec(text.trim());
  const factor = match && units[match[2]!.toLowerCase()];
  const value = factor ? Number(match[1]) * factor : Number.NaN;
  return Number.isFinite(value) && value > 0 ? value : undefined;
}

/** Reads `250ms`, `30s`, `10m`, `1h`, `7d` as milliseconds. `undefined` for anything else: a bare number has no unit and is refused. */
export function readDurationMs(text: string): number | undefined {
  return readQuantity(text, DURATION_UNITS);
}

/** Reads `512kb`, `256mb`, `1gb` or a bare number of bytes. `undefined` for anything else. */
export function readBytes(text: string): number | undefined {
  if (/^[1-9]\d*$/.test(text.trim())) return Number(text);
  const bytes = readQuantity(text, SIZE_UNITS);
  return bytes === undefined || bytes < 1 ? undefined : Math.floor(bytes);
}
