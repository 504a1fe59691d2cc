import { createRoot } from "react-dom/client";
import { Phone } from "./Phone.tsx";
import "../src/styles/tokens.css";
import "../src/styles/base.css";
import "../src/styles/controls.css";
import "./phone.css";

const root = document.getElementById("root");
// Not in React's strict mode, which would sign in twice.
if (root !== null) createRoot(root).render(<Phone />);
