/** What each press on the desk means in the state it is pressed in. A press that means nothing does nothing. */

import type { Question } from "../parts/Boxes.tsx";
import * as may from "../view/deeds.ts";
import { fieldToRepeat, keyed } from "../view/fields.ts";
import type { LineDeed, LineView } from "../view/line.ts";
import type { OutcomeOffer } from "../view/outcome.ts";
import { FIELDS_IN_ORDER, type Shortcut } from "../view/shortcuts.ts";
import type { CallView, Field, PaymentView } from "../wire.ts";
import type { Order } from "./api.ts";

/** The part of `useDeeds` that is used here. */
export type Doers = {
  setLine: (call: CallView, deed: LineDeed) => Promise<boolean>;
  pauseRecorders: (call: CallView) => Promise<boolean>;
  start: (call: CallView, before: PaymentView | null, order: Order) => Promise<boolean>;
  setField: (payment: PaymentView, field: Field, deed: "request" | "reset") => Promise<boolean>;
  decide: (payment: PaymentView, deed: "authorize" | "cancel") => Promise<boolean>;
};

/** The part of `useOrder` that is used here. */
export type OrderBox = {
  touched: boolean;
  check: () => Order | null;
  clear: () => void;
  fillFrom: (payment: PaymentView) => void;
};

export type Scene = {
  call: CallView | null;
  payment: PaymentView | null;
  panel: may.Panel | null;
  line: LineView | null;
  deeds: Doers;
  order: OrderBox;
  ask: (question: Question) => void;
  putAway: (payment: string) => void;
  help: () => void;
  read: (words: string) => void;
};

export type Acts = ReturnType<typeof acts>;

export function acts(scene: Scene) {
  const line = lineActs(scene);
  const payment = paymentActs(scene);
  const all = { ...line, ...payment };
  return { ...all, shortcut: (pressed: Shortcut) => onShortcut(scene, all, pressed) };
}

function lineActs({ call, payment, panel, deeds, order, ask }: Scene) {
  async function start(): Promise<boolean> {
    const checked = call === null ? null : order.check();
    return call !== null && checked !== null && deeds.start(call, payment, checked);
  }

  /** Securing with an amount typed starts its payment first; with nothing typed it only secures. */
  async function secure(): Promise<void> {
    if (call === null || !may.maySecure(call)) return;
    if (panel === "order" && order.touched && !(await start())) return;
    await deeds.setLine(call, "secure");
  }

  async function release(sure = false): Promise<void> {
    if (call === null || !may.mayRelease(call)) return;
    if (keyed(payment) && !sure) return ask("release");
    await deeds.setLine(call, "release");
  }

  async function pauseRecorders(): Promise<void> {
    if (may.mayPauseRecorders(call)) await deeds.pauseRecorders(call);
  }

  async function stop(): Promise<void> {
    if (may.mayCancel(payment)) await deeds.decide(payment, "cancel");
    await release(true);
  }

  return { start, secure, release, pauseRecorders, stop };
}

function paymentActs({ payment, line, deeds, order, ask: question, putAway }: Scene) {
  async function cancel(sure = false): Promise<void> {
    if (!may.mayCancel(payment)) return;
    if (keyed(payment) && !sure) return question("cancel");
    await deeds.decide(payment, "cancel");
  }

  async function take(): Promise<void> {
    if (line?.look === "stale" || line?.look === "fault") return;
    if (may.mayTake(payment)) await deeds.decide(payment, "authorize");
  }

  async function field(name: Field, deed: "request" | "reset" = "request"): Promise<void> {
    if (may.mayAsk(payment, name)) await deeds.setField(payment, name, deed);
  }

  async function repeat(): Promise<void> {
    const progress = payment === null ? null : fieldToRepeat(payment);
    if (progress !== null) await field(progress.field, progress.status === "live" ? "reset" : "request");
  }

  async function otherCard(): Promise<void> {
    if (may.mayUseOtherCard(payment)) await field("pan");
  }

  async function smaller(): Promise<void> {
    if (may.mayCancel(payment) && (await deeds.decide(payment, "cancel"))) order.fillFrom(payment);
  }

  function another(): void {
    order.clear();
    if (payment !== null) putAway(payment.id);
  }

  return { cancel, take, field, repeat, otherCard, smaller, another };
}

type All = ReturnType<typeof lineActs> & ReturnType<typeof paymentActs>;

function onShortcut(scene: Scene, all: All, pressed: Shortcut): unknown {
  switch (pressed.do) {
    case "secure":
    case "release":
    case "stop":
    case "repeat":
    case "take":
      return all[pressed.do]();
    case "other_card":
      return all.otherCard();
    case "read":
      return scene.read(scene.line === null ? "No call." : `${scene.line.title}. ${scene.line.sub}`);
    case "help":
      return scene.help();
    case "ask": {
      const field = FIELDS_IN_ORDER[pressed.index];
      return field && all.field(field);
    }
  }
}

/** What a button of the result does. */
export function onOffer(all: Acts, offer: OutcomeOffer): void {
  const deeds: Record<OutcomeOffer, () => unknown> = {
    other_card: all.otherCard,
    ask_expiry: () => all.field("expiry"),
    ask_cvv: () => all.field("cvv"),
    again: all.take,
    smaller: all.smaller,
    another: all.another,
    end: () => all.cancel(),
  };
  deeds[offer]();
}
