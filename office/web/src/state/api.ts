/** The console's HTTP API, as far as the desk uses it. */

import type {
  AgreementDetail,
  AgreementView,
  CallView,
  Field,
  LinkView,
  Money,
  PaymentView,
  PreviewView,
  Problem,
  Quote,
  RecurringView,
  Session,
  Terms,
  TransferView,
  TransferWays,
} from "../wire.ts";

export type Answer<T> =
  | { ok: true; value: T }
  | { ok: false; problem: Problem; retryAfter: number | null }
  /** Nothing is known: the request may or may not have been carried out. */
  | { ok: false; problem: null; retryAfter: null };

/** `surcharge`: what the caller has accepted on top of the amount. */
export type Order = {
  amount: Money;
  account?: string;
  reference?: string;
  surcharge?: Money;
  repeat?: { terms: Terms; contact?: string };
  store?: "token" | "only";
};

/** An answer to securing may take as long as the media plane needs; this is only against waiting forever. */
const TIMEOUT_MS = 15_000;

export async function send<T>(
  method: string,
  path: string,
  body?: unknown,
  key?: string,
): Promise<Answer<T>> {
  const headers: Record<string, string> = { Accept: "application/json" };
  if (method !== "GET") headers["X-Tonewall"] = "1";
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (key !== undefined) headers["Idempotency-Key"] = key;
  const init: RequestInit = { method, headers, credentials: "same-origin", cache: "no-store" };
  if (body !== undefined) init.body = JSON.stringify(body);
  try {
    const response = await fetch(`/api/v1${path}`, { ...init, signal: AbortSignal.timeout(TIMEOUT_MS) });
    return await read<T>(response);
  } catch {
    return { ok: false, problem: null, retryAfter: null };
  }
}

export async function read<T>(response: Response): Promise<Answer<T>> {
  const text = await response.text();
  if (response.ok) return { ok: true, value: (text === "" ? null : JSON.parse(text)) as T };
  const retryAfter = Number.parseInt(response.headers.get("Retry-After") ?? "", 10);
  return {
    ok: false,
    problem: problemOf(response.status, text),
    retryAfter: Number.isNaN(retryAfter) ? null : retryAfter,
  };
}

/** A proxy in between may answer with a page of its own; its status still tells something. */
function problemOf(status: number, text: string): Problem {
  try {
    return { ...(JSON.parse(text) as Problem), status };
  } catch {
    return { status };
  }
}

export const signedIn = () => send<Session>("GET", "/session");
export const signIn = (email: string, password: string) =>
  send<Session>("POST", "/session", { email, password });
export const signOut = () => send<null>("DELETE", "/session");
export const recentPayments = () => send<{ payments: PaymentView[] }>("GET", "/payments?limit=5");

type PaymentDetail = Omit<PaymentView, "attempts"> & {
  attempts: unknown[];
  audit: unknown;
  settled: boolean;
};
export type Fate = { payment: PaymentView; settled: boolean };

/** A payment as it is written down, and whether nothing more can come of it. */
export async function fateOf(payment: string): Promise<Answer<Fate>> {
  const answer = await send<PaymentDetail>("GET", `/payments/${payment}`);
  if (!answer.ok) return answer;
  const { audit: _, settled, attempts, ...rest } = answer.value;
  return { ok: true, value: { payment: { ...rest, attempts: attempts.length }, settled } };
}

export const setLine = (call: string, deed: "secure" | "release", key: string) =>
  send<CallView>("POST", `/calls/${call}/${deed}`, undefined, key);
export const pauseRecorders = (call: string, key: string) =>
  send<CallView>("POST", `/calls/${call}/recorders/pause`, undefined, key);
/** Asked anew each time: its answer is kept nowhere. */
export const askTransfer = (conference: boolean) =>
  send<TransferView>("POST", "/transfers", conference ? { conference } : {});
export const transferWays = () => send<TransferWays>("GET", "/transfers");
export const surchargeOn = ({ minor, currency }: Money) =>
  send<Quote>("GET", `/surcharge?${new URLSearchParams({ minor: String(minor), currency })}`);
export const startPayment = (call: string, order: Order, key: string) =>
  send<PaymentView>("POST", `/calls/${call}/payments`, order, key);
export const setField = (payment: string, field: Field, deed: "request" | "reset", key: string) =>
  send<PaymentView>("POST", `/payments/${payment}/fields/${field}/${deed}`, undefined, key);
export const decide = (payment: string, deed: "authorize" | "cancel", key: string) =>
  send<PaymentView>("POST", `/payments/${payment}/${deed}`, undefined, key);

export const previewTerms = (terms: Terms) => send<PreviewView>("POST", "/agreements/preview", terms);
export const listAgreements = (account: string, cursor: string | null) =>
  send<{ agreements: AgreementView[]; next_cursor: string | null }>(
    "GET",
    `/agreements?${new URLSearchParams({
      ...(account === "" ? {} : { account }),
      ...(cursor === null ? {} : { cursor }),
    })}`,
  );
export const agreementOf = (id: string) => send<AgreementDetail>("GET", `/agreements/${id}`);
export type AgreementDeed =
  | "skip"
  | "pause"
  | "resume"
  | "cancel"
  | "amend"
  | "move"
  | "take"
  | "leave"
  | "link/take-back";
export const changeAgreement = (id: string, deed: AgreementDeed, body: unknown, key: string) =>
  send<AgreementDetail>("POST", `/agreements/${id}/${deed}`, body, key);
export const makeLink = (id: string, key: string) =>
  send<LinkView>("POST", `/agreements/${id}/link`, undefined, key);
export const recurringNow = () => send<RecurringView>("GET", "/recurring");
export const clockIsRight = (key: string) => send<RecurringView>("POST", "/recurring/clock", undefined, key);
