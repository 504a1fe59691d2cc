/** The rows of "This call". The console sends words of a fixed list; unknown ones are shown as they are. */

import type { TimelineRow } from "../wire.ts";
import { recorderWhy } from "./recorders.ts";

export type TimelineLine = {
  key: string;
  at: string;
  icon: string;
  tone: "" | "ok" | "bad" | "warn" | "sec";
  text: string;
  detail: string | null;
  /** Within the secured stretch. */
  walled: boolean;
};

type Words = Pick<TimelineLine, "icon" | "tone" | "text">;

const row = (icon: string, text: string, tone: Words["tone"] = ""): Words => ({ icon, text, tone });

const WORDS: Record<string, Words> = {
  transfer_awaited: row("clock", "Waiting for the transfer"),
  call_came_in: row("phone", "Call came in"),
  agent_answered: row("phone", "Call answered"),
  call_held: row("phone", "On hold"),
  call_resumed: row("phone", "Back from hold"),
  line_securing: row("wall", "Securing the line"),
  line_secured: row("wall", "Line secured", "sec"),
  line_releasing: row("wall", "Releasing the line"),
  line_open: row("unlock", "Line open"),
  line_conference: row("alert", "In a conference: you can hear the keys", "warn"),
  line_fault: row("alert", "Stopped: masking could not be proved", "bad"),
  recorders_asked: row("clock", "Your recorder is being paused"),
  recorders_paused: row("check", "Your recorder says it has paused"),
  recorders_not_paused: row("alert", "Your recorder has not paused", "warn"),
  recorders_may_record: row("info", "Your recorder may record again"),
  payment_started: row("card", "Payment started"),
  payment_cancelled: row("x", "Payment canceled"),
  authorizing: row("card", "Sent to the bank"),
  approved: row("check", "Approved", "ok"),
  declined: row("x", "Declined", "bad"),
  not_sent: row("x", "Not sent, nothing taken", "bad"),
  unknown: row("clock", "Outcome being confirmed", "warn"),
  field_accepted: row("check", "Accepted", "ok"),
  field_refused: row("x", "Refused", "bad"),
};

export function timeline(rows: readonly TimelineRow[]): TimelineLine[] {
  let masked = false;
  return rows.map((entry, index) => {
    if (entry.text_key === "line_secured") masked = true;
    if (entry.text_key === "line_open") masked = false;
    const walled = masked && entry.text_key !== "line_fault";
    return { key: `${index} ${entry.at}`, at: clockTime(entry.at), ...words(entry), walled };
  });
}

function words({ text_key, detail }: TimelineRow): Words & { detail: string | null } {
  const known = WORDS[text_key] ?? row("info", sentence(text_key));
  if (detail && text_key === "recorders_not_paused") return { ...known, detail: recorderWhy(detail) };
  if (!detail || !text_key.startsWith("field_")) return { ...known, detail: detail || null };
  // `Card number: Visa 4242` tells which field it was, then what may be shown of it.
  const [field = "", rest = null] = detail.split(": ");
  return { ...known, text: `${field} ${known.text.toLowerCase()}`, detail: rest };
}

function sentence(key: string): string {
  const words = key.replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** The time of day where the agent sits. */
function clockTime(at: string): string {
  const date = new Date(at);
  return Number.isNaN(date.getTime())
    ? ""
    : date.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
}
