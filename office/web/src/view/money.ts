/** Amounts as people write and say them. */

import type { Money } from "../wire.ts";

type CurrencyFacts = { code: string; decimals: number; unit: string; units: string; cents: string };

/** ISO 4217 decimals; the browser's own table differs from it for some currencies. */
export const CURRENCIES: readonly CurrencyFacts[] = [
  { code: "GBP", decimals: 2, unit: "pound", units: "pounds", cents: "pence" },
  { code: "EUR", decimals: 2, unit: "euro", units: "euros", cents: "cents" },
  { code: "USD", decimals: 2, unit: "dollar", units: "dollars", cents: "cents" },
  { code: "CHF", decimals: 2, unit: "franc", units: "francs", cents: "centimes" },
  { code: "SEK", decimals: 2, unit: "krona", units: "kronor", cents: "öre" },
  { code: "NOK", decimals: 2, unit: "krone", units: "kroner", cents: "øre" },
  { code: "DKK", decimals: 2, unit: "krone", units: "kroner", cents: "øre" },
  { code: "PLN", decimals: 2, unit: "zloty", units: "zloty", cents: "groszy" },
  { code: "CZK", decimals: 2, unit: "koruna", units: "koruny", cents: "haléřů" },
  { code: "CAD", decimals: 2, unit: "Canadian dollar", units: "Canadian dollars", cents: "cents" },
  { code: "AUD", decimals: 2, unit: "Australian dollar", units: "Australian dollars", cents: "cents" },
  { code: "NZD", decimals: 2, unit: "New Zealand dollar", units: "New Zealand dollars", cents: "cents" },
  { code: "JPY", decimals: 0, unit: "yen", units: "yen", cents: "" },
  { code: "BHD", decimals: 3, unit: "dinar", units: "dinars", cents: "fils" },
  { code: "KWD", decimals: 3, unit: "dinar", units: "dinars", cents: "fils" },
];

function facts(code: string): CurrencyFacts {
  const listed = CURRENCIES.find((currency) => currency.code === code);
  if (listed) return listed;
  const format = new Intl.NumberFormat("en-GB", { style: "currency", currency: code });
  const decimals = format.resolvedOptions().maximumFractionDigits ?? 2;
  return { code, decimals, unit: code, units: code, cents: "" };
}

export const decimalsOf = (code: string): number => facts(code).decimals;

/** `£186.40`. */
export function write(money: Money): string {
  const { decimals } = facts(money.currency);
  return new Intl.NumberFormat("en-GB", {
    style: "currency",
    currency: money.currency,
    minimumFractionDigits: decimals,
    maximumFractionDigits: decimals,
  }).format(money.minor / 10 ** decimals);
}

/** `186 pounds 40`, for a voice. */
export function say(money: Money): string {
  const { decimals, unit, units, cents } = facts(money.currency);
  const whole = Math.floor(money.minor / 10 ** decimals);
  const rest = money.minor % 10 ** decimals;
  const name = whole === 1 ? unit : units;
  if (rest === 0) return `${whole} ${name}`;
  if (whole === 0 && cents !== "") return `${rest} ${cents}`;
  return `${whole} ${name} ${String(rest).padStart(decimals, "0")}`;
}
