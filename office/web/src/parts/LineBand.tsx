import type { LineDeed, LineLook, LineView } from "../view/line.ts";
import type { RecorderNote } from "../view/recorders.ts";
import { Button } from "./Button.tsx";
import { Icon } from "./Icon.tsx";

const LOOKS: Record<LineLook, { className: string; icon: string }> = {
  open: { className: "", icon: "unlock" },
  securing: { className: "", icon: "" },
  secured: { className: "is-secure on-solid", icon: "lock" },
  pausing: { className: "is-releasing", icon: "" },
  unpaused: { className: "is-releasing", icon: "alert" },
  releasing: { className: "is-releasing", icon: "lock" },
  stale: { className: "is-stale", icon: "alert" },
  fault: { className: "is-fault on-solid", icon: "alert" },
  conference: { className: "is-heard", icon: "alert" },
};

const KEYS: Record<LineDeed, string> = { secure: "Alt S", release: "Alt L" };

type Props = { view: LineView; provedAt: number | null; busy: boolean; onDeed: (deed: LineDeed) => void };

/** The one thing on the page that can't be missed, in the same place in every state. */
export function LineBand({ view, provedAt, busy, onDeed }: Props) {
  const { className, icon } = LOOKS[view.look];
  const { button } = view;
  return (
    <section className={`line ${className}`} aria-label="Line state" data-line={view.look}>
      <div className="top">
        <span className="badge">
          {icon === "" ? <span className="spin" aria-hidden="true" /> : <Icon name={icon} />}
        </span>
        <div>
          <p className="state">{view.title}</p>
          <p className="sub">{view.sub}</p>
        </div>
        <div className="act">
          {button && (
            <Button
              look={button.seal ? "lg seal" : ""}
              keys={KEYS[button.deed]}
              busy={busy}
              onPress={() => onDeed(button.deed)}
            >
              {button.deed === "secure" && <Icon name="wall" />} {button.label}
            </Button>
          )}
        </div>
      </div>
      {view.hears && <Hears words={view.hears} provedAt={provedAt} />}
    </section>
  );
}

const DRAWING = "M2 13h8l4-8 5 16 5-18 5 20 5-17 4 7h14l4-9 5 18 5-20 5 21 5-17 4 7h8l4-8 4 12 4-8 3 4h5";

/** Signal, wall, and what is left on the agent's side; beside it the media thread's heartbeat, and only that. */
function Hears({ words, provedAt }: { words: NonNullable<LineView["hears"]>; provedAt: number | null }) {
  return (
    <div className="hears">
      <svg
        viewBox="0 0 240 26"
        preserveAspectRatio="none"
        role="img"
        aria-label="Key tones stop at the wall; your side carries only generated sound"
      >
        <path d={DRAWING} className="thin" vectorEffect="non-scaling-stroke" />
        <rect x="116" y="0" width="5" height="26" fill="currentColor" />
        <path d="M126 13h112" className="thick" vectorEffect="non-scaling-stroke" />
      </svg>
      <dl>
        <div>
          <dt>You hear</dt>
          <dd>{words.you}</dd>
        </div>
        <div>
          <dt>Caller hears</dt>
          <dd>{words.caller}</dd>
        </div>
        <div>
          <dt>Media proof</dt>
          <dd>
            {provedAt !== null && <span key={provedAt} className="beat" aria-hidden="true" />}
            {words.proof}
          </dd>
        </div>
        {words.recorder && (
          <div>
            <dt>Your recorder</dt>
            <dd>{words.recorder}</dd>
          </div>
        )}
      </dl>
    </div>
  );
}

type RecorderProps = { note: RecorderNote; busy: boolean; onAgain: () => void };

/** A recorder that is no part of this has not paused, or not yet. */
export function RecorderBanner({ note, busy, onAgain }: RecorderProps) {
  return (
    <div className={note.tone === "warn" ? "note warn" : "note"} data-recorder={note.tone}>
      <Icon name={note.tone === "warn" ? "alert" : "clock"} />
      <div className="grow">
        <b>{note.title}</b> {note.rest}
      </div>
      {note.again && (
        <Button look="s" busy={busy} onPress={onAgain}>
          Ask it again
        </Button>
      )}
    </div>
  );
}

type BannerProps = { banner: NonNullable<LineView["banner"]>; onRetry: () => void };

export function Banner({ banner, onRetry }: BannerProps) {
  return (
    <div className="note warn">
      <Icon name="alert" />
      <div className="grow">
        <b>{banner.title}</b> {banner.rest}
      </div>
      <Button look="s" onPress={onRetry}>
        Try now
      </Button>
    </div>
  );
}
