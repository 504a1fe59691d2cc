import { timeline } from "../view/timeline.ts";
import type { TimelineRow } from "../wire.ts";
import { Icon } from "./Icon.tsx";

export function Side({ rows }: { rows: readonly TimelineRow[] | null }) {
  return (
    <aside className="side" aria-label="Call record">
      <section className="card">
        <details open>
          <summary>This call</summary>
          {rows === null || rows.length === 0 ? <Nothing /> : <Rows rows={rows} />}
        </details>
      </section>
      <section className="card opt-n">
        <details open>
          <summary>Keyboard</summary>
          <ul className="keys">
            {KEYS.map(({ name, keys }) => (
              <li key={name}>
                {name} <kbd>{keys}</kbd>
              </li>
            ))}
          </ul>
        </details>
      </section>
    </aside>
  );
}

const KEYS = [
  { name: "Secure the line", keys: "Alt S" },
  { name: "Release the line", keys: "Alt L" },
  { name: "Ask again", keys: "Alt R" },
  { name: "Ask for field 1 to 3", keys: "Alt 1…3" },
  { name: "Take payment", keys: "Alt ⏎" },
  { name: "Another card", keys: "Alt N" },
  { name: "All shortcuts", keys: "?" },
];

function Nothing() {
  return (
    <p className="nothing sm mut">Nothing yet. Each step of the next call is written here as it happens.</p>
  );
}

function Rows({ rows }: { rows: readonly TimelineRow[] }) {
  return (
    <ol className="tl" aria-label="Call timeline, newest last">
      {timeline(rows).map((line) => (
        <li key={line.key} className={`${line.tone} ${line.walled ? "walled" : ""}`}>
          <time>{line.at}</time>
          <Icon name={line.icon} />
          <span>
            {line.text}
            {line.detail && <small>{line.detail}</small>}
          </span>
        </li>
      ))}
    </ol>
  );
}
