/** Asking again and again for what the stream may have missed. */

export const ASK_EVERY_MS = 3_000;

/** Asks at once, and again some time after each answer, until it is stopped. */
export function keepAsking(ask: () => Promise<unknown>): () => void {
  let stopped = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const again = async () => {
    await ask();
    if (!stopped) timer = setTimeout(again, ASK_EVERY_MS);
  };
  void again();
  return () => {
    stopped = true;
    clearTimeout(timer);
  };
}
