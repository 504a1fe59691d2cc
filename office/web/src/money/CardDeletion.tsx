import { useState } from "react";
import { Button } from "../parts/Button.tsx";
import { Icon } from "../parts/Icon.tsx";
import { deletedByHand } from "./api.ts";
import type { Deed } from "./Payment.tsx";
import type { CardDeletion as Deletion, PaidDetail } from "./types.ts";
import { timeOf } from "./words.ts";

type Props = { payment: PaidDetail; me: string; finance: boolean; busy: boolean; deed: Deed };

/** How the card goes that was kept with the payment: by its gateway's word, or by that of two people. */
export function CardDeletion({ payment, me, finance, busy, deed }: Props) {
  const deletion = payment.card_deletion;
  if (deletion === null) return null;
  return (
    <div className="sect">
      <h2>Kept card</h2>
      {deletion.state === "asked" ? (
        <Asked {...{ deletion, me, finance, busy, deed }} />
      ) : (
        <p className="note">
          <Icon name="check" />
          <span>
            {deletion.state === "by_hand"
              ? `Deleted by hand, said by ${deletion.said_by}, confirmed by ${deletion.confirmed_by}. The gateway has not said so.`
              : "Forgotten: who had it has deleted it."}
            <small className="mut">
              {timeOf(deletion.since)}
              {deletion.state === "by_hand" && deletion.reason && ` · ${deletion.reason}`}
            </small>
          </span>
        </p>
      )}
    </div>
  );
}

type AskedProps = Omit<Props, "payment"> & { deletion: Deletion };

function Asked({ deletion, me, finance, busy, deed }: AskedProps) {
  const { token, said_by } = deletion;
  const press = (found: "done" | "not_done", reason: string | null) =>
    deed(
      `deleted ${token} ${found} ${said_by} ${reason}`,
      (key) => deletedByHand(token, found, reason, key),
      ({ settled }) => (settled ? "It is written down, with both names." : NOTED[found]),
    );
  return (
    <div className="settle note warn">
      <Icon name="alert" />
      <div className="grow stack gap2">
        <span>
          {said_by === null
            ? "It is charged no more. Its gateway has not said yet that it is deleted there."
            : `${said_by} says that it was deleted at the gateway by hand: ${deletion.reason}`}
          <small className="mut">{timeOf(deletion.said_at ?? deletion.since)}</small>
        </span>
        {finance && said_by === null && <Say busy={busy} onSay={(reason) => void press("done", reason)} />}
        {finance && said_by !== null && (
          <>
            {said_by === me ? (
              <span>It counts when another person has looked there and confirms it.</span>
            ) : (
              <span>Look there before you confirm it: your name stands for it too.</span>
            )}
            <div className="row wrap">
              {said_by !== me && (
                <Button look="s" busy={busy} onPress={() => void press("done", null)}>
                  It is deleted there
                </Button>
              )}
              <Button look="s" busy={busy} onPress={() => void press("not_done", null)}>
                It is still there
              </Button>
            </div>
          </>
        )}
      </div>
    </div>
  );
}

const NOTED = {
  done: "Noted. It counts when a second person confirms it.",
  not_done: "Noted: it is still there. Nobody’s word of before counts.",
};

function Say({ busy, onSay }: { busy: boolean; onSay: (reason: string) => void }) {
  const [reason, setReason] = useState("");
  return (
    <div className="fieldset">
      <label htmlFor="deleted-how">
        If you have deleted it in the gateway’s own dashboard: where, and how
      </label>
      <input
        className="in"
        id="deleted-how"
        value={reason}
        maxLength={500}
        onChange={(event) => setReason(event.target.value)}
        autoComplete="off"
      />
      <div>
        <Button look="s" busy={busy} onPress={() => onSay(reason.trim())}>
          I have deleted it there
        </Button>
      </div>
    </div>
  );
}
