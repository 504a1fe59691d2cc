/** What this telephone sends: the microphone, and where they are wanted the tones of keys. */

const ROWS_HZ = [697, 770, 852, 941];
const COLUMNS_HZ = [1209, 1336, 1477];
/** As they stand on the keypad, row by row. */
export const KEYS = "123456789*0#";
const KEY_S = 0.12;
const GAP_S = 0.08;
/** Of each of the two tones: about −9 dBm0 once coded. */
const LEVEL = 0.25;
/** So that a tone neither begins nor ends with a click. */
const RAMP_S = 0.004;

/** The two frequencies of a key (ITU-T Q.23). */
export function pair(key: string): [number, number] | null {
  const at = KEYS.indexOf(key);
  const [row, column] = [ROWS_HZ[Math.floor(at / 3)], COLUMNS_HZ[at % 3]];
  return at === -1 || key.length !== 1 || row === undefined || column === undefined ? null : [row, column];
}

export class Mouth {
  readonly stream: MediaStream;
  readonly hasMicrophone: boolean;
  #context = new AudioContext();
  #out = this.#context.createMediaStreamDestination();
  #voice = this.#context.createGain();
  #microphone: MediaStream | null;
  /** When the last key that was pressed will have ended. */
  #freeAt = 0;

  constructor(microphone: MediaStream | null) {
    this.#microphone = microphone;
    this.hasMicrophone = microphone !== null;
    this.#voice.connect(this.#out);
    if (microphone !== null) this.#context.createMediaStreamSource(microphone).connect(this.#voice);
    this.stream = this.#out.stream;
  }

  mute(muted: boolean): void {
    for (const track of this.#microphone?.getTracks() ?? []) track.enabled = !muted;
  }

  /** The voice is silent meanwhile: a finger on a key of a telephone does the same. */
  press(key: string): void {
    const tones = pair(key);
    if (tones === null) return;
    const from = Math.max(this.#context.currentTime + 0.02, this.#freeAt);
    const until = from + KEY_S;
    this.#freeAt = until + GAP_S;
    this.#voice.gain.setValueAtTime(0, from).setValueAtTime(1, this.#freeAt);
    for (const frequency of tones) this.#tone(frequency, from, until);
  }

  #tone(frequency: number, from: number, until: number): void {
    const [tone, level] = [this.#context.createOscillator(), this.#context.createGain()];
    tone.frequency.value = frequency;
    level.gain.setValueAtTime(0, from).linearRampToValueAtTime(LEVEL, from + RAMP_S);
    level.gain.setValueAtTime(LEVEL, until - RAMP_S).linearRampToValueAtTime(0, until);
    tone.connect(level).connect(this.#out);
    tone.start(from);
    tone.stop(until);
  }

  /** Gives the microphone back: the browser takes its sign away. */
  close(): void {
    for (const track of this.#microphone?.getTracks() ?? []) track.stop();
    void this.#context.close();
  }
}

/** Asks for the microphone; why not, if there is none. */
export async function microphone(): Promise<MediaStream | "denied" | "missing"> {
  // A page that is neither https nor of this machine has no such thing.
  if (navigator.mediaDevices === undefined) return "missing";
  try {
    return await navigator.mediaDevices.getUserMedia({ audio: true });
  } catch (error) {
    const refused =
      error instanceof DOMException && ["NotAllowedError", "SecurityError"].includes(error.name);
    return refused ? "denied" : "missing";
  }
}
