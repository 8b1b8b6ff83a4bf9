/**
 * Whether an answer has yet to come. Not `instanceof Promise`: an application that the gateway is part of may have put another class in its
 * place, as zone.js and bluebird do, and an async function's promise is no instance of that.
 */
export function isPromise<T>(value: T | Promise<T>): value is Promise<T> {
  return typeof (value as Partial<Promise<T>> | null | undefined)?.then === "function";
}
