/** What the house adds to an amount. The caller must be told of it and accept it before the payment is started. */

import type { Order } from "../state/api.ts";
import type { Money, Quote } from "../wire.ts";
import { write } from "./money.ts";

const same = (one: Money, other: Money) => one.minor === other.minor && one.currency === other.currency;

/** The quote, if it is about this amount and there is something to tell. */
export function owed(quote: Quote | null, amount: Money | null): Quote | null {
  if (quote === null || amount === null || !same(quote.amount, amount)) return null;
  return quote.surcharge.minor > 0 ? quote : null;
}

export const surchargeWords = ({ surcharge, total }: Quote): string =>
  `A surcharge of ${write(surcharge)} is added: ${write(total)} in all. Tell the caller.`;

/** What was accepted is one total: of another amount nothing has been accepted. */
export const isAccepted = (quote: Quote, accepted: Money | null): boolean =>
  accepted !== null && same(accepted, quote.total);

/** The order with the surcharge that the caller has accepted, or null when they have not. */
export function withSurcharge(order: Order, quote: Quote | null, accepted: Money | null): Order | null {
  const told = owed(quote, order.amount);
  if (told === null) return order;
  return isAccepted(told, accepted) ? { ...order, surcharge: told.surcharge } : null;
}
