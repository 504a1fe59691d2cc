/** The console's API about money that was taken. */

import { type Answer, read, send } from "../state/api.ts";
import type { Money } from "../wire.ts";
import type { Alarm, ByHandRow, DayView, Paid, PaidDetail, ReportView } from "./types.ts";

export type Scope = "mine" | "all" | "waiting";
type Page = { payments: Paid[]; next_cursor?: string | null };

export function payments(scope: Scope, cursor: string | null): Promise<Answer<Page>> {
  if (scope === "waiting") return send<Page>("GET", "/finance");
  const query = new URLSearchParams({ limit: "50" });
  if (scope === "all") query.set("all", "true");
  if (cursor !== null) query.set("cursor", cursor);
  return send<Page>("GET", `/payments?${query}`);
}

export const payment = (id: string) => send<PaidDetail>("GET", `/payments/${id}`);

export type FollowUp = "capture" | "void" | "refund";

/** `amount`: of a capture or a refund; without it all that is left. */
export const followUp = (id: string, deed: FollowUp, amount: Money | null, key: string) =>
  send<Paid>("POST", `/payments/${id}/${deed}`, deed === "void" ? undefined : amount ? { amount } : {}, key);
export const review = (id: string, accept: boolean, key: string) =>
  send<Paid>("POST", `/payments/${id}/review`, { accept }, key);
export const settle = (id: string, attempt: string, found: "done" | "not_done", key: string) =>
  send<{ settled: boolean }>("POST", `/payments/${id}/attempts/${attempt}/settle`, { found }, key);
export const seen = (id: string, alarm: number, note: string, key: string) =>
  send<{ alarms: Alarm[] }>("POST", `/payments/${id}/alarms/${alarm}/seen`, { note }, key);
/** `reason`: of the first of two, who must say; null of the second. */
export const deletedByHand = (
  token: string,
  found: "done" | "not_done",
  reason: string | null,
  key: string,
) =>
  send<{ settled: boolean }>(
    "POST",
    `/cards/${token}/deleted`,
    reason === null ? { found } : { found, reason },
    key,
  );

export const reports = () =>
  send<{ reports: ReportView[]; yesterday: string; time_zone: string }>("GET", "/reconciliations");
export const day = (date: string) => send<DayView>("GET", `/reconciliations/${date}`);
export const dayFile = (date: string, format: "csv" | "xlsx") =>
  `/api/v1/reconciliations/${date}/export?format=${format}`;

/** A report is written down whole before it is answered, and may be large. */
const UPLOAD_MS = 600_000;

type Taken = { report: ReportView; known: boolean };

export async function upload(file: File, query: Record<string, string>): Promise<Answer<Taken>> {
  const given = Object.entries(query).filter(([, value]) => value.trim() !== "");
  const search = new URLSearchParams([...given, ["name", file.name.slice(0, 100)]]);
  return patiently<Taken>(`/reconciliations?${search}`, file);
}

type Asked = { gateways: { gateway: string; report: ReportView | null; known: boolean }[] };

/** What the gateways themselves say of a day. */
export const askGateways = (date: string) => patiently<Asked>(`/reconciliations/${date}/fetch`, null);

async function patiently<T>(path: string, body: File | null): Promise<Answer<T>> {
  const headers: Record<string, string> = { Accept: "application/json", "X-Tonewall": "1" };
  if (body !== null) headers["Content-Type"] = "text/csv";
  const signal = AbortSignal.timeout(UPLOAD_MS);
  try {
    const init: RequestInit = { method: "POST", headers, credentials: "same-origin", signal, body };
    return await read<T>(await fetch(`/api/v1${path}`, init));
  } catch {
    return { ok: false, problem: null, retryAfter: null };
  }
}

export const withdraw = (id: string) => send<{ give_again: string[] }>("DELETE", `/reports/${id}`);

export const byHand = (keyed: boolean, cursor: string | null) =>
  send<{ payments: ByHandRow[]; next_cursor: string | null }>(
    "GET",
    `/manual-payments?${new URLSearchParams({ keyed: String(keyed), ...(cursor === null ? {} : { cursor }) })}`,
  );
export const byHandFile = (keyed: boolean, format: "csv" | "xlsx") =>
  `/api/v1/manual-payments/export?keyed=${keyed}&format=${format}`;
export const markKeyed = (id: string, shown: Money, key: string) =>
  send<{ shown: Money }>("POST", `/payments/${id}/keyed`, { shown }, key);
