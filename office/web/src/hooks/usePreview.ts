import { useEffect, useState } from "react";
import { previewTerms } from "../state/api.ts";
import { problemWords } from "../view/problems.ts";
import type { PreviewView, Terms } from "../wire.ts";

/** The console is asked when the typing has paused. */
const PAUSE_MS = 300;

export type Preview = { of: string; view: PreviewView } | { of: string; error: string } | null;

/** The calendar of terms, or why they cannot be agreed on; null while it is being asked. */
export function usePreview(terms: Terms | null): Preview {
  const [preview, setPreview] = useState<Preview>(null);
  const asked = terms === null ? null : JSON.stringify(terms);
  useEffect(() => {
    if (asked === null) return;
    let awaited = true;
    const timer = setTimeout(async () => {
      const answer = await previewTerms(JSON.parse(asked) as Terms);
      if (!awaited) return;
      setPreview(answer.ok ? { of: asked, view: answer.value } : { of: asked, error: problemWords(answer) });
    }, PAUSE_MS);
    return () => {
      awaited = false;
      clearTimeout(timer);
    };
  }, [asked]);
  return preview?.of === asked ? preview : null;
}
