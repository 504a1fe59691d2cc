import { useEffect } from "react";
import { KEYS } from "./sound.ts";
import { type Way, wayOfKeys } from "./state.ts";
import type { Phone } from "./usePhone.ts";

const NAMES: Record<string, string> = { "*": "Star", "#": "Hash" };
const WAYS: [Way, string][] = [
  ["events", "as events (RFC 4733), as most phones do"],
  ["tones", "as tones in the sound, as an old phone does"],
];
/** More dots say nothing more. */
const DOTS_MAX = 24;

export function Keypad({ phone: { state, press, choose } }: { phone: Phone }) {
  const talking = state.talk.at === "talking";
  useEffect(() => {
    if (!talking) return;
    const typed = (event: KeyboardEvent) => {
      const other = event.ctrlKey || event.metaKey || event.altKey || event.repeat;
      if (!other && event.key.length === 1 && KEYS.includes(event.key)) press(event.key);
    };
    document.addEventListener("keydown", typed);
    return () => document.removeEventListener("keydown", typed);
  }, [talking, press]);
  const pressed = `${state.keys} ${state.keys === 1 ? "key" : "keys"} pressed`;
  return (
    <section aria-label="Keypad">
      <div className="keys">
        {[...KEYS].map((key) => (
          <button
            key={key}
            type="button"
            className="key"
            aria-label={NAMES[key] ?? key}
            disabled={!talking}
            onClick={() => press(key)}
          >
            {key}
          </button>
        ))}
      </div>
      <p className="pressed" role="img" aria-label={pressed}>
        {"•".repeat(Math.min(state.keys, DOTS_MAX)) || "Press the keys, or type them"}
      </p>
      <fieldset>
        <legend>Keys travel</legend>
        {WAYS.map(([way, name]) => (
          <label key={way} className="ck">
            <input
              type="radio"
              name="way"
              checked={wayOfKeys(state) === way}
              disabled={way === "events" && !state.events}
              onChange={() => choose(way)}
            />
            {name}
          </label>
        ))}
        {!state.events && <p className="sm">The other side takes no events in this call.</p>}
      </fieldset>
    </section>
  );
}
