/** What is said of recorders that are no part of this: that one has paused is its own word, and nothing else. */

import type { CallView, Recorders, RecorderTrouble } from "../wire.ts";

export type RecorderNote = {
  tone: "info" | "warn";
  title: string;
  rest: string;
  /** May they be asked again? */
  again: boolean;
};

const WHY: Record<RecorderTrouble, string> = {
  no_recorder: "no recorder is set up for your extension",
  unreachable: "it can’t be reached",
  timed_out: "it has not answered in time",
  refused: "it has refused",
  no_call_name: "it can’t be told which call this is",
  misconfigured: "its set-up is incomplete",
  office_silent: "nobody has said whether it has",
};

/** Of a word of the console: an unknown one is shown as it is. */
export const recorderWhy = (trouble: string): string =>
  WHY[trouble as RecorderTrouble] ?? trouble.replaceAll("_", " ");

/** Whether keys could come, and are not taken because of a recorder. */
export const holdsPayment = (call: CallView): boolean =>
  (call.line === "secured" || call.line === "conference") && call.recorders?.holds_payment === true;

export function recorderNote(call: CallView): RecorderNote | null {
  const { recorders } = call;
  if (!recorders || call.line === "open") return null;
  if (recorders.state === "asked") return asking(recorders);
  return recorders.state === "not_paused" ? notPaused(recorders) : null;
}

function asking({ holds_payment }: Recorders): RecorderNote {
  const rest = holds_payment
    ? "The caller should not key anything yet: it is not taken."
    : "The payment goes on meanwhile.";
  return { tone: "info", title: "Your call recorder is being paused.", rest, again: false };
}

function notPaused({ rule, trouble }: Recorders): RecorderNote {
  const why = trouble === null ? "" : `: ${recorderWhy(trouble)}`;
  const rest =
    rule === "required"
      ? "The caller should not key anything: it is not taken, and may be recorded. Ask it again; if that doesn’t help, release the line and tell your administrator."
      : "What the caller keys may be recorded there. The payment goes on, and this is written down with it.";
  return { tone: "warn", title: `Your call recorder has not paused${why}.`, rest, again: true };
}
