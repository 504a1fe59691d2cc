import { useEffect, useState } from "react";
import { PANEL_HEADING } from "../hooks/useFocusRescue.ts";
import { recentPayments } from "../state/api.ts";
import { awaitedCall, type DeskState } from "../state/desk.ts";
import type { Sight } from "../state/freshness.ts";
import { overlaid } from "../state/payment.ts";
import { write } from "../view/money.ts";
import { cardWords } from "../view/outcome.ts";
import type { PaymentState, PaymentView } from "../wire.ts";
import { Icon } from "./Icon.tsx";
import { Banner } from "./LineBand.tsx";
import { Transfer } from "./Transfer.tsx";

type Heard = Readonly<Record<string, PaymentView>>;
type Props = {
  state: DeskState;
  link: Sight;
  last: string | null;
  onReconnect: () => void;
  onSignedOut: () => void;
};

/** No call. `last` is the call that ended last, after which the list is read anew. */
export function IdlePanel({ state, link, last, onReconnect, onSignedOut }: Props) {
  return (
    <>
      {link.lost && (
        <Banner
          banner={{ title: "This screen lost its connection.", rest: "Reconnecting." }}
          onRetry={onReconnect}
        />
      )}
      <div className="who">
        <h2 id={PANEL_HEADING} tabIndex={-1}>
          No call
        </h2>
        <div className="facts">
          <span>The desk fills in by itself when a call reaches you.</span>
        </div>
      </div>
      <Transfer
        awaited={awaitedCall(state)}
        live={state.link.status === "live" && state.door === "up"}
        onSignedOut={onSignedOut}
      />
      <Recent key={last} live={state.link.status === "live"} heard={state.payments} />
    </>
  );
}

const RESULTS: Record<PaymentState, { tone: string; icon: string; words: string }> = {
  waiting: { tone: "", icon: "clock", words: "Waiting" },
  capturing: { tone: "", icon: "clock", words: "Being keyed" },
  ready: { tone: "", icon: "clock", words: "Ready" },
  authorizing: { tone: "warn", icon: "clock", words: "At the bank" },
  approved: { tone: "ok", icon: "check", words: "Approved" },
  declined: { tone: "bad", icon: "x", words: "Declined" },
  not_sent: { tone: "bad", icon: "x", words: "Not sent" },
  unknown: { tone: "warn", icon: "clock", words: "Being confirmed" },
  cancelled: { tone: "", icon: "x", words: "Canceled" },
  voided: { tone: "", icon: "x", words: "Given back" },
  refunded: { tone: "", icon: "x", words: "Refunded" },
};

/** The agent's own last payments, read when the desk falls idle or hears again, and then as they change. */
function Recent({ live, heard }: { live: boolean; heard: Heard }) {
  const [payments, setPayments] = useState<PaymentView[] | null>(null);
  useEffect(() => {
    if (!live) return;
    let here = true;
    recentPayments().then((answer) => {
      if (here && answer.ok) setPayments(answer.value.payments);
    });
    return () => {
      here = false;
    };
  }, [live]);
  return (
    <section className="card" aria-labelledby="recent">
      <header>
        <h2 id="recent">Your last payments</h2>
      </header>
      {payments === null || payments.length === 0 ? (
        <p className="pad sm mut">{payments === null ? "Looking…" : "None yet."}</p>
      ) : (
        <RecentTable payments={overlaid(payments, heard)} />
      )}
    </section>
  );
}

function RecentTable({ payments }: { payments: PaymentView[] }) {
  return (
    <div className="tw">
      <table>
        <thead>
          <tr>
            <th>Time</th>
            <th>Account</th>
            <th>Card</th>
            <th>Result</th>
            <th className="num">Amount</th>
          </tr>
        </thead>
        <tbody>
          {payments.map((payment) => {
            const { tone, icon, words } = RESULTS[payment.state];
            return (
              <tr key={payment.id}>
                <td>{time(payment.created_at)}</td>
                <td className="mono">{payment.account ?? "–"}</td>
                <td>{cardWords(payment) ?? "–"}</td>
                <td>
                  <span className={`chip ${tone}`}>
                    <Icon name={icon} />
                    {words}
                  </span>
                </td>
                <td className="num">{write(payment.amount)}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

function time(at: string): string {
  return new Date(at).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
}
