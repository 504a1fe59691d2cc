/**
 * How old the media thread's proof is, without trusting that this machine's clock agrees with the server's.
 *
 * A proof that has waited in a replay must not look new because it has only just arrived. So every proof is dated
 * by the server's clock, and the shortest delay seen lately stands for the difference between the two clocks.
 */

/** Younger than this, a proof holds. */
export const PROOF_HOLDS_MS = 2_000;
/** Without a proof for this long, the agent is told in a banner. */
export const PROOF_LOST_MS = 4_000;
/** The console says something each second; a stream on which nothing came for this long may be dead. */
export const LINK_HOLDS_MS = 3_000;
/** With nothing on the stream for this long, the agent is told in a banner. */
export const LINK_LOST_MS = 5_000;
/** How many delays are remembered: about two minutes of proofs, after which a step of either clock is forgotten. */
const DELAYS_MAX = 120;

export type Clock = { delays: readonly number[] };

export const NEW_CLOCK: Clock = { delays: [] };

/** Learns from a proof that was made at `serverMs` and arrived at `hereMs` (this machine's monotonic clock). */
export function observe(clock: Clock, serverMs: number, hereMs: number): Clock {
  return { delays: [...clock.delays, hereMs - serverMs].slice(-DELAYS_MAX) };
}

/** When something of `serverMs` happened on this machine's monotonic clock; null until a first proof was seen. */
export function toHere(clock: Clock, serverMs: number): number | null {
  return clock.delays.length === 0 ? null : serverMs + Math.min(...clock.delays);
}

export type Proof = { age: number; holds: boolean; lost: boolean };

/** Judges a proof made at `provedAt`, on this machine's clock. None at all is as good as lost after a moment. */
export function judge(provedAt: number | null, maskedSince: number, now: number): Proof {
  // A proof from before the line was last open says nothing about how long this wait has been.
  const age = now - Math.max(provedAt ?? maskedSince, maskedSince);
  return {
    age: Math.max(0, age),
    holds: provedAt !== null && now - provedAt < PROOF_HOLDS_MS,
    lost: age >= PROOF_LOST_MS,
  };
}

export type Link = { status: "connecting" | "live" | "lost"; heard: number };
export type Sight = { age: number; holds: boolean; lost: boolean };

/** Judges the stream by what came last on it. One that looks open is given a second more than one that is known to be cut. */
export function sight(link: Link, now: number): Sight {
  const live = link.status === "live";
  const age = Math.max(0, now - link.heard);
  return {
    age,
    holds: age < (live ? LINK_HOLDS_MS : PROOF_HOLDS_MS),
    lost: age >= (live ? LINK_LOST_MS : PROOF_LOST_MS),
  };
}
