/** Runs something in a turn of the event loop of its own, as schedules must be. */
export function runInTurn<T>(run: () => T): Promise<T> {
  return new Promise((resolve, reject) => {
    setImmediate(() => {
      const { stackTraceLimit } = Error;
      // Lost connections reject by the dozen in every schedule, and nobody reads where.
      Error.stackTraceLimit = 0;
      try {
        resolve(run());
      } catch (error) {
        reject(error);
      } finally {
        Error.stackTraceLimit = stackTraceLimit;
      }
    });
  });
}
