import { useState } from "react";
import { Button } from "../parts/Button.tsx";
import type { ReportView } from "./types.ts";
import { timeOf } from "./words.ts";

type Props = { reports: ReportView[]; busy: boolean; onTakeBack: (report: ReportView) => void };

export const lines = (count: number): string => (count === 1 ? "1 line" : `${count} lines`);

/** The reports that are here, or on their way. Taking one back takes two presses: its lines are gone then. */
export function Reports({ reports, busy, onTakeBack }: Props) {
  const [asked, setAsked] = useState<string | null>(null);
  return (
    <section className="card" aria-labelledby="reports">
      <header>
        <h2 id="reports">Reports that are here</h2>
      </header>
      {reports.length === 0 ? (
        <p className="pad sm mut">None yet.</p>
      ) : (
        <ul className="pad stack gap2 scroll">
          {reports.map((report) => (
            <li key={report.id} className="sm reported">
              <div>
                <b>{report.name}</b>
                <small className="mut">{words(report)}</small>
              </div>
              {report.state === "here" && (
                <TakeBack
                  report={report}
                  asked={asked === report.id}
                  busy={busy}
                  onAsk={(ask) => setAsked(ask ? report.id : null)}
                  onTakeBack={() => {
                    setAsked(null);
                    onTakeBack(report);
                  }}
                />
              )}
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

function words(report: ReportView): string {
  if (report.state === "coming") return `on its way: ${report.stored} of ${lines(report.lines)}`;
  const times =
    report.first_at && report.last_at ? `, ${timeOf(report.first_at)} to ${timeOf(report.last_at)}` : "";
  const otherwise = report.conflicts > 0 ? `, ${report.conflicts} told otherwise before` : "";
  return `${report.source}, ${lines(report.lines)}${times}${otherwise} · ${report.who}`;
}

type TakeBackProps = {
  report: ReportView;
  asked: boolean;
  busy: boolean;
  onAsk: (ask: boolean) => void;
  onTakeBack: () => void;
};

function TakeBack({ report, asked, busy, onAsk, onTakeBack }: TakeBackProps) {
  if (!asked) {
    return (
      <Button look="quiet s" off={busy} onPress={() => onAsk(true)}>
        Take back<span className="vh"> {report.name}</span>
      </Button>
    );
  }
  return (
    <span className="nw">
      <Button look="danger s" busy={busy} onPress={onTakeBack}>
        Take back {lines(report.lines)}
      </Button>
      <Button look="quiet s" off={busy} onPress={() => onAsk(false)}>
        Keep
      </Button>
    </span>
  );
}
