import { PANEL_HEADING } from "../hooks/useFocusRescue.ts";
import { mayCancel, takeReason } from "../view/deeds.ts";
import { type FieldRow, fieldRows } from "../view/fields.ts";
import { keepsOnly, write } from "../view/money.ts";
import type { CallView, Field, PaymentView } from "../wire.ts";
import { Button } from "./Button.tsx";
import { Icon } from "./Icon.tsx";

type Props = {
  call: CallView;
  payment: PaymentView;
  stale: boolean;
  busy: { take: boolean; cancel: boolean; field: boolean };
  onField: (field: Field, deed: "request" | "reset") => void;
  onTake: () => void;
  onCancel: () => void;
};

/** The payment while the caller keys it. */
export function FieldCard(props: Props) {
  const { call, payment, stale, busy, onField } = props;
  const rows = fieldRows(payment);
  const repeat = rows.find((row) => row.status === "bad") ?? rows.find((row) => row.status === "live");
  return (
    <section className="card pay" aria-label="Payment">
      <header>
        <h2 className="amount" id={PANEL_HEADING} tabIndex={-1}>
          {keepsOnly(payment) ? "A card to keep" : write(payment.amount)} <small>{payment.reference}</small>
        </h2>
        {payment.account && <span className="chip">{payment.account}</span>}
      </header>
      <ol className="fields" aria-label="Card details, keyed by the caller">
        {rows.map((row) => (
          <Row
            key={row.field}
            row={row}
            stale={stale}
            erased={call.line === "fault"}
            busy={busy.field}
            keys={row === repeat ? "Alt R" : undefined}
            onDeed={(deed) => onField(row.field, deed)}
          />
        ))}
      </ol>
      <Foot {...props} />
    </section>
  );
}

type RowProps = {
  row: FieldRow;
  stale: boolean;
  erased: boolean;
  busy: boolean;
  keys: string | undefined;
  onDeed: (deed: "request" | "reset") => void;
};

function Row({ row, stale, erased, busy, keys, onDeed }: RowProps) {
  const { deed, message } = row;
  const stopped = erased && row.status === "live";
  return (
    <li data-status={stopped ? "bad" : row.status} data-field={row.field}>
      <span className="st">
        <b>{row.number}</b>
        <Icon name="check" />
        <Icon name="x" />
        <span className="vh">{STATUS_WORDS[row.status]}</span>
      </span>
      <span className="name">
        {row.name}
        {row.hint && <small>{row.hint}</small>}
      </span>
      <span className="val">
        {stopped ? <span>Stopped. Nothing more is taken in.</span> : <Value row={row} />}
      </span>
      <span className="row">
        {deed && !stopped && (
          <Button
            look={deed.primary ? "pri" : "s"}
            busy={busy}
            {...(keys === undefined ? {} : { keys })}
            onPress={() => onDeed(deed.deed)}
          >
            {deed.label} <span className="vh">{row.name}</span>
          </Button>
        )}
      </span>
      {message && !stopped && (
        <span className="msg">
          <b>{message.title}</b> {message.rest}
        </span>
      )}
      {stale && row.status === "live" && (
        <span className="msg">
          <b className="warn">May be out of date.</b> Capture goes on without this screen.
        </span>
      )}
    </li>
  );
}

const STATUS_WORDS = { wait: "Not asked yet", live: "Being keyed", ok: "Accepted", bad: "Refused" };

function Value({ row }: { row: FieldRow }) {
  return (
    <>
      {row.dots && <Dots row={row} />}
      {row.count && <small>{row.count.words}</small>}
      {row.value && row.field === "cvv" && <Icon name="eyeoff" />}
      {row.value &&
        (row.field === "cvv" ? <small>{row.value}</small> : <span className="masked">{row.value}</span>)}
      {row.brand && <span className="brandmark">{row.brand}</span>}
    </>
  );
}

/** One dot a digit, in the groups that are printed on the card. There is nothing behind the dots. */
function Dots({ row }: { row: FieldRow }) {
  const dots = (row.dots ?? []).map((dot, index) => ({ ...dot, place: index }));
  const drawing = dots.map(({ place, on, last, gap }) => (
    <i key={place} className={[on && "on", last && "last", gap && "gap"].filter(Boolean).join(" ")} />
  ));
  if (row.count === null) return <span className="dots">{drawing}</span>;
  return (
    <span
      className="dots"
      role="progressbar"
      aria-label={row.name}
      aria-valuemin={0}
      aria-valuemax={row.count.of}
      aria-valuenow={row.count.now}
      aria-valuetext={`${row.count.now} of ${row.count.of} digits`}
    >
      {drawing}
    </span>
  );
}

function Foot({ call, payment, stale, busy, onTake, onCancel }: Props) {
  if (payment.state === "authorizing") {
    return (
      <div className="foot">
        <span className="spin" aria-hidden="true" />
        <div className="grow">
          <b>{keepsOnly(payment) ? "Keeping the card" : `Asking the bank for ${write(payment.amount)}`}</b>
          <div className="sm mut">Usually a few seconds. Stay on the line.</div>
        </div>
      </div>
    );
  }
  if (call.line === "fault") {
    return (
      <div className="foot">
        <span className="sm mut grow">Nothing was sent to the bank.</span>
        <Button busy={busy.cancel} onPress={onCancel}>
          Cancel payment
        </Button>
      </div>
    );
  }
  const reason = takeReason(call, payment);
  const hint =
    reason ??
    (stale
      ? "Wait until the line can be seen again."
      : keepsOnly(payment)
        ? "Nothing is taken."
        : "Say the amount first. Charged once, even if you press twice.");
  const off = reason !== null || stale;
  return (
    <div className="foot">
      <Button
        look={off ? "lg" : "lg pri"}
        keys="Alt Enter"
        off={off}
        busy={busy.take}
        describedBy="take-hint"
        onPress={onTake}
      >
        {keepsOnly(payment) ? "Keep this card" : `Take ${write(payment.amount)}`}
      </Button>
      <span className="sm mut grow" id="take-hint">
        {hint}
      </span>
      {mayCancel(payment) && (
        <Button look="quiet" busy={busy.cancel} onPress={onCancel}>
          Cancel payment
        </Button>
      )}
    </div>
  );
}
