import { PANEL_HEADING } from "../hooks/useFocusRescue.ts";
import { write } from "../view/money.ts";
import { type OutcomeOffer, type OutcomeView, outcomeView } from "../view/outcome.ts";
import type { PaymentView } from "../wire.ts";
import { Button } from "./Button.tsx";
import { Icon } from "./Icon.tsx";
import { Say } from "./Say.tsx";

const ICONS = { ok: "check", bad: "x", unk: "clock" } as const;

const OFFERS: Record<OutcomeOffer, { label: string; keys?: string }> = {
  other_card: { label: "Another card", keys: "Alt N" },
  ask_expiry: { label: "Ask for the expiry again", keys: "Alt 2" },
  ask_cvv: { label: "Ask for the security code again", keys: "Alt 3" },
  again: { label: "Try once more", keys: "Alt Enter" },
  smaller: { label: "Take a smaller amount" },
  another: { label: "Another payment" },
  end: { label: "End this payment" },
};

type Props = { payment: PaymentView; busy: boolean; onOffer: (offer: OutcomeOffer) => void };

/** The result. It takes the place of the fields, never stacks on them. */
export function Outcome({ payment, busy, onOffer }: Props) {
  const view = outcomeView(payment);
  if (view === null) return null;
  return (
    <section className={`outcome ${view.look}`} aria-labelledby={PANEL_HEADING} data-outcome={payment.state}>
      <div className="hd">
        <Icon name={ICONS[view.look]} />
        <div>
          <h2 id={PANEL_HEADING} tabIndex={-1}>
            {view.title}
          </h2>
          <p>{view.sub}</p>
        </div>
      </div>
      <div className="body">
        {view.facts.length > 0 && <Facts facts={view.facts} />}
        {payment.state === "approved" && <Agreed payment={payment} />}
        {view.script && <Say words={view.script} bare />}
        <Offers view={view} busy={busy} onOffer={onOffer} />
        {payment.state === "unknown" && (
          <div className="row wrap">
            <Button look="lg" off describedBy="after" onPress={() => {}}>
              Take {write(payment.amount)} again
            </Button>
          </div>
        )}
        {view.after && (
          <p className="sm mut" id="after">
            {view.after}
          </p>
        )}
      </div>
    </section>
  );
}

/** What became of the further payments that were agreed on with this one. */
function Agreed({ payment }: { payment: PaymentView }) {
  if (payment.agreement_state == null) return null;
  const stands = payment.agreement_state === "agreed";
  return (
    <p className="note" data-agreement={payment.agreement_state}>
      <Icon name={stands ? "redo" : "alert"} />
      <span>
        {stands ? (
          <>
            The further payments are set up. <a href="/repeats">See their calendar</a>.
          </>
        ) : payment.agreement_state === "offered" ? (
          "The further payments are being set up."
        ) : (
          "This payment was taken, but the card could not be kept: no further payment will be taken."
        )}
      </span>
    </p>
  );
}

function Facts({ facts }: Pick<OutcomeView, "facts">) {
  return (
    <dl className="facts4">
      {facts.map(({ label, value }) => (
        <div key={label}>
          <dt>{label}</dt>
          <dd className="mono">{value}</dd>
        </div>
      ))}
    </dl>
  );
}

function Offers({ view, busy, onOffer }: { view: OutcomeView; busy: boolean; onOffer: Props["onOffer"] }) {
  if (view.offers.length === 0) return null;
  return (
    <div className="row wrap">
      {view.offers.map((offer, index) => {
        const { label, keys } = OFFERS[offer];
        const first = index === 0 && view.look === "bad";
        const quiet = offer === "end" ? "quiet" : "lg";
        return (
          <Button
            key={offer}
            look={first ? "lg pri" : quiet}
            busy={busy}
            {...(keys === undefined ? {} : { keys })}
            onPress={() => onOffer(offer)}
          >
            {label}
          </Button>
        );
      })}
    </div>
  );
}
