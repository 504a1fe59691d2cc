import { useCallback, useEffect, useState } from "react";
import { Button } from "../parts/Button.tsx";
import { Icon } from "../parts/Icon.tsx";
import { write } from "../view/money.ts";
import { day as ask, askGateways, reports as askReports, dayFile, withdraw } from "./api.ts";
import { Findings } from "./Findings.tsx";
import { Frame, Note, type PageProps } from "./Frame.tsx";
import { lines, Reports } from "./Reports.tsx";
import type { DayView, ReportView, Totals } from "./types.ts";
import { Upload } from "./Upload.tsx";
import { useDeed } from "./useDeed.ts";
import { signed } from "./words.ts";

/** How often a report on its way is looked at, in milliseconds. */
const LOOK_MS = 1_000;

/** A day's money here, against what the gateways report of it. */
export function DayEnd(props: PageProps) {
  const [date, setDate] = useState<string | null>(null);
  const [view, setView] = useState<DayView | null>(null);
  const [reports, setReports] = useState<ReportView[]>([]);
  const [coming, setComing] = useState(false);
  const { told, setTold, busy, fail, run } = useDeed(props.onSignedOut);

  const loadReports = useCallback(async () => {
    const answer = await askReports();
    if (!answer.ok) return fail(answer);
    setReports(answer.value.reports);
    setDate((chosen) => chosen ?? answer.value.yesterday);
  }, [fail]);
  const load = useCallback(async () => {
    if (date === null) return;
    const answer = await ask(date);
    if (answer.ok) setView(answer.value);
    else fail(answer);
  }, [date, fail]);
  useEffect(() => void loadReports(), [loadReports]);
  useEffect(() => void load(), [load]);
  useEffect(() => {
    if (!coming) return;
    const timer = setInterval(() => void loadReports(), LOOK_MS);
    return () => clearInterval(timer);
  }, [coming, loadReports]);

  const asking = async (date: string) => {
    await run(
      `ask ${date}`,
      () => askGateways(date),
      ({ gateways }) =>
        gateways.map(({ gateway, report, known }) => toldWords(gateway, report, known)).join(" "),
    );
    await loadReports();
    await load();
  };
  const takeBack = async (report: ReportView) => {
    await run(
      report.id,
      () => withdraw(report.id),
      ({ give_again }) => goneWords(report, give_again),
    );
    await loadReports();
    await load();
  };

  return (
    <Frame {...props} at="/reconciliation" title="Day end">
      <Note told={told} />
      <div className="two even">
        <Upload
          onFail={fail}
          onBusy={setComing}
          onTaken={(report, known) => {
            setTold({ tone: "ok", words: takenWords(report, known) });
            const last = report.last_at?.slice(0, 10) ?? null;
            if (last !== null && view?.counts.matched === 0) setDate(last);
            void loadReports();
            void load();
          }}
        />
        <Reports reports={reports} busy={busy} onTakeBack={(report) => void takeBack(report)} />
      </div>
      <Day date={date} view={view} busy={busy} onDate={setDate} onAsk={(date) => void asking(date)} />
      {view && <Findings view={view} />}
    </Frame>
  );
}

type DayProps = {
  date: string | null;
  view: DayView | null;
  busy: boolean;
  onDate: (date: string) => void;
  onAsk: (date: string) => void;
};

function Day({ date, view, busy, onDate, onAsk }: DayProps) {
  return (
    <section className="card" aria-labelledby="day">
      <header>
        <h2 id="day">The day</h2>
        <label htmlFor="date">Day{view && ` (${view.time_zone})`}</label>
        <input
          className="in date"
          id="date"
          type="date"
          value={date ?? ""}
          onChange={(event) => event.target.value !== "" && onDate(event.target.value)}
        />
        {date !== null && (
          <>
            <Button busy={busy} onPress={() => onAsk(date)}>
              Ask the gateway
            </Button>
            <a className="btn" href={dayFile(date, "csv")} download>
              CSV
            </a>
            <a className="btn" href={dayFile(date, "xlsx")} download>
              Excel
            </a>
          </>
        )}
      </header>
      {view === null ? <p className="pad sm mut">Looking…</p> : <Summary view={view} />}
    </section>
  );
}

function takenWords(report: ReportView, known: boolean): string {
  if (known) return "This report was here already. Nothing has changed.";
  const seen = report.lines - report.fresh;
  const otherwise =
    report.conflicts > 0 ? ` ${lines(report.conflicts)} told otherwise by an earlier report.` : "";
  return `${lines(report.lines)} taken in${seen > 0 ? `, ${seen} of them known from an earlier report` : ""}.${otherwise}`;
}

function toldWords(gateway: string, report: ReportView | null, known: boolean): string {
  if (report === null) return `${gateway}: nothing moved on this day.`;
  return `${gateway}: ${takenWords(report, known)}`;
}

function goneWords(report: ReportView, again: string[]): string {
  const more = again.length > 0 ? ` Give these in again: ${again.join(", ")}.` : "";
  return `${report.name} is taken back; nothing of it counts any more.${more}`;
}

function Summary({ view }: { view: DayView }) {
  const nothing = Object.values(view.counts).every((count) => count === 0);
  const clean = { tone: "ok", words: "Everything is the same here and at the gateway." };
  const open = { tone: "warn", words: "There is something to look at below." };
  const none = { tone: "", words: "There is no payment and no line of a report on this day." };
  const { tone, words } = nothing ? none : view.clean ? clean : open;
  return (
    <div className="pad stack">
      <p className={`note ${tone}`}>
        <Icon name={tone === "ok" ? "check" : tone === "warn" ? "alert" : "info"} />
        <span>
          {words}
          {!nothing && view.reports.length === 0 && " No report has a line of this day yet."}
        </span>
      </p>
      {view.totals.map((totals) => (
        <Sums key={totals.ours_taken.currency} totals={totals} />
      ))}
    </div>
  );
}

function Sums({ totals }: { totals: Totals }) {
  const rows = [
    { what: "Taken", ours: totals.ours_taken, theirs: totals.theirs_taken },
    { what: "Given back", ours: totals.ours_given_back, theirs: totals.theirs_given_back },
  ];
  return (
    <table className="sums">
      <caption className="vh">Sums in {totals.ours_taken.currency}</caption>
      <thead>
        <tr>
          <th scope="col">{totals.ours_taken.currency}</th>
          <th scope="col" className="num">
            Here
          </th>
          <th scope="col" className="num">
            At the gateway
          </th>
        </tr>
      </thead>
      <tbody>
        {rows.map(({ what, ours, theirs }) => (
          <tr key={what}>
            <th scope="row">{what}</th>
            <td className="num">{write(ours)}</td>
            <td className={ours.minor === theirs.minor ? "num" : "num bad b"}>{write(theirs)}</td>
          </tr>
        ))}
        <tr>
          <th scope="row">Fees, chargebacks</th>
          <td />
          <td className="num">
            {signed(totals.fees)}, {signed(totals.chargebacks)}
          </td>
        </tr>
      </tbody>
    </table>
  );
}
