import { Scroller } from "./Frame.tsx";
import { linkTo } from "./link.ts";
import type { DayView, Finding, Pair } from "./types.ts";
import { FINDINGS, type FindingWords, signed, timeOf } from "./words.ts";

/** Every kind of finding that there is, what people must look at first. */
export function Findings({ view }: { view: DayView }) {
  const there = FINDINGS.filter(({ name }) => view.counts[name] > 0);
  return (
    <>
      {there.map((finding) => (
        <Section
          key={finding.name}
          finding={finding}
          rows={view[finding.name]}
          count={view.counts[finding.name]}
        />
      ))}
    </>
  );
}

type SectionProps = { finding: FindingWords & { name: Finding }; rows: Pair[]; count: number };

function Section({ finding, rows, count }: SectionProps) {
  const id = `finding-${finding.name}`;
  return (
    <section className="card" aria-labelledby={id}>
      <details open={finding.name !== "matched"}>
        <summary className="pad">
          <span id={id}>
            <b>{finding.title}</b>, <span className={finding.tone}>{count}</span>
          </span>
        </summary>
        <p className="pad sm mut">{finding.hint}</p>
        <Rows rows={rows} label={finding.title} />
        {count > rows.length && (
          <p className="pad sm mut">
            The first {rows.length} of {count}. The files have all.
          </p>
        )}
      </details>
    </section>
  );
}

function Rows({ rows, label }: { rows: Pair[]; label: string }) {
  return (
    <Scroller label={`${label}`}>
      <table>
        <thead>
          <tr>
            <th scope="col">What</th>
            <th scope="col">Account</th>
            <th scope="col">Sent</th>
            <th scope="col" className="num">
              Here
            </th>
            <th scope="col" className="num">
              At the gateway
            </th>
            <th scope="col">Reported</th>
            <th scope="col">Gateway’s names</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((pair) => (
            <Row
              key={[
                pair.ours?.attempt,
                pair.theirs?.names.join(" "),
                pair.theirs?.at,
                pair.theirs?.money.minor,
                pair.why,
              ].join(" ")}
              pair={pair}
            />
          ))}
        </tbody>
      </table>
    </Scroller>
  );
}

function Row({ pair: { what, ours, theirs, why } }: { pair: Pair }) {
  const copies = theirs !== null && theirs.copies > 1 ? `, ${theirs.copies} times in a report` : "";
  return (
    <tr>
      <td className="nw">
        {what.replaceAll("_", " ")}
        {why === "again" && ", again"}
        {why === "conflict" && ", told otherwise"}
        {copies}
      </td>
      <td className="mono">
        {ours === null ? "–" : <a href={linkTo(ours.payment)}>{ours.account ?? "payment"}</a>}
      </td>
      <td className="nw">{ours ? timeOf(ours.sent_at) : "–"}</td>
      <td className="num">{ours ? signed(ours.money) : "–"}</td>
      <td className="num">{theirs ? signed(theirs.money) : "–"}</td>
      <td className="nw">{theirs ? timeOf(theirs.at) : "–"}</td>
      <td className="mono">{theirs?.names.join(" ") || ours?.gateway_ref || "–"}</td>
    </tr>
  );
}
