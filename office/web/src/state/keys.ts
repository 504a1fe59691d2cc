/**
 * Idempotency keys. A key belongs to one deed in one state of the desk, so pressing twice is the same deed.
 *
 * When no answer came, the key is kept: pressing again asks after the same deed. When the deed was refused it was
 * not done, and the next press is a new one.
 */
export class Keys {
  #held = new Map<string, string>();
  #make: () => string;

  constructor(make: () => string = newKey) {
    this.#make = make;
  }

  /** The key of this deed in this state. */
  of(deed: string): string {
    const held = this.#held.get(deed);
    if (held !== undefined) return held;
    const made = this.#make();
    this.#held.set(deed, made);
    return made;
  }

  /** An answer came, so that the next press of the same name is another deed. */
  answered(deed: string): void {
    this.#held.delete(deed);
  }
}

/**
 * Like `crypto.randomUUID`, which browsers keep from pages that came over plain HTTP from another machine. In the usual
 * form of a UUID, which the server never takes for a card number: thirty-two bare digits and letters may hold one by chance.
 */
export function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
