import { useCallback, useEffect, useState } from "react";
import { keepAsking } from "../state/asking.ts";
import { write } from "../view/money.ts";
import { cardWords } from "../view/outcome.ts";
import { mayUse } from "../view/places.ts";
import type { PaymentView, User } from "../wire.ts";
import { Alarms } from "./Alarms.tsx";
import { Attempts } from "./Attempts.tsx";
import { payment as ask } from "./api.ts";
import { CardDeletion } from "./CardDeletion.tsx";
import { FollowUps } from "./FollowUps.tsx";
import { Chip, Note } from "./Frame.tsx";
import { Review } from "./Review.tsx";
import type { PaidDetail } from "./types.ts";
import { useDeed } from "./useDeed.ts";
import { chipOf, timeOf } from "./words.ts";

type Props = { id: string; user: User; onSignedOut: () => void; onChange: () => void };

export type Deed = ReturnType<typeof useDeed>["run"];

/** One payment: what came of it, what may follow, and who did what. */
export function Payment({ id, user, onSignedOut, onChange }: Props) {
  const [payment, setPayment] = useState<PaidDetail | null>(null);
  const { told, busy, fail, run } = useDeed(onSignedOut);

  const load = useCallback(async () => {
    const answer = await ask(id);
    if (answer.ok) setPayment(answer.value);
    else fail(answer);
  }, [id, fail]);
  useEffect(() => {
    void load();
  }, [load]);

  const attempted = payment?.attempts.some(
    ({ outcome }) => outcome === null || outcome.outcome === "unknown",
  );
  // What two people have said stands when the card side has written it down.
  const said = payment?.card_deletion?.state === "asked" && payment.card_deletion.said_by !== null;
  const open = attempted || said;
  useEffect(() => (open ? keepAsking(load) : undefined), [open, load]);

  const deed: Deed = async (name, work, done) => {
    await run(name, work, done);
    await load();
    onChange();
  };
  if (payment === null) {
    return (
      <section className="card pad" aria-label="Payment">
        <Note told={told} />
        {told === null && <p className="sm mut">Looking…</p>}
      </section>
    );
  }
  const finance = mayUse(user, "finance");
  return (
    <section className="card" aria-label="Payment">
      <Head payment={payment} />
      {told && (
        <div className="sect">
          <Note told={told} />
        </div>
      )}
      <Alarms {...{ payment, finance, busy, deed }} />
      <CardDeletion {...{ payment, me: user.email, finance, busy, deed }} />
      {payment.review === "wanted" && finance && <Review {...{ payment, busy, deed }} />}
      <FollowUps {...{ payment, user, busy, deed }} />
      <Attempts {...{ payment, finance, busy, deed }} />
      <Audit payment={payment} />
    </section>
  );
}

function Head({ payment }: { payment: PaidDetail }) {
  // The desk's words about a card need none of the attempts.
  const card = cardWords({ ...payment, attempts: payment.attempts.length } as PaymentView);
  const facts = [
    { label: "Account", value: payment.account },
    { label: "Invoice", value: payment.invoice },
    { label: "Reference", value: payment.reference },
    { label: "Approved", value: payment.approved && write(payment.approved) },
    { label: "Taken", value: payment.captured.minor > 0 ? write(payment.captured) : null },
    { label: "Given back", value: payment.refunded.minor > 0 ? write(payment.refunded) : null },
  ].filter(({ value }) => value !== null);
  return (
    <div className="pad stack gap2">
      <div className="row sb wrap">
        <span className="amount">{write(payment.amount)}</span>
        <Chip {...chipOf(payment)} />
      </div>
      <p className="sm mut">{[card, timeOf(payment.created_at)].filter(Boolean).join(" · ")}</p>
      <dl className="dl">
        {facts.map(({ label, value }) => (
          <div className="contents" key={label}>
            <dt>{label}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </div>
  );
}

function Audit({ payment }: { payment: PaidDetail }) {
  return (
    <div className="sect">
      <details>
        <summary>Audit trail</summary>
        <ol className="trail">
          {payment.audit.map((row, at) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: rows are only ever added at the end.
            <li key={at}>
              <span>
                {row.what.replaceAll("_", " ")}: {row.result.replaceAll("_", " ")}
                <small>{row.api_key === null ? row.who : `${row.who}, by API key ${row.api_key}`}</small>
              </span>
              <time dateTime={row.at}>{timeOf(row.at)}</time>
            </li>
          ))}
        </ol>
      </details>
    </div>
  );
}
