import { useEffect, useState } from "react";
import { Keypad } from "./Keypad.tsx";
import { inCall, type State } from "./state.ts";
import { type Phone as Telephone, usePhone } from "./usePhone.ts";
import { lasted, words } from "./words.ts";

export function Phone() {
  const phone = usePhone();
  const { at, title, hint } = words(phone.state);
  return (
    <main className="phone" data-at={at}>
      <header>
        <h1>The customer's telephone</h1>
        <p className="mut sm">Tonewall demo. You are the customer here; the desk is in the other tab.</p>
      </header>
      <section className="says" aria-label="State of the call">
        <div role="status">
          <p className="title">{title}</p>
          <p>{hint}</p>
        </div>
        <Clock state={phone.state} />
      </section>
      <Buttons phone={phone} at={at} />
      <Keypad phone={phone} />
      <Help />
      <p className="xs mut">
        <a href="/licenses.txt">Licenses of what this page is made of</a>
      </p>
    </main>
  );
}

/** Beside the state and not in it: nobody wants each second read out. */
function Clock({ state: { talk } }: { state: State }) {
  const [now, look] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => look(Date.now()), 500);
    return () => clearInterval(timer);
  }, []);
  if (talk.at !== "talking") return null;
  return <p className="clock">{lasted(now - talk.sinceMs)}</p>;
}

function Buttons({ phone, at }: { phone: Telephone; at: string }) {
  const { state, call, hangUp, mute } = phone;
  if (inCall(state))
    return (
      <div className="buttons">
        <button type="button" className="btn lg danger" onClick={hangUp}>
          Hang up
        </button>
        {state.talk.at === "talking" && state.microphone === "on" && (
          <button
            type="button"
            className="btn lg"
            aria-pressed={state.muted}
            onClick={() => mute(!state.muted)}
          >
            Mute
          </button>
        )}
      </div>
    );
  const ready = state.link === "ready" && state.microphone !== "asked";
  return (
    <div className="buttons">
      <button type="button" className="btn lg pri" disabled={!ready} onClick={() => void call()}>
        {at === "ended" ? "Call again" : "Call the agent"}
      </button>
      {(at === "denied" || at === "missing") && (
        <button type="button" className="btn lg" disabled={!ready} onClick={() => void call(true)}>
          Call without a microphone
        </button>
      )}
    </div>
  );
}

function Help() {
  return (
    <details>
      <summary>What do I key?</summary>
      <p>
        A published test card, never your own: <span className="mono">4242 4242 4242 4242</span> and{" "}
        <kbd>*</kbd>, then <span className="mono">12 35</span> for the expiry, then{" "}
        <span className="mono">123</span> for the code. With <span className="mono">4000 0000 0000 0002</span>{" "}
        the bank declines.
      </p>
      <p>
        First call, then type an amount at the desk and secure the line there. You hear a beep; from then on
        the agent still hears you speak, and none of your keys.
      </p>
    </details>
  );
}
