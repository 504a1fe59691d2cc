import { SHORTCUT_LIST } from "../view/shortcuts.ts";
import { Box } from "./Box.tsx";
import { Button } from "./Button.tsx";

type ShortcutProps = { on: boolean; onSwitch: (on: boolean) => void; onClose: () => void };

export function ShortcutBox({ on, onSwitch, onClose }: ShortcutProps) {
  return (
    <Box title="Keyboard shortcuts" onClose={onClose}>
      <table>
        <caption className="vh">Shortcuts and what they do</caption>
        <tbody>
          {SHORTCUT_LIST.map(({ name, keys, note }) => (
            <tr key={name}>
              <th scope="row">{name}</th>
              <td className="nw">
                {keys.map((key) => (
                  <kbd key={key}>{key}</kbd>
                ))}
              </td>
              <td className="mut">{note}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <label className="ck">
        <input type="checkbox" checked={on} onChange={(event) => onSwitch(event.target.checked)} />
        Use these shortcuts on this machine
      </label>
      <div className="row sb">
        <p className="sm mut">Esc only closes boxes; it never releases a line.</p>
        <Button onPress={onClose}>Close</Button>
      </div>
    </Box>
  );
}

export type Question = "cancel" | "release";

const QUESTIONS: Record<Question, { title: string; text: string; yes: string; no: string }> = {
  cancel: {
    title: "Cancel this payment?",
    text: "What the caller has keyed is erased. Nothing is charged.",
    yes: "Cancel payment",
    no: "Go on with it",
  },
  release: {
    title: "Release the line now?",
    text: "This cancels the payment and erases what the caller has keyed. Nothing is charged.",
    yes: "Release line",
    no: "Keep it secured",
  },
};

type ConfirmProps = { question: Question; onYes: () => void; onNo: () => void };

export function ConfirmBox({ question, onYes, onNo }: ConfirmProps) {
  const words = QUESTIONS[question];
  return (
    <Box title={words.title} urgent onClose={onNo}>
      <p>{words.text}</p>
      <div className="row wrap">
        <Button look="pri" onPress={onNo}>
          {words.no}
        </Button>
        <Button look="danger" onPress={onYes}>
          {words.yes}
        </Button>
      </div>
    </Box>
  );
}
