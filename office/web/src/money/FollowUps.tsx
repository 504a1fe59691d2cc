import { useState } from "react";
import { Box } from "../parts/Box.tsx";
import { Button } from "../parts/Button.tsx";
import { toMinor } from "../view/draft.ts";
import { decimalsOf, write } from "../view/money.ts";
import { mayUse } from "../view/places.ts";
import type { Money, User } from "../wire.ts";
import { type FollowUp, followUp } from "./api.ts";
import type { Deed } from "./Payment.tsx";
import type { PaidDetail } from "./types.ts";
import { left } from "./words.ts";

type Props = { payment: PaidDetail; user: User; busy: boolean; deed: Deed };
type Asked = { what: FollowUp; limit: number };

const WORDS: Record<FollowUp, { button: string; title: string; text: string; yes: string }> = {
  capture: {
    button: "Take reserved money",
    title: "Take reserved money",
    text: "What was approved is taken from the card now. A part may be taken now and the rest later.",
    yes: "Take",
  },
  refund: {
    button: "Refund",
    title: "Refund",
    text: "The money goes back to the card that paid. This cannot be taken back.",
    yes: "Refund",
  },
  void: {
    button: "Void",
    title: "Void the whole payment?",
    text: "The whole payment is given back before it is settled. This cannot be taken back.",
    yes: "Void",
  },
};

/** What may follow an approval, as far as this user may do it and anything is left. */
export function FollowUps({ payment, user, busy, deed }: Props) {
  const [asked, setAsked] = useState<Asked | null>(null);
  const { capturable, refundable, voidable } = left(payment);
  const offers: Asked[] = [];
  if (capturable > 0 && mayUse(user, "preauthorize")) offers.push({ what: "capture", limit: capturable });
  if (refundable > 0 && mayUse(user, "refund")) offers.push({ what: "refund", limit: refundable });
  if (voidable && mayUse(user, "refund")) offers.push({ what: "void", limit: payment.approved?.minor ?? 0 });
  if (offers.length === 0) return null;

  const send = ({ what }: Asked, amount: Money | null) => {
    setAsked(null);
    const name = `${what} ${amount?.minor ?? "all"}`;
    void deed(
      name,
      (key) => followUp(payment.id, what, amount, key),
      () => "It is safely written down and on its way. How it ends stands among the attempts.",
    );
  };
  return (
    <div className="sect">
      <div className="row wrap">
        {offers.map((offer) => (
          <Button key={offer.what} busy={busy} onPress={() => setAsked(offer)}>
            {WORDS[offer.what].button}
          </Button>
        ))}
      </div>
      {asked && (
        <Ask
          {...{ asked, currency: payment.amount.currency }}
          onNo={() => setAsked(null)}
          onYes={(money) => send(asked, money)}
        />
      )}
    </div>
  );
}

type AskProps = { asked: Asked; currency: string; onYes: (amount: Money | null) => void; onNo: () => void };

function Ask({ asked: { what, limit }, currency, onYes, onNo }: AskProps) {
  const all = (limit / 10 ** decimalsOf(currency)).toFixed(decimalsOf(currency));
  const [text, setText] = useState(all);
  const [error, setError] = useState<string | null>(null);
  const words = WORDS[what];
  const most = write({ minor: limit, currency });
  const press = () => {
    if (what === "void") return onYes(null);
    const minor = toMinor(text, currency);
    if (typeof minor === "string") return setError(minor);
    if (minor > limit) return setError(`At most ${most} are left.`);
    onYes({ minor, currency });
  };
  return (
    <Box title={words.title} urgent={what === "void"} onClose={onNo}>
      <p className="sm">{words.text}</p>
      {what !== "void" && (
        <div className="fieldset">
          <label htmlFor="how-much">
            Amount in {currency}, at most {most}
          </label>
          <input
            className="in"
            id="how-much"
            value={text}
            inputMode="decimal"
            autoComplete="off"
            aria-invalid={error !== null}
            aria-describedby="how-much-error"
            onChange={(event) => setText(event.target.value)}
          />
          <p className="sm bad" id="how-much-error" role="alert">
            {error}
          </p>
        </div>
      )}
      <div className="row wrap">
        <Button look={what === "capture" ? "pri" : "danger"} onPress={press}>
          {words.yes} {what === "void" ? most : ""}
        </Button>
        <Button onPress={onNo}>Leave it</Button>
      </div>
    </Box>
  );
}
