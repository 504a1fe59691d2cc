import { useState } from "react";
import { repeatId } from "../parts/RepeatPart.tsx";
import type { Order } from "../state/api.ts";
import { cardLike } from "../view/cardlike.ts";
import { LOOKS_LIKE_CARD } from "../view/draft.ts";
import { checkRepeat, newRepeat, type RepeatDraft, type RepeatField } from "../view/repeat.ts";
import type { Money } from "../wire.ts";
import { usePreview } from "./usePreview.ts";

type Wrong = { field: RepeatField; error: string };
type Kept = { call: string | null; draft: RepeatDraft | null; wrong: Wrong | null };

/** What is typed of further payments for the call on the screen; null where none are wanted. */
export function useRepeat(call: string | null, first: Money | null, currency: string) {
  const [kept, setKept] = useState<Kept>({ call, draft: null, wrong: null });
  const { draft, wrong } = kept.call === call ? kept : { draft: null, wrong: null };
  const checked = draft === null ? null : checkRepeat(draft, first, currency);
  const terms = checked !== null && "terms" in checked ? checked.terms : null;
  const preview = usePreview(terms);

  const refuse = (found: Wrong, left: RepeatDraft): null => {
    setKept({ call, draft: left, wrong: found });
    document.getElementById(repeatId(found.field))?.focus();
    return null;
  };

  /** The order with what is agreed on beside it, or null after the first wrong box has the focus. */
  const fit = (order: Order): Order | null => {
    if (draft === null || checked === null) return order;
    const contact = draft.contact.trim();
    if (cardLike(contact)) {
      return refuse({ field: "contact", error: LOOKS_LIKE_CARD }, { ...draft, contact: "" });
    }
    if ("error" in checked) return refuse(checked, draft);
    return {
      ...order,
      repeat: contact === "" ? { terms: checked.terms } : { terms: checked.terms, contact },
    };
  };

  const form = {
    draft,
    wrong,
    preview,
    onSwitch: (on: boolean) => setKept({ call, draft: on ? newRepeat(new Date()) : null, wrong: null }),
    onChange: (next: RepeatDraft) => setKept({ call, draft: next, wrong: null }),
  };
  return { form, fit, clear: () => setKept({ call, draft: null, wrong: null }) };
}
