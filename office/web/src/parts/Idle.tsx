import { useEffect, useState } from "react";
import { PANEL_HEADING } from "../hooks/useFocusRescue.ts";
import { recentPayments } from "../state/api.ts";
import { write } from "../view/money.ts";
import { cardWords } from "../view/outcome.ts";
import type { PaymentState, PaymentView } from "../wire.ts";
import { Icon } from "./Icon.tsx";
import { Banner } from "./LineBand.tsx";

type Props = { lost: boolean; last: string | null; onReconnect: () => void };

/** No call. `last` is the call that ended last, after which the list is read anew. */
export function IdlePanel({ lost, last, onReconnect }: Props) {
  return (
    <>
      {lost && (
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
      <Recent key={last} />
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
};

/** The agent's own last payments, read once each time the desk falls idle. */
function Recent() {
  const [payments, setPayments] = useState<PaymentView[] | null>(null);
  useEffect(() => {
    let here = true;
    recentPayments().then((answer) => {
      if (here && answer.ok) setPayments(answer.value.payments);
    });
    return () => {
      here = false;
    };
  }, []);
  return (
    <section className="card" aria-labelledby="recent">
      <header>
        <h2 id="recent">Your last payments</h2>
      </header>
      {payments === null || payments.length === 0 ? (
        <p className="pad sm mut">{payments === null ? "Looking…" : "None yet."}</p>
      ) : (
        <RecentTable payments={payments} />
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
