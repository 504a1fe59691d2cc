import { useState } from "react";
import { ACCEPT_ID, boxId } from "../parts/OrderForm.tsx";
import type { Order } from "../state/api.ts";
import * as drafts from "../view/draft.ts";
import { currencyCodes } from "../view/money.ts";
import { mayUse } from "../view/places.ts";
import { isAccepted, owed, withSurcharge } from "../view/surcharge.ts";
import type { Money, PaymentView, Session } from "../wire.ts";
import { useQuote } from "./useQuote.ts";
import { useRepeat } from "./useRepeat.ts";

type Kept = { call: string | null; draft: drafts.Draft; errors: Errors; accepted: Money | null };
type Errors = drafts.Errors;

const empty = (call: string | null, currency: string): Kept => ({
  call,
  draft: drafts.newDraft(currency),
  errors: {},
  accepted: null,
});

/** What is typed for the call on the screen. Another call begins with empty boxes and the console's `currency`. */
export function useOrder(call: string | null, { currency, user }: Session) {
  const [kept, setKept] = useState<Kept>(empty(call, currency));
  const { draft, errors, accepted } = kept.call === call ? kept : empty(call, currency);

  const change = (next: drafts.Draft) =>
    setKept({ call, draft: next, errors: unchanged(draft, next, errors), accepted });

  const minor = draft.keep === "only" ? null : drafts.toMinor(draft.amount, draft.currency);
  const amount = typeof minor === "number" ? { minor, currency: draft.currency } : null;
  const quote = owed(useQuote(amount), amount);

  const repeat = useRepeat(call, amount, draft.currency);

  /** Puts errors beside their boxes; a box that holds something like a card number is emptied. */
  const show = (found: Errors) =>
    setKept({ call, draft: drafts.withoutCards(draft, found), errors: found, accepted });

  /** The order, or null after the errors have been shown and the first wrong box has the focus. */
  const check = (): Order | null => {
    const checked = drafts.check(draft);
    if ("order" in checked) {
      const order = withSurcharge(checked.order, quote, accepted);
      if (order === null) document.getElementById(ACCEPT_ID)?.focus();
      return order === null || draft.keep === "only" ? order : repeat.fit(order);
    }
    show(checked.errors);
    const first = (["amount", "account", "reference"] as const).find((field) => checked.errors[field]);
    if (first) document.getElementById(boxId(first))?.focus();
    return null;
  };

  const leave = (field: drafts.DraftField) => {
    const checked = drafts.check(draft);
    const error = "errors" in checked ? checked.errors[field] : undefined;
    if (draft[field] !== "" && error !== undefined) show({ ...errors, [field]: error });
  };

  const fillFrom = (payment: PaymentView) => {
    repeat.clear();
    setKept({ ...empty(call, payment.amount.currency), draft: likeThat(payment) });
  };

  const accept = (accepts: boolean) =>
    setKept({ call, draft, errors, accepted: accepts && quote !== null ? quote.total : null });

  return {
    draft,
    mayKeep: mayUse(user, "store"),
    currencies: currencyCodes(currency, draft.currency),
    errors,
    touched: !drafts.untouched(draft),
    /** With the surcharge: what the caller is told and pays. */
    amount: draft.keep === "only" ? { minor: 0, currency: draft.currency } : (quote?.total ?? amount),
    quote,
    accepted: quote !== null && isAccepted(quote, accepted),
    accept,
    /** Null where the agent may not keep cards. */
    repeat: mayUse(user, "store") && draft.keep !== "only" ? repeat.form : null,
    change,
    check,
    leave,
    fillFrom,
    clear: () => {
      repeat.clear();
      setKept(empty(call, draft.currency));
    },
  };
}

/** What was being paid, without its amount. */
const likeThat = ({ amount, account, reference }: PaymentView): drafts.Draft => ({
  amount: "",
  currency: amount.currency,
  account: account ?? "",
  reference: reference ?? "",
  keep: "none",
});

export type OrderDraft = ReturnType<typeof useOrder>;

function unchanged(before: drafts.Draft, after: drafts.Draft, errors: Errors): Errors {
  const fields = ["amount", "account", "reference"] as const;
  const kept = fields.filter((field) => before[field] === after[field] && errors[field] !== undefined);
  return Object.fromEntries(kept.map((field) => [field, errors[field]]));
}
