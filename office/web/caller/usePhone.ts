/** The telephone as a hook: what it knows, and what can be done with it. */

import { useEffect, useReducer, useRef } from "react";
import { type Account, Line } from "./line.ts";
import { Mouth, microphone } from "./sound.ts";
import { FIRST, next, type State, type Way, wayOfKeys } from "./state.ts";

const AGAIN_MS = 2_000;

export interface Phone {
  state: State;
  call: (without?: boolean) => Promise<void>;
  hangUp: () => void;
  press: (key: string) => void;
  mute: (muted: boolean) => void;
  choose: (way: Way) => void;
}

const pause = (ms: number) => new Promise((over) => setTimeout(over, ms));

async function account(): Promise<Account> {
  for (;;) {
    const answer = await fetch("/account").catch(() => null);
    if (answer?.ok) return answer.json();
    await pause(AGAIN_MS);
  }
}

/** While this page is open the caller that the demo plays stands back. An answer comes when the time is over, then it is asked again. */
async function sayThatWeAreHere(open: () => boolean): Promise<void> {
  while (open()) {
    const answer = await fetch("/here").catch(() => null);
    if (!answer?.ok) await pause(AGAIN_MS);
  }
}

export function usePhone(): Phone {
  const [state, tell] = useReducer(next, FIRST);
  const line = useRef<Line | null>(null);
  const ear = useRef<HTMLAudioElement>(new Audio());
  useEffect(() => {
    let open = true;
    const hear = (stream: MediaStream) => {
      ear.current.srcObject = stream;
      void ear.current.play();
    };
    void sayThatWeAreHere(() => open);
    void account().then((found) => {
      if (open) line.current = new Line(found, tell, hear);
    });
    return () => {
      open = false;
    };
  }, []);

  const call = async (without = false) => {
    if (!without) tell({ type: "microphone", microphone: "asked" });
    const found = without ? null : await microphone();
    if (typeof found === "string") return tell({ type: "microphone", microphone: found });
    tell({ type: "microphone", microphone: without ? "off" : "on" });
    line.current?.call(new Mouth(found));
  };
  return {
    state,
    call,
    hangUp: () => line.current?.hangUp(),
    press: (key) => line.current?.press(key, wayOfKeys(state) === "tones"),
    mute: (muted) => line.current?.mute(muted),
    choose: (way) => tell({ type: "way", way }),
  };
}
