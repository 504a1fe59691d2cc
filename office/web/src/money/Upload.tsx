import { type FormEvent, useRef, useState } from "react";
import type { Answer } from "../state/api.ts";
import { upload } from "./api.ts";
import type { ReportView } from "./types.ts";

type Failed = Extract<Answer<unknown>, { ok: false }>;
type Props = {
  onFail: (failed: Failed) => void;
  onTaken: (report: ReportView, known: boolean) => void;
  /** How far a report on its way is. */
  onBusy: (busy: boolean) => void;
};

const FORMATS = [
  { format: "stripe", words: "Stripe: balance change from activity, itemized" },
  { format: "adyen", words: "Adyen: settlement details" },
  { format: "columns", words: "Another CSV: name its columns" },
  { format: "sandbox", words: "Sandbox: statement" },
];

/** Names of columns, as the header of the file has them. */
const COLUMNS = [
  { name: "at", words: "Column with the date", need: true },
  { name: "reference", words: "Column with the gateway’s reference", need: true },
  { name: "amount", words: "Column with the amount", need: true },
  { name: "currency", words: "Currency, such as GBP", need: true },
  { name: "id", words: "Column with the line’s own id (optional)", need: false },
  { name: "fee", words: "Column with the fee (optional)", need: false },
];

export function Upload({ onFail, onTaken, onBusy }: Props) {
  const [format, setFormat] = useState("stripe");
  const [busy, setBusy] = useState(false);
  const form = useRef<HTMLFormElement>(null);

  async function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    if (busy) return;
    const data = new FormData(event.currentTarget);
    const file = data.get("file");
    if (!(file instanceof File)) return;
    const texts = [...data.entries()].filter(
      (entry): entry is [string, string] => typeof entry[1] === "string",
    );
    setBusy(true);
    onBusy(true);
    const answer = await upload(file, Object.fromEntries(texts));
    setBusy(false);
    onBusy(false);
    if (!answer.ok) return onFail(answer);
    form.current?.reset();
    setFormat("stripe");
    onTaken(answer.value.report, answer.value.known);
  }

  return (
    <section className="card" aria-labelledby="upload">
      <header>
        <h2 id="upload">Give in a report</h2>
      </header>
      <form className="pad stack" ref={form} onSubmit={submit}>
        <div className="fieldset">
          <label htmlFor="format">Which report</label>
          <select
            className="in"
            id="format"
            name="format"
            value={format}
            onChange={(event) => setFormat(event.target.value)}
          >
            {FORMATS.map((one) => (
              <option key={one.format} value={one.format}>
                {one.words}
              </option>
            ))}
          </select>
        </div>
        {format === "columns" && <Columns />}
        {format === "columns" && <Kinds />}
        <Source need={format === "columns"} />
        <div className="fieldset">
          <label htmlFor="file">File (CSV, UTF-8)</label>
          <input className="in" id="file" name="file" type="file" accept=".csv,.tsv,.txt,text/csv" required />
        </div>
        <p className="xs mut">
          The same report again changes nothing. A report that holds anything like a card number is refused
          whole: leave that column out.
        </p>
        <Give busy={busy} />
      </form>
    </section>
  );
}

function Give({ busy }: { busy: boolean }) {
  return (
    <div>
      <button
        className="btn pri"
        type="submit"
        aria-disabled={busy || undefined}
        aria-busy={busy || undefined}
      >
        {busy ? "Reading…" : "Give in"}
      </button>
    </div>
  );
}

function Source({ need }: { need: boolean }) {
  return (
    <div className="fieldset">
      <label htmlFor="source">Account at the gateway or bank{need ? "" : " (optional)"}</label>
      <input
        className="in"
        id="source"
        name="source"
        required={need}
        maxLength={64}
        autoComplete="off"
        aria-describedby="source-hint"
      />
      <small className="mut" id="source-hint">
        The same for each of its reports, such as barclays-gbp: a line counts once within it.
      </small>
    </div>
  );
}

/** Words of the file, with commas between them. */
const KINDS = [
  { name: "kind", words: "Column that says what a line is" },
  { name: "charge_words", words: "Words for a charge" },
  { name: "refund_words", words: "Words for a refund" },
  { name: "chargeback_words", words: "Words for a chargeback" },
  { name: "fee_words", words: "Words for a fee" },
  { name: "other_words", words: "Words for anything else" },
];

function Kinds() {
  return (
    <details>
      <summary>What a line is (optional)</summary>
      <div className="pairs">
        {KINDS.map(({ name, words }) => (
          <div className="fieldset" key={name}>
            <label htmlFor={`k-${name}`}>{words}</label>
            <input className="in" id={`k-${name}`} name={name} autoComplete="off" />
          </div>
        ))}
        <div className="fieldset">
          <label htmlFor="k-fee_sign">A fee that is kept is written</label>
          <select className="in" id="k-fee_sign" name="fee_sign">
            <option value="plus">0.50</option>
            <option value="minus">-0.50</option>
          </select>
        </div>
      </div>
    </details>
  );
}

function Columns() {
  return (
    <div className="pairs">
      {COLUMNS.map(({ name, words, need }) => (
        <div className="fieldset" key={name}>
          <label htmlFor={`c-${name}`}>{words}</label>
          <input className="in" id={`c-${name}`} name={name} required={need} autoComplete="off" />
        </div>
      ))}
      <div className="fieldset">
        <label htmlFor="c-decimal">Decimals are written</label>
        <select className="in" id="c-decimal" name="decimal">
          <option value="point">1,234.56</option>
          <option value="comma">1.234,56</option>
        </select>
      </div>
      <div className="fieldset">
        <label htmlFor="c-dates">Dates are written</label>
        <select className="in" id="c-dates" name="dates">
          <option value="ymd">2026-11-26</option>
          <option value="dmy">26/11/2026</option>
          <option value="mdy">11/26/2026</option>
        </select>
      </div>
    </div>
  );
}
