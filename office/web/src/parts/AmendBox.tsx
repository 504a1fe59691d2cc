import { useState } from "react";
import { usePreview } from "../hooks/usePreview.ts";
import {
  amendDraft,
  amended,
  checkMove,
  checkRepeat,
  longDay,
  plain,
  type RepeatField,
} from "../view/repeat.ts";
import type { AgreementDetail, CalendarRow } from "../wire.ts";
import type { Change } from "./AgreementCard.tsx";
import { Box } from "./Box.tsx";
import { Button } from "./Button.tsx";
import { Icon } from "./Icon.tsx";
import { PreviewSay, RepeatBoxes, repeatId } from "./RepeatPart.tsx";

type Common = { busy: boolean; error: string | null; onChange: Change; onClose: () => void };
type Wrong = { field: RepeatField; error: string };

/** Other terms for all that is to come: read to the customer, then agreed on. */
export function AmendBox({
  agreement,
  busy,
  error,
  onChange,
  onClose,
}: Common & { agreement: AgreementDetail }) {
  const [draft, setDraft] = useState(() => amendDraft(agreement, new Date()));
  const [wrong, setWrong] = useState<Wrong | null>(null);
  const [sent, setSent] = useState(false);
  const currency = agreement.terms?.amount.currency ?? "GBP";
  const checked = checkRepeat(draft, null, currency);
  const terms = "terms" in checked ? amended(agreement.terms, checked.terms) : null;
  const preview = usePreview(terms);

  const send = async () => {
    if ("error" in checked) {
      setWrong(checked);
      document.getElementById(repeatId(checked.field))?.focus();
      return;
    }
    setSent(true);
    if (await onChange("amend", { terms })) onClose();
  };
  return (
    <Box title="Other terms for all that is to come" onClose={onClose}>
      <RepeatBoxes
        alone
        draft={draft}
        wrong={wrong}
        onChange={(next) => {
          setDraft(next);
          setWrong(null);
          setSent(false);
        }}
      />
      {agreement.terms?.until && <p className="sm mut">None is after {longDay(agreement.terms.until)}.</p>}
      <PreviewSay preview={preview} from="From now on" />
      <p className="sm mut">Changes of single payments are forgotten. What has been tried is not changed.</p>
      {sent && !busy && <Refused error={error} />}
      <div className="row wrap">
        <Button onPress={onClose}>Keep them as they are</Button>
        <Button look="pri" busy={busy} onPress={() => void send()}>
          The customer agrees
        </Button>
      </div>
    </Box>
  );
}

/** Another day or amount of one payment. */
export function MoveBox({ row, busy, error, onChange, onClose }: Common & { row: CalendarRow }) {
  const [draft, setDraft] = useState({ due: row.due, amount: plain(row.amount) });
  const [wrong, setWrong] = useState<string | null>(null);
  const [sent, setSent] = useState(false);

  const type = (part: Partial<typeof draft>) => {
    setDraft({ ...draft, ...part });
    setWrong(null);
    setSent(false);
  };
  const send = async () => {
    const move = checkMove(row, draft);
    if (move === null) return onClose();
    if ("error" in move) {
      setWrong(move.error);
      document.getElementById(`move-${move.field}`)?.focus();
      return;
    }
    setSent(true);
    if (await onChange("move", move)) onClose();
  };
  return (
    <Box title={`Change payment number ${row.number}`} onClose={onClose}>
      <div className="three">
        <div className="fieldset">
          <label htmlFor="move-due">Taken on</label>
          <input
            className="in"
            id="move-due"
            type="date"
            value={draft.due}
            aria-describedby="move-wrong"
            onChange={(event) => type({ due: event.target.value })}
          />
        </div>
        <div className="fieldset">
          <label htmlFor="move-amount">Amount</label>
          <input
            className="in"
            id="move-amount"
            inputMode="decimal"
            autoComplete="off"
            value={draft.amount}
            aria-describedby="move-wrong"
            onChange={(event) => type({ amount: event.target.value })}
          />
        </div>
      </div>
      <p className="sm mut">The others stay as they are. The customer is told.</p>
      <div id="move-wrong">
        <Refused error={wrong ?? (sent && !busy ? error : null)} />
      </div>
      <div className="row wrap">
        <Button onPress={onClose}>Keep it as it is</Button>
        <Button look="pri" busy={busy} onPress={() => void send()}>
          Change it
        </Button>
      </div>
    </Box>
  );
}

function Refused({ error }: { error: string | null }) {
  if (error === null) return null;
  return (
    <p className="note bad" role="alert">
      <Icon name="alert" />
      <span>{error}</span>
    </p>
  );
}
