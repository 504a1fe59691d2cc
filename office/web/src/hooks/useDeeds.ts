import { type Dispatch, useRef, useState } from "react";
import * as api from "../state/api.ts";
import type { Action } from "../state/desk.ts";
import { Keys } from "../state/keys.ts";
import { problemWords, surelyNotDone } from "../view/problems.ts";
import type { CallView, Field, PaymentView } from "../wire.ts";

export type Busy = "secure" | "release" | "recorders" | "start" | "take" | "cancel" | "field";

type Deed<T> = {
  busy: Busy;
  /** The deed and the state it was offered in; pressing twice in one state is one deed. */
  name: string;
  send: (key: string) => Promise<api.Answer<T>>;
  apply: (value: T) => void;
  /** Done is done: the key stays, so that a late second press can only repeat the answer. */
  once?: boolean;
};

const NONE: ReadonlySet<Busy> = new Set();

/** The deeds of the desk, one of a kind at a time, and the words for the last one that went wrong. */
export function useDeeds(dispatch: Dispatch<Action>, onSignedOut: () => void) {
  const keys = useRef(new Keys());
  // A ref besides the state, because a second press may come before the next render.
  const running = useRef(NONE);
  const [busy, setBusy] = useState(NONE);
  const [error, setError] = useState<string | null>(null);

  const run = (kinds: ReadonlySet<Busy>) => {
    running.current = kinds;
    setBusy(kinds);
  };

  async function perform<T>(deed: Deed<T>): Promise<boolean> {
    if (running.current.has(deed.busy)) return false;
    run(new Set([...running.current, deed.busy]));
    setError(null);
    const answer = await deed.send(keys.current.of(deed.name));
    run(new Set([...running.current].filter((kind) => kind !== deed.busy)));
    if (answer.ok) deed.apply(answer.value);
    else if (answer.problem?.status === 401) onSignedOut();
    else setError(problemWords(answer));
    if (answer.ok ? !deed.once : surelyNotDone(answer)) keys.current.answered(deed.name);
    return answer.ok;
  }

  const applyCall = (call: CallView) => dispatch({ type: "call", call, now: performance.now() });
  const applyPayment = (payment: PaymentView) => dispatch({ type: "payment", payment });

  const setLine = (call: CallView, deed: "secure" | "release") =>
    perform({
      busy: deed,
      name: `${deed} ${call.call} ${call.line} ${call.line_since_unix_ms}`,
      send: (key) => api.setLine(call.call, deed, key),
      apply: applyCall,
    });

  const pauseRecorders = (call: CallView) => {
    const name = `recorders ${call.call} ${call.recorders?.round}`;
    const send = (key: string) => api.pauseRecorders(call.call, key);
    return perform({ busy: "recorders", name, send, apply: applyCall });
  };

  const start = (call: CallView, before: PaymentView | null, order: api.Order) =>
    perform({
      busy: "start",
      name: `start ${call.call} ${before?.id ?? ""} ${JSON.stringify(order)}`,
      send: (key) => api.startPayment(call.call, order, key),
      apply: applyPayment,
      once: true,
    });

  const setField = (payment: PaymentView, field: Field, deed: "request" | "reset") =>
    perform({
      busy: "field",
      name: `${deed} ${payment.id} ${field}`,
      send: (key) => api.setField(payment.id, field, deed, key),
      apply: applyPayment,
    });

  const decide = (payment: PaymentView, deed: "authorize" | "cancel") =>
    perform({
      busy: deed === "authorize" ? "take" : "cancel",
      name: `${deed} ${payment.id} ${payment.attempts}`,
      send: (key) => api.decide(payment.id, deed, key),
      apply: applyPayment,
      once: true,
    });

  return { busy, error, forget: () => setError(null), setLine, pauseRecorders, start, setField, decide };
}

export type Deeds = ReturnType<typeof useDeeds>;
