/** The lane of a channel, by its name; `undefined` for a design that has no lanes. */
export function laneOf(channel: string): number | undefined {
  const digits = /\.(\d+)\}:/.exec(channel)?.[1];
  return digits === undefined ? undefined : Number(digits);
}
