import { Button } from "../parts/Button.tsx";
import { Icon } from "../parts/Icon.tsx";
import { write } from "../view/money.ts";
import { settle } from "./api.ts";
import type { Deed } from "./Payment.tsx";
import type { Attempt, PaidDetail } from "./types.ts";
import { attemptWords, timeOf } from "./words.ts";

type Props = { payment: PaidDetail; finance: boolean; busy: boolean; deed: Deed };

/** Everything that the gateway was asked, in order. */
export function Attempts({ payment, finance, busy, deed }: Props) {
  if (payment.attempts.length === 0) return null;
  return (
    <div className="sect">
      <h2>Attempts</h2>
      <ol>
        {payment.attempts.map((attempt) => {
          const { tone, icon, words } = attemptWords(attempt);
          return (
            <li className="att" key={attempt.id}>
              <span className={tone}>
                <Icon name={icon} />
              </span>
              <b>{words}</b>
              <span className="num">{attempt.amount && write(attempt.amount)}</span>
              <p>{detail(attempt)}</p>
              {finance && payment.needs_people && mustBeSettled(attempt) && (
                <Settle {...{ payment, attempt, busy, deed }} />
              )}
            </li>
          );
        })}
      </ol>
    </div>
  );
}

const mustBeSettled = ({ outcome }: Attempt) => outcome === null || outcome.outcome === "unknown";

function detail({ outcome, sent_at }: Attempt): string {
  const more: (string | null)[] = [timeOf(sent_at)];
  if (outcome?.outcome === "approved")
    more.push(outcome.gateway_ref, outcome.auth_code && `code ${outcome.auth_code}`);
  if (outcome?.outcome === "declined") more.push(outcome.class.replaceAll("_", " "), outcome.network_code);
  return more.filter(Boolean).join(" · ");
}

type SettleProps = { payment: PaidDetail; attempt: Attempt; busy: boolean; deed: Deed };

/** The gateway cannot be asked: two people look there, and say the same. */
function Settle({ payment, attempt, busy, deed }: SettleProps) {
  const press = (found: "done" | "not_done") =>
    deed(
      `settle ${attempt.id} ${found}`,
      (key) => settle(payment.id, attempt.id, found, key),
      ({ settled }) => (settled ? "It is settled." : "Noted. It counts when a second person says the same."),
    );
  return (
    <div className="settle note warn">
      <Icon name="alert" />
      <div className="stack gap2">
        <span>This gateway cannot be asked. Look there: was it done? Two people must say the same.</span>
        <div className="row wrap">
          <Button look="s" busy={busy} onPress={() => void press("done")}>
            It was done
          </Button>
          <Button look="s" busy={busy} onPress={() => void press("not_done")}>
            It was not done
          </Button>
        </div>
      </div>
    </div>
  );
}
