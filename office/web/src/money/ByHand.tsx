import { useCallback, useEffect, useState } from "react";
import { Button } from "../parts/Button.tsx";
import type { Money } from "../wire.ts";
import { byHand as ask, byHandFile, markKeyed } from "./api.ts";
import { Frame, Note, type PageProps, Scroller } from "./Frame.tsx";
import { linkTo } from "./link.ts";
import type { ByHandRow } from "./types.ts";
import { useDeed } from "./useDeed.ts";
import { signed, timeOf } from "./words.ts";

/** What people key into the customer's own system, by account. */
export function ByHand(props: PageProps) {
  const [keyed, setKeyed] = useState(false);
  const [rows, setRows] = useState<ByHandRow[] | null>(null);
  const [next, setNext] = useState<string | null>(null);
  const { told, busy, fail, run } = useDeed(props.onSignedOut);

  const load = useCallback(async () => {
    const answer = await ask(keyed, null);
    if (!answer.ok) return fail(answer);
    setRows(answer.value.payments);
    setNext(answer.value.next_cursor);
  }, [keyed, fail]);
  const more = async () => {
    const answer = await ask(keyed, next);
    if (!answer.ok) return fail(answer);
    setRows((known) => [...(known ?? []), ...answer.value.payments]);
    setNext(answer.value.next_cursor);
  };
  useEffect(() => void load(), [load]);

  const mark = async (row: ByHandRow, shown: Money) => {
    const words =
      shown.minor === 0
        ? "The mark is taken back."
        : `Keyed: ${row.account ?? "a payment"}, ${signed(row.to_key)}.`;
    await run(
      `${row.payment} ${shown.minor}`,
      (key) => markKeyed(row.payment, shown, key),
      () => words,
    );
    await load();
  };
  return (
    <Frame {...props} at="/by-hand" title="By hand">
      <Note told={told} />
      <section className="card" aria-labelledby="hand">
        <header>
          <h2 id="hand">{keyed ? "Keyed into your system" : "To be keyed into your system"}</h2>
          <fieldset className="seg">
            <legend className="vh">Which payments</legend>
            <button type="button" aria-pressed={!keyed} onClick={() => setKeyed(false)}>
              To key
            </button>
            <button type="button" aria-pressed={keyed} onClick={() => setKeyed(true)}>
              Keyed
            </button>
          </fieldset>
          <a className="btn" href={byHandFile(keyed, "csv")} download>
            CSV
          </a>
          <a className="btn" href={byHandFile(keyed, "xlsx")} download>
            Excel
          </a>
        </header>
        {rows === null || rows.length === 0 ? (
          <p className="pad sm mut">
            {rows === null ? "Looking…" : keyed ? "None yet." : "Nothing is left to key."}
          </p>
        ) : (
          <Table rows={rows} keyed={keyed} busy={busy} onMark={(row, shown) => void mark(row, shown)} />
        )}
        {next !== null && <More count={rows?.length ?? 0} onPress={() => void more()} />}
      </section>
    </Frame>
  );
}

function More({ count, onPress }: { count: number; onPress: () => void }) {
  return (
    <p className="pad sm">
      The first {count} are shown; the files have all.{" "}
      <Button look="s" onPress={onPress}>
        Show more
      </Button>
    </p>
  );
}

type TableProps = {
  rows: ByHandRow[];
  keyed: boolean;
  busy: boolean;
  onMark: (row: ByHandRow, shown: Money) => void;
};

function Table({ rows, keyed, busy, onMark }: TableProps) {
  return (
    <Scroller label="Payments">
      <table>
        <thead>
          <tr>
            <th scope="col">Account</th>
            <th scope="col">Invoice</th>
            <th scope="col">Reference</th>
            <th scope="col">Taken</th>
            <th scope="col" className="num">
              {keyed ? "Amount" : "To key"}
            </th>
            <th scope="col">{keyed ? "Keyed by" : "Keyed before"}</th>
            <th scope="col">
              <span className="vh">Mark</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row.payment}>
              <td className="mono">
                <a href={linkTo(row.payment)}>{row.account ?? "no account"}</a>
              </td>
              <td className="mono">{row.invoice ?? "–"}</td>
              <td className="mono">{row.reference ?? "–"}</td>
              <td className="nw">{timeOf(row.created_at)}</td>
              <td className="num b">{signed(keyed ? row.keyed : row.to_key)}</td>
              <td className="nw">{keyed ? row.keyed_by : row.keyed.minor === 0 ? "–" : signed(row.keyed)}</td>
              <td className="num">
                <Button
                  look="s"
                  busy={busy}
                  onPress={() => onMark(row, keyed ? { ...row.taken, minor: 0 } : row.taken)}
                >
                  {keyed ? "Take back" : "Keyed"}
                </Button>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scroller>
  );
}
