/**
 * A write to the database whose answer is lost may have been done all the same, and what is known of before it would be used for as long as it is kept.
 * @param forget has what the write is about be read anew, here and on peers @returns the write's answer @throws what the write throws, after that
 */
export async function orForget<T>(write: Promise<T>, forget: () => Promise<unknown>): Promise<T> {
  try {
    return await write;
  } catch (error) {
    await forget();
    throw error;
  }
}
