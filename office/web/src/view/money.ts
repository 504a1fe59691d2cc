/** Amounts as people write and say them. */

import type { Money } from "../wire.ts";

type CurrencyFacts = { code: string; decimals: number; unit: string; units: string; cents: string };

/** The currencies that are always offered, and how they are said. */
const CURRENCIES: readonly CurrencyFacts[] = [
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

/**
 * ISO 4217: minor units of other than two decimals. The browser's own table differs from it for some currencies, and
 * an amount would be a hundred times what was typed.
 */
const DECIMALS: Readonly<Record<number, string>> = {
  0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
  3: "BHD IQD JOD KWD LYD OMR TND",
  4: "CLF UYW",
};

/** What can be chosen: the table, after any of `first` that it does not know. */
export function currencyCodes(...first: string[]): string[] {
  return [...new Set([...first.filter((code) => !listed(code)), ...CURRENCIES.map(({ code }) => code)])];
}

const listed = (code: string) => CURRENCIES.find((currency) => currency.code === code);

function facts(code: string): CurrencyFacts {
  const known = listed(code);
  if (known) return known;
  const other = Object.entries(DECIMALS).find(([, codes]) => codes.split(" ").includes(code));
  return { code, decimals: Number(other?.[0] ?? 2), unit: code, units: code, cents: "" };
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

/** Is nothing taken, so that the card is only kept? */
export const keepsOnly = (payment: { amount: Money }): boolean => payment.amount.minor === 0;
