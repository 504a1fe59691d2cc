import { Button } from "../parts/Button.tsx";
import { review } from "./api.ts";
import type { Deed } from "./Payment.tsx";
import type { PaidDetail } from "./types.ts";

/** An approval that a rule holds up: keep it, or give it back. */
export function Review({ payment, busy, deed }: { payment: PaidDetail; busy: boolean; deed: Deed }) {
  const press = (accept: boolean) =>
    deed(
      `review ${accept}`,
      (key) => review(payment.id, accept, key),
      () => (accept ? "It is kept." : "It is being given back. It stays here until the money is back."),
    );
  return (
    <div className="sect">
      <h2>To be looked at</h2>
      <p className="sm">
        It was approved although address or security code do not match. Keep it, or give the money back.
      </p>
      <div className="row wrap">
        <Button busy={busy} onPress={() => void press(true)}>
          Keep it
        </Button>
        <Button look="danger" busy={busy} onPress={() => void press(false)}>
          Give it back
        </Button>
      </div>
    </div>
  );
}
